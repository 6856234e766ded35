import { describe, expect, it } from "vitest";
import { PAGE, TableBuilder } from "../../test/support/table-builder.ts";
import {
  RAM_BASE,
  type RegisterValues,
  SECURE_RAM_BASE,
  TranslationMachine,
} from "../../test/support/translation-machine.ts";
import type { AtOperation } from "./address-translation.ts";

const DATA = RAM_BASE + 0x10_0000;
const USER = 1n << 6n;
const READ_ONLY = 1n << 7n;
const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n);
const VTCR = 24n | (1n << 6n) | (5n << 16n);
const NON_SECURE = 1n << 9n;
const RES1 = 1n << 11n;
const STAGE2 = 1n << 9n;
const ON_WALK = 1n << 8n;

function setUp(more: RegisterValues = {}) {
  const machine = new TranslationMachine();
  const tables = new TableBuilder(machine);
  const second = new TableBuilder(machine, { startLevel: 1, area: RAM_BASE + 0x40_0000 });
  for (let offset = 0; offset < 8 << 20; offset += 2 << 20) {
    second.map(BigInt(RAM_BASE + offset), RAM_BASE + offset, 0x7fdn & ~2n, 2);
  }
  const root = BigInt(tables.root);
  const one = 16n | (5n << 16n);
  machine.setRegisters({
    ...{ SCTLR_EL1: 0x1005n, TCR_EL1: TCR, TTBR0_EL1: root, TTBR1_EL1: root, MAIR_EL1: 0x04_44_ffn },
    ...{ SCTLR_EL2: 0x1005n, TCR_EL2: one, TTBR0_EL2: root, TTBR1_EL2: root, MAIR_EL2: 0xeen },
    ...{ SCTLR_EL3: 0x1005n, TCR_EL3: one, TTBR0_EL3: root, MAIR_EL3: 0xbbn },
    ...{ VTCR_EL2: VTCR, VTTBR_EL2: BigInt(second.root) },
    ...more,
  });
  const at = (operation: AtOperation, address: bigint) => {
    const result = machine.mmu.addressTranslation.translate(operation, address);
    return result.type === "par" ? result.value : result.fault;
  };
  return { machine, tables, second, at };
}

const par = (address: number, attributes: bigint, shareability: bigint) =>
  BigInt(address) | (attributes << 56n) | (shareability << 7n) | RES1;
const failure = (status: number) => RES1 | 1n | (BigInt(status) << 1n);

describe("AT", () => {
  it("reports page, attributes and shareability", () => {
    const { tables, at } = setUp();
    tables.map(0x1000n, DATA, PAGE);
    tables.map(0x2000n, DATA, (PAGE & ~(3n << 8n)) | (2n << 8n));
    tables.map(0x3000n, DATA, PAGE | (1n << 2n));
    tables.map(0x4000n, DATA, PAGE | (2n << 2n));
    expect(at("S1E1R", 0x1abcn)).toBe(par(DATA, 0xffn, 3n) | NON_SECURE);
    expect(at("S1E1R", 0x2000n)).toBe(par(DATA, 0xffn, 2n) | NON_SECURE);
    expect(at("S1E1R", 0x3000n)).toBe(par(DATA, 0x44n, 2n) | NON_SECURE);
    expect(at("S1E1R", 0x4000n)).toBe(par(DATA, 0x04n, 2n) | NON_SECURE);
  });

  it("checks the permissions that its name says", () => {
    const { machine, tables, at } = setUp();
    tables.map(0x1000n, DATA, PAGE | READ_ONLY);
    tables.map(0x2000n, DATA, PAGE | USER | READ_ONLY);
    expect(at("S1E1W", 0x1000n)).toBe(failure(0x0f));
    expect(at("S1E0R", 0x1000n)).toBe(failure(0x0f));
    expect(at("S1E0R", 0x2000n)).toBe(par(DATA, 0xffn, 3n) | NON_SECURE);
    expect(at("S1E0W", 0x2000n)).toBe(failure(0x0f));
    expect(at("S1E1R", 0x7000n)).toBe(failure(0x07));
    expect(at("S1E1R", 1n << 48n)).toBe(failure(0x04));
    machine.enter({ el: 1, pan: true });
    expect(at("S1E1R", 0x2000n)).toBe(par(DATA, 0xffn, 3n) | NON_SECURE);
    expect(at("S1E1RP", 0x2000n)).toBe(failure(0x0f));
  });

  it("goes through stage 2 or stops before it", () => {
    const { machine, tables, second, at } = setUp({ HCR_EL2: 1n });
    machine.enter({ el: 2 });
    tables.map(0x1000n, 0x9000_0000, PAGE);
    expect(at("S1E1R", 0x1000n)).toBe(par(0x9000_0000, 0xffn, 3n) | NON_SECURE);
    expect(at("S12E1R", 0x1000n)).toBe(failure(0x05) | STAGE2);
    second.map(0x9000_0000n, RAM_BASE, 0x7fdn & ~2n & ~(1n << 7n), 2);
    expect(at("S12E1R", 0x1000n)).toBe(par(RAM_BASE, 0xffn, 3n) | NON_SECURE);
    expect(at("S12E1W", 0x1000n)).toBe(failure(0x0e) | STAGE2);
    machine.write64(second.descriptorAddress(BigInt(RAM_BASE), 2), 0n);
    machine.write64(second.descriptorAddress(BigInt(RAM_BASE), 1), 0n);
    expect(at("S12E1R", 0x1000n)).toBe(failure(0x05) | STAGE2 | ON_WALK);
    expect(at("S1E1R", 0x1000n)).toBe(failure(0x05) | STAGE2 | ON_WALK);
  });

  it("takes an exception for stage 2 faults on tables from EL1, and for aborts on the walk", () => {
    const { machine, second, at } = setUp({ HCR_EL2: 1n });
    machine.enter({ el: 1 });
    machine.write64(second.descriptorAddress(BigInt(RAM_BASE), 1), 0n);
    expect(at("S1E1R", 0x1000n)).toMatchObject({ type: "fault", stage: 2, onStage1Walk: true, level: 1 });
    machine.change({ HCR_EL2: 0n, TTBR0_EL1: 0x2000_0000n });
    expect(at("S1E1R", 0x1000n)).toMatchObject({ type: "fault", kind: "externalAbortOnWalk", level: 0 });
  });

  it("uses EL2, EL2&0 and EL3 where asked", () => {
    const { machine, tables, at } = setUp();
    tables.map(0x1000n, DATA, PAGE);
    tables.map(0x2000n, DATA, PAGE | USER);
    machine.enter({ el: 2 });
    expect(at("S1E2R", 0x1000n)).toBe(par(DATA, 0xeen, 3n) | NON_SECURE);
    expect(at("S1E2W", 0x7000n)).toBe(failure(0x07));
    machine.change({ HCR_EL2: (1n << 34n) | (1n << 27n), TCR_EL2: TCR });
    expect(at("S1E1R", 0x1000n)).toBe(par(DATA, 0xeen, 3n) | NON_SECURE);
    expect(at("S1E0R", 0x1000n)).toBe(failure(0x0f));
    expect(at("S12E0R", 0x2000n)).toBe(par(DATA, 0xeen, 3n) | NON_SECURE);
    expect(at("S1E2R", 0xffff_0000_0000_1000n)).toBe(par(DATA, 0xeen, 3n) | NON_SECURE);
    machine.enter({ el: 3 });
    tables.map(0x3000n, SECURE_RAM_BASE, PAGE);
    expect(at("S1E3R", 0x3000n)).toBe(par(SECURE_RAM_BASE, 0xbbn, 3n));
    expect(at("S1E3R", 0x2000n)).toBe(par(DATA, 0xbbn, 3n));
  });
});
