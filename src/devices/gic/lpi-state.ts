import { arrayField, flagField, type StateField } from "../../base/state-fields.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { FIRST_LPI, GICD_CTLR, IDLE_PRIORITY } from "./constants.ts";
import { type DistributorControl, securityDisabled } from "./interrupt-bank.ts";

/** Bits of an LPI's INTID: GICD_TYPER.IDbits + 1. */
export const LPI_ID_BITS = 16;
const INTIDS = 2 ** LPI_ID_BITS;
const WORDS = INTIDS / 32;

/** GICR_PROPBASER: OuterCache, Physical_Address[51:12], Shareability, InnerCache, IDbits. Halves, low first. */
const PROPERTY_WRITABLE = [0xffff_ff9f, 0x070f_ffff] as const;
/** GICR_PENDBASER without PTZ, which reads as zero. */
const PENDING_WRITABLE = [0xffff_0f80, 0x070f_ffff] as const;
const PENDING_TABLE_ZERO = 1 << 30;

/** A byte of the configuration table: priority in bits 7:2, enable in bit 0 (IHI 0069, 5.1.1). */
const CONFIGURATION = { PRIORITY: 0xfc, ENABLE: 1 } as const;

/**
 * The LPIs of one processing element (IHI 0069, 5.1 and 5.2). While EnableLPIs is set, which are pending is
 * kept here; the pending table in memory is read when LPIs are enabled and written back when they are disabled.
 * The configuration table is always read from memory: a driver that changes it sends INV all the same.
 */
export class LpiState {
  /** GICR_CTLR.EnableLPIs. */
  enabled = false;
  /** GICR_PROPBASER and GICR_PENDBASER, in halves. */
  readonly propertyBase = new Uint32Array(2);
  readonly pendingBase = new Uint32Array(2);
  /** The pending, enabled LPI of the lowest priority value, the lowest INTID among equals. */
  bestIntid = 0;
  bestPriority = IDLE_PRIORITY;
  /** GICR_PENDBASER.PTZ as last written. */
  #startsEmpty = false;
  readonly #pending = new Uint32Array(WORDS);
  /** A bit for each word of `#pending` that is not zero. */
  readonly #filled = new Uint32Array(WORDS / 32);
  #stale = false;
  readonly #memory: GuestMemory;
  readonly #control: DistributorControl;
  readonly #changed: () => void;

  /** `changed` is called when the best LPI may be another one. */
  constructor(memory: GuestMemory, control: DistributorControl, changed: () => void) {
    this.#memory = memory;
    this.#control = control;
    this.#changed = changed;
  }

  reset(): void {
    this.enabled = false;
    this.#startsEmpty = false;
    this.propertyBase.fill(0);
    this.pendingBase.fill(0);
    this.#empty();
  }

  writePropertyBase(half: number, value: number): void {
    if (!this.enabled) this.propertyBase[half] = value & PROPERTY_WRITABLE[half]!;
  }

  writePendingBase(half: number, value: number): void {
    if (this.enabled) return;
    this.pendingBase[half] = value & PENDING_WRITABLE[half]!;
    if (half === 1) this.#startsEmpty = (value & PENDING_TABLE_ZERO) !== 0;
  }

  setEnabled(enabled: boolean): void {
    if (enabled === this.enabled) return;
    if (enabled) {
      this.enabled = true;
      if (!this.#startsEmpty) this.#load();
    } else {
      this.#store();
      this.#empty();
      this.enabled = false;
    }
    this.invalidate();
  }

  isPending(intid: number): boolean {
    return intid < INTIDS && (this.#pending[intid >>> 5]! & (1 << (intid & 31))) !== 0;
  }

  /** Makes an LPI pending or not. Numbers that are not LPIs here do nothing. */
  setPending(intid: number, pending: boolean): void {
    if (!this.#isOurs(intid)) return;
    const word = intid >>> 5;
    const mask = 1 << (intid & 31);
    this.#setWord(word, pending ? this.#pending[word]! | mask : this.#pending[word]! & ~mask);
    this.invalidate();
  }

  /** Hands the pending state of one LPI over. */
  move(intid: number, target: LpiState): void {
    if (!this.isPending(intid)) return;
    this.setPending(intid, false);
    target.setPending(intid, true);
  }

  /** Hands the pending state of all LPIs over. */
  moveAll(target: LpiState): void {
    if (target === this || !target.enabled) return;
    const limit = Math.min(target.#limit(), INTIDS);
    for (let word = FIRST_LPI / 32; word < limit / 32; word++) {
      if (this.#pending[word] === 0) continue;
      target.#setWord(word, target.#pending[word]! | this.#pending[word]!);
      this.#setWord(word, 0);
    }
    this.invalidate();
    target.invalidate();
  }

  /** Something may have changed in the configuration table, or in what is pending. */
  invalidate(): void {
    this.#stale = true;
    this.#changed();
  }

  /** Finds the best LPI if it may have changed. */
  refresh(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.bestPriority = IDLE_PRIORITY;
    this.bestIntid = 0;
    if ((this.#control.value & GICD_CTLR.ENABLE_GROUP1_NON_SECURE) === 0) return;
    this.#forEach((intid) => {
      const priority = this.#priority(intid);
      if (priority === undefined || priority >= this.bestPriority) return;
      this.bestPriority = priority;
      this.bestIntid = intid;
    });
  }

  stateFields(): readonly StateField[] {
    return [
      flagField(
        "enabled",
        () => this.enabled,
        (value) => {
          this.enabled = value;
        },
      ),
      flagField(
        "startsEmpty",
        () => this.#startsEmpty,
        (value) => {
          this.#startsEmpty = value;
        },
      ),
      arrayField("propertyBase", this.propertyBase),
      arrayField("pendingBase", this.pendingBase),
      arrayField("pending", this.#pending),
    ];
  }

  stateRestored(): void {
    this.#pending.forEach((value, word) => {
      this.#setWord(word, value);
    });
    this.invalidate();
  }

  /** Numbers that registers do not show: what is pending. */
  *state(): Iterable<number> {
    yield this.enabled ? 1 : 0;
    for (let word = 0; word < WORDS; word++) {
      if (this.#pending[word] !== 0) yield* [word, this.#pending[word]!];
    }
  }

  /** The first INTID that the configuration table does not reach. */
  #limit(): number {
    return Math.min(2 ** ((this.propertyBase[0]! & 0x1f) + 1), INTIDS);
  }

  #isOurs(intid: number): boolean {
    return this.enabled && intid >= FIRST_LPI && intid < this.#limit();
  }

  /** Undefined for an LPI that is not enabled, or has no configuration in memory. */
  #priority(intid: number): number | undefined {
    const table = address(this.propertyBase, 0xffff_f000);
    const byte = this.#memory.read8(table + intid - FIRST_LPI);
    if (byte === undefined || (byte & CONFIGURATION.ENABLE) === 0) return undefined;
    const priority = byte & CONFIGURATION.PRIORITY;
    // With two security states the table holds what Non-secure software sees of a priority.
    return securityDisabled(this.#control) ? priority : 0x80 | (priority >>> 1);
  }

  #setWord(word: number, value: number): void {
    this.#pending[word] = value;
    const mask = 1 << (word & 31);
    if (value !== 0) this.#filled[word >>> 5]! |= mask;
    else this.#filled[word >>> 5]! &= ~mask;
  }

  #forEach(action: (intid: number) => void): void {
    this.#filled.forEach((filled, group) => {
      for (let words = filled; words !== 0; words &= words - 1) {
        const word = group * 32 + 31 - Math.clz32(words & -words);
        for (let bits = this.#pending[word]!; bits !== 0; bits &= bits - 1)
          action(word * 32 + 31 - Math.clz32(bits & -bits));
      }
    });
  }

  #empty(): void {
    this.#pending.fill(0);
    this.#filled.fill(0);
    this.invalidate();
  }

  /** Reads the pending table: a bit for each INTID, those below 8192 without meaning. */
  #load(): void {
    const table = address(this.pendingBase, 0xffff_0000);
    const limit = this.#limit();
    for (let word = FIRST_LPI / 32; word < limit / 32; word++)
      this.#setWord(word, this.#memory.read32(table + word * 4) ?? 0);
  }

  #store(): void {
    const table = address(this.pendingBase, 0xffff_0000);
    const limit = this.#limit();
    for (let word = FIRST_LPI / 32; word < limit / 32; word++) {
      const value = this.#pending[word]!;
      if (this.#memory.read32(table + word * 4) !== value) this.#memory.write32(table + word * 4, value);
    }
  }
}

/** The address field of a 64-bit register in halves: bits 51 and down, those of `lowMask` in the low half. */
function address(halves: Uint32Array, lowMask: number): number {
  return (halves[1]! & 0xf_ffff) * 2 ** 32 + ((halves[0]! & lowMask) >>> 0);
}
