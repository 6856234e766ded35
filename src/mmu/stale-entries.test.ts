import { describe, expect, it } from "vitest";
import { Random } from "../../test/support/random.ts";
import { TableBuilder } from "../../test/support/table-builder.ts";
import {
  halves,
  installExecute,
  probe,
  RAM_BASE,
  TranslationMachine,
} from "../../test/support/translation-machine.ts";
import { accessFlags } from "../memory/access-flags.ts";
import { SOFT_TLB } from "../memory/pe-layout.ts";
import { NO_FAULT } from "./memory-fault.ts";
import type { TlbiOperation } from "./tlb-maintenance.ts";
import { doubleWord } from "./translation-registers.ts";
import { REQUEST } from "./walk-request.ts";

const SEED = Number(process.env["ELVISOR_SEED"] ?? 7);
const STEPS = 20_000;
const DATA = RAM_BASE + 0x60_0000;
const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n) | (1n << 36n);
const UPPER = 0xffff_0000_0000_0000n;
/** Pages that fall on few entries of the soft TLB, in both halves, some inside a block. */
const PAGES = [0x1000n, 0x2000n, 0x40_1000n, 0x40_2000n, 0x100_1000n, 0x140_2000n, 0x7f_f000n].flatMap(
  (page) => [page, page | UPPER],
);
const ASIDS = 3;

/**
 * A system that follows the architecture's rules: after each change of a table it invalidates what it
 * changed, and nothing more. Then whatever the soft TLB answers must be what a walk finds now.
 */
describe("the soft TLB under random use", () => {
  it("never answers what a walk would not", () => {
    const random = new Random(SEED);
    const machine = new TranslationMachine({ elements: 2 });
    const spaces = [0, 1, 2].map(
      (index) => new TableBuilder(machine, { area: RAM_BASE + 0x20_0000 + index * 0x8_0000 }),
    );
    const kernel = new TableBuilder(machine, { area: RAM_BASE + 0x40_0000 });
    const enterSpace = (element: number, asid: number) => {
      machine.change({ TTBR0_EL1: BigInt(spaces[asid]!.root) | (BigInt(asid) << 48n) }, element);
    };
    for (const element of [0, 1]) {
      machine.setRegisters(
        { SCTLR_EL1: 0x1005n, TCR_EL1: TCR, TTBR1_EL1: BigInt(kernel.root), MAIR_EL1: 0xffn },
        element,
      );
      enterSpace(element, 0);
    }
    let hits = 0;
    let traced = -1;
    const check = (element: number) => {
      const { context, access } = machine.elements[element]!.mmu;
      const address = random.pick(PAGES) + BigInt(random.below(4000));
      const unprivileged = random.below(2) === 0;
      const tag = random.pick([SOFT_TLB.READ_TAG, SOFT_TLB.WRITE_TAG, SOFT_TLB.EXECUTE_TAG]);
      const answer = probe(machine, { address, tag, unprivileged, element });
      if (answer === undefined) return;
      hits++;
      const view = unprivileged ? context.unprivileged : context.ordinary;
      const kind =
        tag === SOFT_TLB.WRITE_TAG ? REQUEST.WRITE : tag === SOFT_TLB.EXECUTE_TAG ? REQUEST.EXECUTE : 0;
      const status = access.walker.translate(view.stage1, undefined, ...halves(address), view.request | kind);
      const label = `seed ${SEED}, 0x${address.toString(16)}, tag ${tag}`;
      expect(status, label).toBe(NO_FAULT);
      expect(answer, label).toBe(machine.host(access.walker.describe().address));
      if (tag === SOFT_TLB.WRITE_TAG) expect(answer >>> 12, label).not.toBe(traced);
    };
    const remap = (element: number) => {
      const page = random.pick(PAGES);
      const isUpper = page >= UPPER;
      const asid = random.below(ASIDS);
      const tables = isUpper ? kernel : spaces[asid]!;
      const global = isUpper && random.below(8) !== 0;
      const isBlock = (page & 0xe0_0000n) === 0x40_0000n;
      const rights = (random.below(4) === 0 ? 0n : 0x400n) | (BigInt(random.below(4)) << 6n);
      const target = isBlock ? RAM_BASE + 0x20_0000 * random.below(4) : DATA + 4096 * random.below(16);
      const valid = random.below(5) === 0 ? 0n : isBlock ? 1n : 3n;
      const slot = tables.descriptorAddress(page, isBlock ? 2 : 3);
      const wasGlobal = isUpper && (machine.read64(slot) & 0x800n) === 0n;
      machine.write64(slot, BigInt(target) | 0x300n | rights | (global ? 0n : 0x800n) | valid);
      // Any page of a block may be named.
      const named = isBlock ? page + BigInt(random.below(512) * 4096) : page;
      const operand = ((named >> 12n) & 0xfff_ffff_ffffn) | (BigInt(asid) << 48n);
      // A leaf of the upper half is in all address spaces' tables, so its change concerns each of them.
      const forAll: readonly TlbiOperation[] = ["VAAE1", "VAALE1", "VMALLE1", "ALLE1"];
      const forOne: readonly TlbiOperation[] = ["VAE1", "VALE1", "ASIDE1", ...forAll];
      const operation = random.pick(
        isUpper && !wasGlobal ? forAll : isUpper ? ["VAE1" as const, ...forAll] : forOne,
      );
      machine.elements[element]!.mmu.invalidate(operation, operand, true);
    };
    const flags = accessFlags({ unprivileged: true });
    for (let step = 0; step < STEPS; step++) {
      const element = random.below(2);
      const { access } = machine.elements[element]!.mmu;
      const [low, high] = halves(random.pick(PAGES));
      switch (random.below(12)) {
        case 0:
          remap(element);
          break;
        case 1:
          enterSpace(element, random.below(ASIDS));
          break;
        case 2:
          machine.enter(
            { el: random.pick([0, 1, 1]), pan: random.below(2) === 0, uao: random.below(4) === 0 },
            element,
          );
          break;
        case 3: {
          if (traced >= 0) machine.store.trace.remove(traced, "TR_MON");
          traced = (machine.host(DATA) >>> 12) + random.below(16);
          machine.store.trace.add(traced, "TR_MON");
          break;
        }
        case 4:
        case 5: {
          if (access.fetch(low, high) !== 0) installExecute(machine, doubleWord(low, high), 0, element);
          break;
        }
        case 6:
        case 7:
          if (access.prepareWrite(low, high, 4, random.pick([0, flags])) === 0)
            expect(access.fault).toBeDefined();
          break;
        default:
          access.load(low, high, 4, random.pick([0, flags]));
      }
      for (let index = 0; index < 8; index++) check(random.below(2));
    }
    expect(hits).toBeGreaterThan(STEPS / 8);
  });
});
