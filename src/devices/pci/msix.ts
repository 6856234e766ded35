import { arrayField, type StateField } from "../../base/state-fields.ts";
import type { AccessWidth } from "../../memory/mmio-device.ts";
import type { ConfigurationSpace } from "./configuration-space.ts";
import { CAPABILITY } from "./constants.ts";

/** A table entry: address, data, vector control (PCI 3.0, section 6.8.2). */
const ENTRY_BYTES = 16;
const MASKED = 1;

/** Message control, after the capability's id and link. */
const CONTROL = 2;
const ENABLE = 1 << 15;
const FUNCTION_MASK = 1 << 14;

/** A BAR of this size holds the table from 0 on and the pending bits in its second half. */
export const MSIX_BAR_SIZE = 0x1000;
const PENDING_BITS = MSIX_BAR_SIZE / 2;
export const MOST_MSIX_VECTORS = PENDING_BITS / ENTRY_BYTES;

/** MSI-X of one function: capability, table, and the pending bit array. */
export class MsiX {
  readonly vectors: number;
  readonly #configuration: ConfigurationSpace;
  readonly #capability: number;
  readonly #table: DataView;
  readonly #pending: Uint8Array;
  readonly #send: (address: number, data: number) => void;

  /** `vectors` is 1 to 128. `send` writes a message to a bus address. */
  constructor(
    configuration: ConfigurationSpace,
    options: { bar: number; vectors: number },
    send: (address: number, data: number) => void,
  ) {
    this.#configuration = configuration;
    this.#send = send;
    this.vectors = Math.min(options.vectors, MOST_MSIX_VECTORS);
    const body = new Uint8Array(10);
    const view = new DataView(body.buffer);
    view.setUint16(0, this.vectors - 1, true);
    view.setUint32(2, options.bar, true);
    view.setUint32(6, PENDING_BITS | options.bar, true);
    this.#capability = configuration.addCapability(CAPABILITY.MSIX, body);
    configuration.allow(this.#capability + CONTROL, ENABLE | FUNCTION_MASK, 2);
    this.#table = new DataView(new ArrayBuffer(this.vectors * ENTRY_BYTES));
    this.#pending = new Uint8Array(Math.ceil(this.vectors / 64) * 8);
    this.reset();
  }

  reset(): void {
    for (let vector = 0; vector < this.vectors; vector++) {
      for (let word = 0; word < 3; word++) this.#table.setUint32(vector * ENTRY_BYTES + 4 * word, 0, true);
      this.#table.setUint32(vector * ENTRY_BYTES + 12, MASKED, true);
    }
    this.#pending.fill(0);
  }

  /** Messages replace the interrupt pin. */
  get enabled(): boolean {
    return (this.#control & ENABLE) !== 0;
  }

  get #control(): number {
    return this.#configuration.read(this.#capability + CONTROL, 2);
  }

  /** Sends a vector's message, or remembers it while masked. Vectors that are not there do nothing. */
  raise(vector: number): void {
    if (vector >= this.vectors || !this.enabled) return;
    if (this.#isMasked(vector)) this.#pending[vector >> 3]! |= 1 << (vector & 7);
    else this.#message(vector);
  }

  /** After a write to configuration space: what was only held back by a mask goes out. */
  controlChanged(): void {
    if (!this.enabled) return;
    for (let vector = 0; vector < this.vectors; vector++) this.#release(vector);
  }

  read(offset: number, width: AccessWidth): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#byte(offset + i);
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (offset + width > this.#table.byteLength) return;
    for (let i = 0; i < width; i++) this.#table.setUint8(offset + i, (value >>> (8 * i)) & 0xff);
    const vector = Math.floor(offset / ENTRY_BYTES);
    // Bits 1:0 of an address and all but the mask of the control are reserved.
    const at = vector * ENTRY_BYTES;
    this.#table.setUint32(at, this.#table.getUint32(at, true) & ~3, true);
    this.#table.setUint32(at + 12, this.#table.getUint32(at + 12, true) & MASKED, true);
    if (this.enabled) this.#release(vector);
  }

  stateFields(): readonly StateField[] {
    return [arrayField("table", new Uint8Array(this.#table.buffer)), arrayField("pending", this.#pending)];
  }

  *state(): Iterable<number> {
    for (let at = 0; at < this.#table.byteLength; at += 4) yield this.#table.getUint32(at, true);
    yield* this.#pending;
  }

  #byte(offset: number): number {
    if (offset < this.#table.byteLength) return this.#table.getUint8(offset);
    return offset >= PENDING_BITS ? (this.#pending[offset - PENDING_BITS] ?? 0) : 0;
  }

  #isMasked(vector: number): boolean {
    const control = this.#table.getUint32(vector * ENTRY_BYTES + 12, true);
    return (control & MASKED) !== 0 || (this.#control & FUNCTION_MASK) !== 0;
  }

  #release(vector: number): void {
    const bit = 1 << (vector & 7);
    if ((this.#pending[vector >> 3]! & bit) === 0 || this.#isMasked(vector)) return;
    this.#pending[vector >> 3]! &= ~bit;
    this.#message(vector);
  }

  #message(vector: number): void {
    const at = vector * ENTRY_BYTES;
    const address = this.#table.getUint32(at + 4, true) * 2 ** 32 + this.#table.getUint32(at, true);
    this.#send(address, this.#table.getUint32(at + 8, true));
  }
}
