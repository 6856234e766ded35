import { describe, expect, it } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { type Access, TranslationHistory } from "../../../test/support/translation-history.ts";
import { halves, probe, RAM_BASE, TranslationMachine } from "../../../test/support/translation-machine.ts";
import { FRAME_FLAGS } from "../../memory/frame-table.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import type { TlbiOperation } from "../tlb-maintenance.ts";
import { type MissFunctions, missFunctions } from "./miss-module.ts";

const STEPS = process.env["ELVISOR_FULL"] === undefined ? 5_000 : 400_000;
const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n) | (1n << 36n);
const REGISTERS = { SCTLR_EL1: 0x1005n, TCR_EL1: TCR, MAIR_EL1: 0x00ffn } as const;
const UPPER = 0xffff_0000_0000_0000n;
const ELEMENTS = 4;
const ASIDS = 6;

const TABLES = Array.from({ length: 20 }, (_, index) => RAM_BASE + 0x20_0000 + index * 0x1000);
const LOWER_ROOTS = TABLES.slice(0, 5);
const UPPER_ROOTS = TABLES.slice(5, 7);
const FRAMES = [
  ...TABLES.slice(4, 12),
  ...[0, 1, 2, 3].map((index) => RAM_BASE + 0x40_0000 + index * 0x1000),
];

/** Addresses whose index is 0 or 1 at every level. */
const PAGES = Array.from({ length: 8 }, (_, bits) =>
  [30n, 21n, 12n].reduce((page, shift, bit) => page | (BigInt((bits >> bit) & 1) << shift), 0n),
).flatMap((page) => [page, page | UPPER]);
const ACCESSES: readonly Access[] = PAGES.flatMap((page) =>
  [0, 1, 2, 3].map((kind) => ({
    address: page | 8n,
    privileged: (kind & 1) !== 0,
    write: (kind & 2) !== 0,
  })),
);

/** Something that a guest might write to a table: absent, a page, a block, a table, whatever its level. */
function descriptor(random: Random): bigint {
  const frame = BigInt(random.pick(random.below(3) === 0 ? FRAMES : TABLES));
  const attributes =
    (BigInt(random.pick([1, 1, 1, 0, 2, 3])) << 6n) |
    (BigInt(random.below(16) === 0 ? 0 : 1) << 10n) |
    (BigInt(random.below(2)) << 11n) |
    (BigInt(random.below(12) === 0 ? 1 : 0) << 2n);
  switch (random.below(24)) {
    case 0:
      return 0n;
    case 1:
      return random.u64() & ~1n;
    case 2:
      // APTable, XNTable, PXNTable.
      return frame | 3n | (BigInt(random.below(16)) << 59n);
    case 3:
      return (BigInt(RAM_BASE) & ~0x3fff_ffffn) | 1n | attributes;
    default:
      return frame | 3n | attributes;
  }
}

/** A table that any walk may have come through must not be written to unnoticed. */
function isTable(machine: TranslationMachine, host: number): boolean {
  const frame = host >>> 12;
  return (machine.frames.flags(frame) & FRAME_FLAGS.TR_PT) !== 0;
}

class Guests {
  readonly machine: TranslationMachine;
  readonly history: TranslationHistory;
  readonly random: Random;
  readonly spaces: { asid: number; lower: number; upper: number }[] = [];
  hits = 0;
  /** What generated code would call when the soft TLB misses. */
  readonly #misses: MissFunctions[];

  constructor(
    random: Random,
    tlbi: "full" | "incremental",
    limits: { tables?: number; records?: number; check?: boolean },
  ) {
    this.random = random;
    this.machine = new TranslationMachine({
      elements: ELEMENTS,
      shadow: { addressSpaces: 4, tlbi, ...limits },
    });
    const { map, shadow, elements } = this.machine;
    this.#misses = elements.map(({ mmu: { access } }) => {
      const host: MissFunctions = {
        slowLoad: (_, ...operands) => access.load(...operands),
        slowStore: (_, ...operands) => access.store(...operands),
        prepareWrite: (_, ...operands) => access.prepareWrite(...operands),
      };
      return limits.check === true ? host : missFunctions({ map, buffers: shadow!.buffers }, host);
    });
    for (const table of TABLES) for (const index of [0, 1]) this.#write(table + index * 8);
    this.history = new TranslationHistory(this.machine, {
      registers: REGISTERS,
      roots: [...LOWER_ROOTS, ...UPPER_ROOTS],
      accesses: ACCESSES,
      tables: [...TABLES, ...FRAMES],
      // Leaves are read when they are needed, entries above them when shadow tables were brought up to date.
      mixes: tlbi === "full",
    });
    for (let element = 0; element < ELEMENTS; element++) this.switchSpace(element);
  }

  #write(address: number): void {
    this.machine.write64(address, descriptor(this.random));
  }

  switchSpace(element: number): void {
    const { random, machine } = this;
    const asid = random.below(ASIDS);
    const lower = random.pick(LOWER_ROOTS);
    const upper = random.pick(UPPER_ROOTS);
    const before = this.spaces[element];
    if (before !== undefined) this.history.left(element, before.asid, [before.lower, before.upper]);
    this.spaces[element] = { asid, lower, upper };
    const values = { TTBR0_EL1: BigInt(lower) | (BigInt(asid) << 48n), TTBR1_EL1: BigInt(upper) };
    if (machine.elements[element]!.registers.TCR_EL1 === undefined) {
      machine.setRegisters({ ...REGISTERS, ...values }, element);
    } else machine.change(values, element);
    machine.enter({ el: random.below(2) === 0 ? 0 : 1 }, element);
  }

  /** Somebody writes to a table: another machine's device, or an instruction through whatever maps it. */
  writeTable(): void {
    this.#write(this.random.pick(TABLES) + this.random.below(2) * 8);
    this.history.tablesChanged();
  }

  invalidate(element: number): void {
    const { random, machine, history } = this;
    const shared = random.below(2) === 0;
    const affected = shared ? machine.elements.keys() : [element];
    const asid = random.below(ASIDS);
    const address = random.pick(PAGES);
    const name: TlbiOperation = random.pick(["VMALLE1", "ASIDE1", "VAE1", "VALE1", "VAAE1"]);
    const what =
      name === "VMALLE1"
        ? {}
        : name === "ASIDE1"
          ? { asid }
          : name === "VAAE1"
            ? { address }
            : { asid, address };
    const operand = (BigInt(asid) << 48n) | ((address >> 12n) & 0xfff_ffff_ffffn);
    machine.elements[element]!.mmu.invalidate(name, name === "VMALLE1" ? 0n : operand, shared);
    for (const each of affected) history.invalidate(each, what);
  }

  /** As generated code does it: what the soft TLB has, otherwise the slow path. */
  access(element: number): void {
    const { machine, random, history } = this;
    // Mostly what was used before, mostly reading.
    const page = random.below(4) === 0 ? random.below(PAGES.length) : element * 2 + random.below(2);
    const number = page * 4 + random.pick([0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3]);
    const { address, privileged, write } = ACCESSES[number]!;
    machine.enter({ el: privileged ? 1 : 0 }, element);
    const { asid, lower, upper } = this.spaces[element]!;
    const root = address >= UPPER ? upper : lower;
    const { base, mmu } = machine.elements[element]!;
    const { access } = mmu;
    const misses = this.#misses[element]!;
    const tag = write ? SOFT_TLB.WRITE_TAG : SOFT_TLB.READ_TAG;
    const fast = probe(machine, { address, size: 8, tag, element });
    const scratch = base + PE_LAYOUT.SCRATCH;
    const value = descriptor(random);
    if (fast !== undefined) {
      this.hits++;
      expect(history.judge(element, asid, root, number, fast)).toBeUndefined();
      if (write) machine.memory.view.setBigUint64(fast, value, true);
      expect(write && isTable(machine, fast)).toBe(false);
    } else if (write) {
      const allowed = this.#before(element, asid, root, number);
      machine.memory.view.setBigUint64(scratch, value, true);
      const result = misses.slowStore(base, ...halves(address), 8, 0);
      expect(allowed(result === 1 ? -1 - access.fault!.status : 0)).toBeUndefined();
    } else {
      const host = misses.slowLoad(base, ...halves(address), 8, 0);
      const answer = host === 0 ? -1 - access.fault!.status : host;
      // An external abort: the walk ended outside of memory.
      if (host !== 0 || access.fault!.kind !== "externalAbort") {
        expect(history.judge(element, asid, root, number, answer)).toBeUndefined();
      }
    }
    if (write) history.tablesChanged();
  }

  /** A store that happens may change what it is judged by: so the judgement of a fault comes first. */
  #before(element: number, asid: number, root: number, number: number) {
    const now = this.history.walk(root, ACCESSES[number]!).answer;
    return (answer: number): string | undefined => {
      if (answer >= 0 || answer === now) return undefined;
      if (this.machine.elements[element]!.mmu.access.fault?.kind === "externalAbort") return undefined;
      return `element ${element}, ASID ${asid}: fault ${-1 - answer} where a walk has ${now}`;
    };
  }
}

describe("random guests with shadow tables", () => {
  const kinds = [
    ["incremental", {}],
    ["incremental", { check: true }],
    ["full", {}],
    ["full", { check: true }],
    ["incremental", { tables: 12 }],
    ["incremental", { records: 16 }],
  ] as const;
  it.each(kinds)("%s %o: are never told what a machine without a TLB would not tell", (tlbi, limits) => {
    const random = Random.ofThisRun();
    const guests = new Guests(random, tlbi, limits);
    const { machine } = guests;
    for (let step = 0; step < STEPS; step++) {
      const element = random.below(ELEMENTS);
      machine.shadow!.buffers.turnOf(element);
      const what = random.below(40);
      try {
        if (what < 2) guests.switchSpace(element);
        else if (what < 4) guests.invalidate(element);
        else if (what < 5) guests.writeTable();
        else guests.access(element);
        if (step % 16 === 0) {
          machine.shadow!.drain();
          expect(machine.shadow!.difference()).toBeUndefined();
        }
      } catch (error) {
        throw new Error(`ELVISOR_SEED=${random.seed}, step ${step}`, { cause: error });
      }
    }
    const { statistics, buffers } = machine.shadow!;
    expect(guests.hits).toBeGreaterThan(STEPS / 40);
    expect(buffers.records).toBeGreaterThan(STEPS / 100);
    expect(statistics.lostUpdates).toBe(0);
    const served = machine.elements.map(
      ({ base }) => machine.memory.doubleWords[(base + PE_LAYOUT.SHADOW_FILLS) >>> 3],
    );
    expect(served.every((count) => "check" in limits || count! > 0n)).toBe(true);
    expect(machine.elements[0]!.mmu.context.reassignments).toBeGreaterThan(STEPS / 200);
    if (!("records" in limits)) expect(buffers.overflows).toBe(0);
  });
});
