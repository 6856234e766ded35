import { NO_FAULT } from "../../src/mmu/memory-fault.ts";
import { Stage1Configuration } from "../../src/mmu/regime.ts";
import { REQUEST } from "../../src/mmu/walk-request.ts";
import { Walker } from "../../src/mmu/walker.ts";
import { halves, type RegisterValues, type TranslationMachine } from "./translation-machine.ts";

/** What an access comes to: the host address of its first byte, or a fault status below zero. */
export type Answer = number;

export interface Access {
  readonly address: bigint;
  readonly privileged: boolean;
  readonly write: boolean;
}

interface Period {
  readonly answer: Answer;
  readonly global: boolean;
  /** The step at which it stopped being true; infinite for the last. */
  until: number;
}

/** What table entries on the way to a leaf have in common. */
interface MixedWay {
  readonly table: number;
  readonly level: number;
  /** The step at which the first of the values stopped being true. */
  readonly until: number;
  /** APTable of the entries so far. */
  readonly readOnly: boolean;
  readonly privilegedOnly: boolean;
}

/** One entry of a table, while it had a value. */
interface EntryPeriod {
  readonly value: bigint;
  until: number;
}

/** The steps at which an element last executed each kind of invalidation. */
class Invalidations {
  all = -1;
  readonly byAsid = new Map<number, number>();
  readonly byAddress = new Map<bigint, number>();
  readonly byBoth = new Map<string, number>();
  /** By ASID, or "any", and root: when the element last stopped using it. */
  readonly leftAt = new Map<string, number>();
}

/**
 * The judge of a TLB: a machine without one, which remembers what each access would have come to and when it
 * changed. A TLB may answer with what is true now, and for successful accesses also with what was true at some
 * time after the last invalidation that covers it (Arm ARM, D8.13 to D8.14). With `mixes` it may have kept entries of
 * single tables on the way, too, each from a time of its own, as caches of intermediate levels do.
 */
export class TranslationHistory {
  step = 0;
  /** Answers that were not those of now. */
  staleAnswers = 0;
  readonly #machine: TranslationMachine;
  readonly #walker: Walker;
  readonly #configurations = new Map<number, Stage1Configuration>();
  readonly #periods = new Map<string, Period[]>();
  readonly #accesses: readonly Access[];
  readonly #invalidations: Invalidations[];
  /** By address; of the tables' first two entries, as no access needs others. */
  readonly #entries = new Map<number, EntryPeriod[]>();

  constructor(
    machine: TranslationMachine,
    options: {
      registers: RegisterValues;
      roots: readonly number[];
      accesses: readonly Access[];
      /** Everything that a walk may come through. */
      tables: readonly number[];
      mixes: boolean;
    },
  ) {
    this.#machine = machine;
    this.#walker = new Walker(machine.map, machine.store);
    this.#accesses = options.accesses;
    this.#invalidations = machine.elements.map(() => new Invalidations());
    if (options.mixes) {
      for (const table of options.tables)
        for (const index of [0, 1]) this.#entries.set(table + index * 8, []);
    }
    const { registers } = options;
    for (const root of options.roots) {
      this.#configurations.set(
        root,
        new Stage1Configuration({
          regime: "EL1&0",
          sctlr: registers.SCTLR_EL1 ?? 0n,
          tcr: registers.TCR_EL1 ?? 0n,
          mair: registers.MAIR_EL1 ?? 0n,
          ttbr0: BigInt(root),
          ttbr1: BigInt(root),
          hcr: 0n,
          secureFetchOnly: false,
          physicalAddressBits: 48,
        }),
      );
    }
    this.tablesChanged();
  }

  /** What the access comes to by a walk from a root, now. */
  walk(root: number, access: Access): { answer: Answer; global: boolean } {
    const walker = this.#walker;
    const request = (access.privileged ? REQUEST.PRIVILEGED : 0) | (access.write ? REQUEST.WRITE : 0);
    const [low, high] = halves(access.address);
    const status = walker.translate(this.#configurations.get(root)!, undefined, low, high, request);
    if (status !== NO_FAULT) return { answer: -1 - status, global: true };
    const host = this.#machine.map.hostAddress(walker.outLow, walker.outHigh, false);
    return { answer: host, global: walker.global };
  }

  /** To be called after every write that may have been to a table. */
  tablesChanged(): void {
    this.step++;
    for (const [address, periods] of this.#entries) {
      const value = this.#machine.read64(address);
      const last = periods.at(-1);
      if (last?.value === value) continue;
      if (last !== undefined) last.until = this.step;
      periods.push({ value, until: Number.POSITIVE_INFINITY });
      if (periods.length > 64) periods.shift();
    }
    for (const root of this.#configurations.keys()) {
      for (const [number, access] of this.#accesses.entries()) {
        const { answer, global } = this.walk(root, access);
        const key = `${root} ${number}`;
        const periods = this.#periods.get(key) ?? [];
        if (periods.length === 0) this.#periods.set(key, periods);
        const last = periods.at(-1);
        if (last?.answer === answer && last.global === global) continue;
        if (last !== undefined) last.until = this.step;
        periods.push({ answer, global, until: Number.POSITIVE_INFINITY });
        if (periods.length > 64) periods.shift();
      }
    }
  }

  /** A TLBI on one element. */
  invalidate(element: number, what: { asid?: number; address?: bigint }): void {
    const invalidations = this.#invalidations[element]!;
    this.step++;
    const { asid, address } = what;
    if (asid === undefined && address === undefined) invalidations.all = this.step;
    else if (address === undefined) invalidations.byAsid.set(asid!, this.step);
    else if (asid === undefined) invalidations.byAddress.set(address, this.step);
    else invalidations.byBoth.set(`${asid} ${address}`, this.step);
  }

  /** The registers of an element no longer have these roots with this ASID. */
  left(element: number, asid: number, roots: readonly number[]): void {
    this.step++;
    const { leftAt } = this.#invalidations[element]!;
    for (const root of roots) {
      leftAt.set(`${asid} ${root}`, this.step);
      leftAt.set(`any ${root}`, this.step);
    }
  }

  /** Why an answer must not have been given, or undefined. */
  judge(element: number, asid: number, root: number, number: number, answer: Answer): string | undefined {
    const access = this.#accesses[number]!;
    const now = this.walk(root, access).answer;
    if (answer === now) return undefined;
    if (answer >= 0) {
      if (this.#wasTrue({ element, asid, root, number, answer })) {
        this.staleAnswers++;
        return undefined;
      }
    }
    return `element ${element}, ASID ${asid}, root ${root.toString(16)}, access ${number}: ${answer} instead of ${now}`;
  }

  /**
   * The answer was true since what is in the TLB may have been put there: by tables of now, or by those that the
   * element had before without an invalidation since.
   */
  #wasTrue(claim: { element: number; asid: number; root: number; number: number; answer: Answer }): boolean {
    const { element, asid, number, answer } = claim;
    const access = this.#accesses[number]!;
    const { leftAt } = this.#invalidations[element]!;
    for (const root of this.#configurations.keys()) {
      for (const period of this.#periods.get(`${root} ${number}`)!) {
        if (period.answer !== answer) continue;
        const used =
          root === claim.root
            ? Number.POSITIVE_INFINITY
            : (leftAt.get(`${period.global ? "any" : asid} ${root}`) ?? -1);
        if (Math.min(period.until, used) > this.#since(element, asid, access, period)) return true;
      }
      const isIt = (output: bigint, global: boolean, until: number): boolean => {
        const used = root === claim.root ? until : (leftAt.get(`${global ? "any" : asid} ${root}`) ?? -1);
        if (Math.min(until, used) <= this.#since(element, asid, access, { global })) return false;
        const [low, high] = halves(output);
        return this.#machine.map.hostAddress(low, high, false) === answer;
      };
      const way: MixedWay = {
        ...{ table: root, level: 0, until: Number.POSITIVE_INFINITY },
        ...{ readOnly: false, privilegedOnly: false },
      };
      if (this.#someMix(access, way, isIt)) return true;
    }
    return false;
  }

  /** Whether `isIt` holds for some walk of 4 levels that allows the access, through values that the tables had. */
  #someMix(
    access: Access,
    way: MixedWay,
    isIt: (output: bigint, global: boolean, until: number) => boolean,
  ): boolean {
    const { table, level } = way;
    const shift = BigInt(39 - 9 * level);
    const index = Number((access.address >> shift) & 511n);
    const inside = (1n << shift) - 1n;
    const bit = (value: bigint, position: bigint): boolean => ((value >> position) & 1n) === 1n;
    return (this.#entries.get(table + index * 8) ?? []).some(({ value, until: own }) => {
      if (!bit(value, 0n)) return false;
      const until = Math.min(way.until, own);
      const next = value & 0xffff_ffff_f000n;
      if (bit(value, 1n) && level < 3) {
        const readOnly = way.readOnly || bit(value, 62n);
        const privilegedOnly = way.privilegedOnly || bit(value, 61n);
        const below = { table: Number(next), level: level + 1, until, readOnly, privilegedOnly };
        return this.#someMix(access, below, isIt);
      }
      if (!bit(value, 1n) && (level === 0 || level === 3)) return false;
      const writable = !way.readOnly && !bit(value, 7n);
      const unprivileged = !way.privilegedOnly && bit(value, 6n);
      const allowed = bit(value, 10n) && (writable || !access.write) && (unprivileged || access.privileged);
      return allowed && isIt((next & ~inside) | (access.address & inside), !bit(value, 11n), until);
    });
  }

  #since(element: number, asid: number, access: Access, { global }: Pick<Period, "global">): number {
    const { all, byAsid, byAddress, byBoth } = this.#invalidations[element]!;
    const page = access.address & ~0xfffn;
    let both = byBoth.get(`${asid} ${page}`) ?? -1;
    if (global) for (let any = 0; any < 16; any++) both = Math.max(both, byBoth.get(`${any} ${page}`) ?? -1);
    return Math.max(all, both, byAddress.get(page) ?? -1, global ? -1 : (byAsid.get(asid) ?? -1));
  }
}
