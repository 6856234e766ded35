import { flagField, numberField, type StateField, u64Field } from "../base/state-fields.ts";
import { GWB_RECORD } from "../memory/guest-write-buffer.ts";
import type { MachineMemory } from "../memory/machine-memory.ts";
import { FRAME_SIZE } from "../memory/machine-memory.ts";
import { MAP_ENTRY } from "../memory/physical-map.ts";
import type { TracedMemory } from "../memory/traced-memory.ts";

/** Fields of GWBCTL_EL2. */
export const GWBCTL = {
  /** Records are written to the ring. Reads back 0 where the ring cannot be used. */
  EN: 1n << 0n,
  /** A record found no room, or the consumer index was outside of the ring. Stays until 0 is written. */
  OVF: 1n << 1n,
  /** The ring that was to be used is not 64-byte aligned or not in RAM. Read-only. */
  ERR: 1n << 2n,
  /** Read-only: at least three quarters of the ring are in use. */
  HIGH: 1n << 3n,
  /** log2 of the ring's records, 3 to 12; other values mean the nearer of these. */
  SIZE_SHIFT: 8n,
  SIZE_MASK: 15n,
} as const;

const ALIGNMENT = 64;
const INDEX_MASK = 0xffff_ffff;

/**
 * The ring in guest memory to which software at EL2 lets the MMU of one element write its records (row M1):
 * what GWBBASE_EL2, GWBCTL_EL2, GWBPROD_EL2 and GWBCONS_EL2 reach. Indices count records modulo 2^32; a
 * record's place is its index modulo the ring's size.
 */
export class GuestRing {
  readonly #memory: MachineMemory;
  readonly #guest: TracedMemory;
  readonly #onChange: (enabled: boolean) => void;
  #base = 0n;
  #enabled = false;
  #overflow = false;
  #error = false;
  #logSize = 3;
  #produced = 0;
  #consumed = 0;
  #writing = false;

  /** `onChange` hears whether records are wanted. */
  constructor(memory: MachineMemory, guest: TracedMemory, onChange: (enabled: boolean) => void) {
    this.#memory = memory;
    this.#guest = guest;
    this.#onChange = onChange;
  }

  reset(): void {
    this.#base = 0n;
    this.#overflow = false;
    this.#error = false;
    this.#logSize = 3;
    this.#produced = 0;
    this.#consumed = 0;
    this.#enable(false);
  }

  stateFields(): readonly StateField[] {
    return [
      u64Field(
        "base",
        () => this.#base,
        (value) => {
          this.#base = value;
        },
      ),
      flagField(
        "enabled",
        () => this.#enabled,
        (value) => {
          this.#enabled = value;
        },
      ),
      flagField(
        "overflow",
        () => this.#overflow,
        (value) => {
          this.#overflow = value;
        },
      ),
      flagField(
        "error",
        () => this.#error,
        (value) => {
          this.#error = value;
        },
      ),
      numberField(
        "logSize",
        12,
        () => this.#logSize,
        (value) => {
          this.#logSize = value;
        },
        3,
      ),
      numberField(
        "produced",
        0xffff_ffff,
        () => this.#produced,
        (value) => {
          this.#produced = value;
        },
      ),
      numberField(
        "consumed",
        0xffff_ffff,
        () => this.#consumed,
        (value) => {
          this.#consumed = value;
        },
      ),
    ];
  }

  stateRestored(): void {
    const error = this.#error;
    this.#enable(this.#enabled);
    this.#error ||= error;
  }

  get base(): bigint {
    return this.#base;
  }

  set base(value: bigint) {
    this.#base = value;
    if (this.#enabled) this.#enable(true);
  }

  get control(): bigint {
    return (
      (this.#enabled ? GWBCTL.EN : 0n) |
      (this.#overflow ? GWBCTL.OVF : 0n) |
      (this.#error ? GWBCTL.ERR : 0n) |
      (this.#used >= this.#size * 0.75 ? GWBCTL.HIGH : 0n) |
      (BigInt(this.#logSize) << GWBCTL.SIZE_SHIFT)
    );
  }

  set control(value: bigint) {
    const logSize = Number((value >> GWBCTL.SIZE_SHIFT) & GWBCTL.SIZE_MASK);
    this.#logSize = Math.min(Math.max(logSize, 3), 12);
    if ((value & GWBCTL.OVF) === 0n) this.#overflow = false;
    this.#enable((value & GWBCTL.EN) !== 0n);
  }

  get produced(): bigint {
    return BigInt(this.#produced);
  }

  get consumed(): bigint {
    return BigInt(this.#consumed);
  }

  /** What has been consumed lies between what was before and what was produced; anything else is an overflow. */
  set consumed(value: bigint) {
    const index = Number(value & BigInt(INDEX_MASK));
    const isInside = ((this.#produced - index) & INDEX_MASK) >>> 0 <= this.#size;
    this.#consumed = isInside ? index : this.#produced;
    if (!isInside) this.#overflow = true;
  }

  /** Copies the record at host address `record`. */
  append(record: number): void {
    // A ring may lie in a translation table: its own writes are not reported.
    if (!this.#enabled || this.#writing) return;
    if (this.#used >= this.#size) {
      this.#overflow = true;
      return;
    }
    const at = Number(this.#base) + (this.#produced % this.#size) * GWB_RECORD.SIZE;
    const bytes = this.#memory.bytes.slice(record, record + GWB_RECORD.SIZE);
    this.#writing = true;
    const written = this.#guest.write(at, bytes);
    this.#writing = false;
    if (written) this.#produced = (this.#produced + 1) >>> 0;
    else this.#enable(true);
  }

  get #size(): number {
    return 1 << this.#logSize;
  }

  get #used(): number {
    return (this.#produced - this.#consumed) >>> 0;
  }

  #enable(wanted: boolean): void {
    const usable = this.#isUsable();
    this.#enabled = wanted && usable;
    this.#error = wanted && !usable;
    this.#onChange(this.#enabled);
  }

  #isUsable(): boolean {
    const base = Number(this.#base);
    if (base % ALIGNMENT !== 0 || base + this.#size * GWB_RECORD.SIZE > 2 ** 48) return false;
    const end = base + this.#size * GWB_RECORD.SIZE;
    for (let page = base - (base % FRAME_SIZE); page < end; page += FRAME_SIZE) {
      const entry = this.#guest.map.entryAt(page, this.#guest.secure);
      if ((entry & MAP_ENTRY.KIND_MASK) !== MAP_ENTRY.RAM) return false;
    }
    return true;
  }
}
