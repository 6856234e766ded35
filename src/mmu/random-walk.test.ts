import { describe, expect, it } from "vitest";
import { Random } from "../../test/support/random.ts";
import {
  type ReferenceAccess,
  type ReferenceInput,
  type ReferenceResult,
  referenceTranslate,
} from "../../test/support/reference-walker.ts";
import {
  halves,
  RAM_BASE,
  SECURE_RAM_BASE,
  TranslationMachine,
} from "../../test/support/translation-machine.ts";
import { NO_FAULT } from "./memory-fault.ts";
import type { RegimeName, Stage1Configuration } from "./regime.ts";
import type { TranslationRegisterName } from "./translation-registers.ts";
import { PERMISSION, REQUEST } from "./walk-request.ts";

const SEED = Number(process.env["ELVISOR_SEED"] ?? 20240117);
const ROUNDS = 8;
const CASES_A_ROUND = 1500;

const MASK56 = (1n << 56n) - 1n;
const TABLE_BYTES = 65536;
const TABLES = [0, 1, 2, 3, 4, 5].map((index) => RAM_BASE + index * TABLE_BYTES).concat(SECURE_RAM_BASE);
const REGIMES: readonly RegimeName[] = ["EL1&0", "EL1&0", "EL1&0", "Secure EL1&0", "EL2", "EL2&0", "EL3"];

/** A descriptor that is likely to lead somewhere, whatever level and granule it is read at. */
function randomDescriptor(random: Random): bigint {
  const target = BigInt(random.pick(TABLES) + (random.below(4) === 0 ? random.below(16) * 4096 : 0));
  const kind = random.below(40) === 0 ? random.below(3) : 3 - (random.below(8) === 0 ? 2 : 0);
  const rare = (mask: bigint, odds: number) => (random.below(odds) === 0 ? random.u64() & mask : 0n);
  let value = target | BigInt(kind) | (random.u64() & 0x0000_0000_0000_09fcn) | (1n << 10n);
  if (random.below(10) === 0) value &= ~(1n << 10n);
  value |= rare(0x0000_f000_0000_0000n, 60) | rare(0x0000_0fff_0000_0000n, 60);
  value |= rare(0xf800_0000_0000_0000n, 12) | rare(0x0070_0000_0000_0000n, 3) | rare(1n << 51n, 1);
  return value | (rare(0n, 1) ^ (random.u64() & 0x00c0n));
}

function fillTables(machine: TranslationMachine, random: Random, bigEndian: boolean): void {
  for (const table of TABLES) {
    const host = machine.host(table);
    for (let offset = 0; offset < TABLE_BYTES; offset += 8) {
      machine.memory.view.setBigUint64(host + offset, randomDescriptor(random), !bigEndian);
    }
  }
}

function randomRegisters(
  random: Random,
  bigEndian: boolean,
): Partial<Record<TranslationRegisterName, bigint>> {
  const flag = (index: number, odds: number) => (random.below(odds) === 0 ? 1n << BigInt(index) : 0n);
  const endian = bigEndian ? 1n << 25n : 0n;
  const sctlr = () =>
    (random.below(12) === 0 ? 0n : 1n) |
    endian |
    flag(19, 4) |
    (flag(2, 1) ^ flag(2, 8)) |
    (flag(12, 1) ^ flag(12, 8));
  const size = () => BigInt(random.below(12) === 0 ? random.below(64) : 16 + random.below(24));
  const output = () => BigInt(random.below(4) === 0 ? random.below(8) : 5);
  const tcrTwo = () =>
    size() |
    (size() << 16n) |
    (BigInt(random.below(4)) << 14n) |
    (BigInt(random.below(4)) << 30n) |
    (output() << 32n) |
    flag(7, 20) |
    flag(23, 20) |
    flag(37, 2) |
    flag(38, 2) |
    flag(39, 2) |
    flag(40, 2) |
    flag(55, 8) |
    flag(56, 8) |
    flag(22, 2) |
    flag(36, 2);
  const tcrOne = () =>
    size() | (BigInt(random.below(4)) << 14n) | (output() << 16n) | flag(20, 2) | flag(21, 2) | flag(22, 2);
  const ttbr = () =>
    BigInt(random.pick(TABLES)) |
    (random.u64() & 0xffff_0000_0000_0001n) |
    (random.below(8) === 0 ? random.u64() & 0xffffn : 0n) |
    (random.below(40) === 0 ? random.u64() & 0xffff_0000_0000n : 0n);
  const vtcr = () => {
    const granule = random.below(4);
    const inputBits = 30 + random.below(19);
    // Of the start levels, one that fits the size most of the time.
    const shift = [12, 16, 14, 12][granule]!;
    const level = Math.max(4 - Math.ceil((inputBits - shift) / (shift - 3)), shift === 12 ? 0 : 1);
    const sl0 = random.below(6) === 0 ? random.below(4) : shift === 12 ? 2 - level : 3 - level;
    return (
      BigInt(random.below(16) === 0 ? random.below(64) : 64 - inputBits) |
      (BigInt(sl0 & 3) << 6n) |
      (BigInt(granule) << 14n) |
      (output() << 16n) |
      flag(21, 2) |
      flag(22, 2)
    );
  };
  const hcr = flag(0, 2) | flag(2, 6) | flag(12, 12) | flag(27, 20) | flag(32, 8) | flag(33, 8);
  const mair = () => {
    let value = 0n;
    for (let index = 0; index < 8; index++) {
      const byte = random.pick([
        0x00, 0x04, 0x08, 0x0c, 0x44, 0xff, 0xbb, 0xee, 0x7f, 0x1f, 0xf4, 0x4a, 0xa5,
      ]);
      value |= BigInt(byte) << BigInt(8 * index);
    }
    return value;
  };
  return {
    SCTLR_EL1: sctlr(),
    SCTLR_EL2: sctlr(),
    SCTLR_EL3: sctlr(),
    TCR_EL1: tcrTwo(),
    TCR_EL2: tcrTwo(),
    TCR_EL3: tcrOne(),
    TTBR0_EL1: ttbr(),
    TTBR1_EL1: ttbr(),
    TTBR0_EL2: ttbr(),
    TTBR1_EL2: ttbr(),
    TTBR0_EL3: ttbr(),
    MAIR_EL1: mair(),
    MAIR_EL2: mair(),
    MAIR_EL3: mair(),
    HCR_EL2: hcr,
    VTCR_EL2: vtcr(),
    VTTBR_EL2: ttbr(),
    SCR_EL3: 1n | flag(9, 2),
  };
}

/** An address that the regime's tables are likely to cover, and at times any address. */
function randomAddress(random: Random, stage1: Stage1Configuration, tcr: bigint): bigint {
  const kind = random.below(12);
  if (kind === 0) return random.u64();
  if (!stage1.enabled || kind === 1) return random.u64() & ((1n << BigInt(20 + random.below(29))) - 1n);
  const upper = stage1.twoPrivileges && random.below(2) === 0;
  const bits = 64n - ((tcr >> (upper ? 16n : 0n)) & 63n);
  const inside = random.u64() & ((1n << bits) - 1n);
  const address = upper ? BigInt.asUintN(64, inside | (-1n << bits)) : inside;
  const ignoreTop = (tcr >> (stage1.twoPrivileges ? (upper ? 38n : 37n) : 20n)) & 1n;
  return ignoreTop === 1n && bits < 56n ? (address & MASK56) | (random.u64() & ~MASK56) : address;
}

function requestOf(access: ReferenceAccess, stage1Only: boolean): number {
  return (
    (access.kind === "write" ? REQUEST.WRITE : 0) |
    (access.kind === "execute" ? REQUEST.EXECUTE : 0) |
    (access.privileged ? REQUEST.PRIVILEGED : 0) |
    (access.pan ? REQUEST.PAN : 0) |
    (access.unaligned && access.kind !== "execute" ? REQUEST.UNALIGNED : 0) |
    (access.addressTranslation ? REQUEST.ADDRESS_TRANSLATION : 0) |
    (stage1Only ? REQUEST.STAGE1_ONLY : 0)
  );
}

/** The reference's answer in the walker's words. */
function expected(result: ReferenceResult): object {
  if (result.type === "fault") {
    const { kind, level, stage, onStage1Walk, ipa } = result;
    return { kind, level, stage, onStage1Walk, intermediateAddress: Number(ipa) };
  }
  const { address, secure, attributes, shareability } = result;
  return { address: Number(address), secure, attributes, shareability };
}

function compareCase(machine: TranslationMachine, random: Random, outcomes: Map<string, number>): void {
  const { walker } = machine.mmu.access;
  const { context } = machine.mmu;
  const regime = random.pick(REGIMES);
  const stage1Only = regime === "EL1&0" && random.below(6) === 0;
  const privileged = !regime.endsWith("&0") || random.below(2) === 0;
  const access: ReferenceAccess = {
    kind: random.pick(["read", "write", "execute"]),
    privileged,
    pan: privileged && random.below(3) === 0,
    unaligned: random.below(3) === 0,
    addressTranslation: random.below(8) === 0,
  };
  const input: ReferenceInput = {
    regime,
    read: (name) => machine.registers[name] ?? 0n,
    physicalAddressBits: context.features.physicalAddressBits,
    fetch: (address, secure) => machine.ram.inWorld(secure).read64(Number(address)),
    stage1Only,
  };
  const stage1 = context.stage1(regime);
  const level = regime === "EL3" ? "EL3" : regime.startsWith("EL2") ? "EL2" : "EL1";
  const va = randomAddress(random, stage1, machine.registers[`TCR_${level}`] ?? 0n);
  const [low, high] = halves(va);
  const request = requestOf(access, stage1Only);
  const reference = referenceTranslate(input, va, access);
  const others =
    reference.type === "success" && reference.updates.length === 0
      ? (["read", "write", "execute"] as const).map((kind) =>
          referenceTranslate(input, va, { ...access, kind, unaligned: false, addressTranslation: false }),
        )
      : undefined;
  const before = reference.updates.map(
    ({ address }) => [Number(address), machine.read64(Number(address))] as const,
  );
  const exchanges = machine.store.compareExchange;
  let written = 0;
  machine.store.compareExchange = (host, old, now) => {
    written++;
    return exchanges.call(machine.store, host, old, now);
  };
  const stage2 = context.stage2(regime);
  const status = walker.translate(stage1, stage2, low, high, request);
  machine.store.compareExchange = exchanges;
  const label = `seed ${SEED} ${regime} va 0x${va.toString(16)} ${JSON.stringify(access)}`;
  if (status === NO_FAULT) {
    const { address, secure, attributes, shareability } = walker.describe();
    expect({ address, secure, attributes, shareability }, label).toEqual(expected(reference));
  } else {
    const fault = walker.describeFault(status, low, high, request);
    const { kind, level, stage, onStage1Walk, intermediateAddress } = fault;
    expect({ kind, level, stage, onStage1Walk, intermediateAddress }, label).toEqual(expected(reference));
    expect([fault.access, fault.virtualAddress]).toEqual([access.kind, va]);
  }
  expect(written, label).toBe(reference.updates.length);
  const last = new Map(reference.updates.map((update) => [Number(update.address), update.value]));
  for (const [address, value] of last) expect(machine.read64(address), label).toBe(value);
  for (const [address, value] of before.reverse()) machine.write64(address, value);
  if (others !== undefined) {
    const clean = others.map((other) => other.type === "success" && other.updates.length === 0);
    const { permissions, writeNeedsUpdate } = walker;
    const got = [
      (permissions & PERMISSION.READ) !== 0,
      (permissions & PERMISSION.WRITE) !== 0 && !writeNeedsUpdate,
      (permissions & PERMISSION.EXECUTE) !== 0,
    ];
    expect(got, `permissions, ${label}`).toEqual(clean);
  }
  const name =
    reference.type === "success" ? "success" : `${reference.kind}${reference.stage}${reference.level}`;
  outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
  if (reference.updates.length > 0) outcomes.set("updates", (outcomes.get("updates") ?? 0) + 1);
  if (reference.type === "success" && stage2 !== undefined) {
    outcomes.set("success of both stages", (outcomes.get("success of both stages") ?? 0) + 1);
  }
}

describe("the walker on random tables and registers", () => {
  it.each([
    { name: "48-bit physical addresses", physicalAddressBits: 48 },
    { name: "40-bit physical addresses", physicalAddressBits: 40 },
  ])("agrees with the reference: $name", ({ physicalAddressBits }) => {
    const random = new Random(SEED + physicalAddressBits);
    const machine = new TranslationMachine({ physicalAddressBits });
    const outcomes = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const bigEndian = round % 4 === 3;
      fillTables(machine, random, bigEndian);
      for (let index = 0; index < CASES_A_ROUND; index++) {
        if (index % 5 === 0) machine.setRegisters(randomRegisters(random, bigEndian));
        compareCase(machine, random, outcomes);
      }
    }
    for (const outcome of [
      "success",
      "success of both stages",
      "updates",
      "alignment10",
      "alignment20",
      "permission13",
      "permission23",
      "accessFlag13",
      "accessFlag23",
      "translation10",
      "translation13",
      "translation20",
      "translation23",
      "addressSize10",
      "addressSize13",
      "addressSize23",
      "externalAbortOnWalk13",
    ]) {
      expect(outcomes.get(outcome) ?? 0, `${outcome} of ${JSON.stringify([...outcomes])}`).toBeGreaterThan(1);
    }
  });
});
