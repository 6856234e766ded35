import { assert } from "../../base/errors.ts";
import type { AccessWidth } from "../../memory/mmio-device.ts";
import { BAR_FLAG, BARS, COMMAND, CONFIGURATION, CONFIGURATION_SIZE, STATUS_REGISTER } from "./constants.ts";

/** What a function is. */
export interface FunctionIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** Base class, subclass and programming interface, 24 bits. */
  readonly classCode: number;
  readonly subsystemVendor: number;
  readonly subsystem: number;
  /** 1 for INTA; 0 for a function without wired interrupts. */
  readonly interruptPin: 0 | 1;
}

/** A range of addresses that a function decodes, all of them in memory space. */
export interface BarSpec {
  /** Register, 0 to 5; a 64-bit BAR takes the next one too. */
  readonly index: number;
  /** Bytes, a power of two, at least 16. */
  readonly size: number;
  readonly wide: boolean;
  readonly prefetchable: boolean;
}

/** A function's 256 bytes of configuration space: header of type 0, capabilities, and which bits software may write. */
export class ConfigurationSpace {
  readonly bytes = new Uint8Array(CONFIGURATION_SIZE);
  readonly bars: readonly BarSpec[];
  readonly #view = new DataView(this.bytes.buffer);
  /** Writable bits. */
  readonly #mask = new Uint8Array(CONFIGURATION_SIZE);
  readonly #atReset: Uint8Array;
  /** Where the next capability goes, and where its link is written. */
  #free: number = CONFIGURATION.END;
  #link: number = CONFIGURATION.CAPABILITIES;

  constructor(identity: FunctionIdentity, bars: readonly BarSpec[]) {
    this.bars = bars;
    const view = this.#view;
    view.setUint16(CONFIGURATION.VENDOR, identity.vendor, true);
    view.setUint16(CONFIGURATION.DEVICE, identity.device, true);
    view.setUint32(CONFIGURATION.REVISION, identity.revision | (identity.classCode << 8), true);
    view.setUint16(CONFIGURATION.SUBSYSTEM_VENDOR, identity.subsystemVendor, true);
    view.setUint16(CONFIGURATION.SUBSYSTEM, identity.subsystem, true);
    view.setUint8(CONFIGURATION.INTERRUPT_PIN, identity.interruptPin);
    const command =
      (bars.length > 0 ? COMMAND.MEMORY : 0) |
      COMMAND.BUS_MASTER |
      COMMAND.PARITY |
      COMMAND.SERR |
      (identity.interruptPin === 0 ? 0 : COMMAND.INTX_DISABLE);
    this.allow(CONFIGURATION.COMMAND, command, 2);
    this.allow(CONFIGURATION.CACHE_LINE, 0xff, 1);
    this.allow(CONFIGURATION.INTERRUPT_LINE, 0xff, 1);
    for (const bar of bars) this.#addBar(bar);
    this.#atReset = this.bytes.slice();
  }

  /** Software may write the bits of `mask` in the `width` bytes at `offset`. */
  allow(offset: number, mask: number, width: AccessWidth): void {
    for (let i = 0; i < width; i++) this.#mask[offset + i] = (mask >>> (8 * i)) & 0xff;
  }

  /**
   * Appends a capability; `body` is what follows its id and link. Returns the offset of the id. To be called before
   * software sees the function.
   */
  addCapability(id: number, body: Uint8Array): number {
    const offset = this.#free;
    assert(offset + 2 + body.length <= CONFIGURATION_SIZE, "a function has too many capabilities");
    this.bytes[offset] = id;
    this.bytes.set(body, offset + 2);
    this.bytes[this.#link] = offset;
    this.#link = offset + 1;
    this.#free = offset + Math.ceil((2 + body.length) / 4) * 4;
    this.bytes[CONFIGURATION.STATUS]! |= STATUS_REGISTER.CAPABILITIES;
    this.#atReset.set(this.bytes);
    return offset;
  }

  reset(): void {
    this.bytes.set(this.#atReset);
  }

  get command(): number {
    return this.#view.getUint16(CONFIGURATION.COMMAND, true);
  }

  /** Shows in the status register whether the function asserts its interrupt pin. */
  showInterrupt(asserted: boolean): void {
    if (asserted) this.bytes[CONFIGURATION.STATUS]! |= STATUS_REGISTER.INTERRUPT;
    else this.bytes[CONFIGURATION.STATUS]! &= ~STATUS_REGISTER.INTERRUPT;
  }

  read(offset: number, width: AccessWidth): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.bytes[offset + i]!;
    return value;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    for (let i = 0; i < width; i++) {
      const mask = this.#mask[offset + i]!;
      this.bytes[offset + i] = (this.bytes[offset + i]! & ~mask) | ((value >>> (8 * i)) & mask);
    }
  }

  /** Where software has placed a BAR, in bytes of bus addresses. */
  barAddress({ index, size, wide }: BarSpec): number {
    const at = CONFIGURATION.BAR + 4 * index;
    const low = this.#view.getUint32(at, true);
    const address = wide ? this.#view.getUint32(at + 4, true) * 2 ** 32 + low : low;
    return address - (address % Math.max(size, 16));
  }

  #addBar({ index, size, wide, prefetchable }: BarSpec): void {
    assert(Number.isInteger(Math.log2(size)) && size >= 16, "a BAR's size is a power of two");
    assert(index + (wide ? 1 : 0) < BARS, "a function has six BARs");
    const at = CONFIGURATION.BAR + 4 * index;
    const flags = (wide ? BAR_FLAG.MEMORY_64 : 0) | (prefetchable ? BAR_FLAG.PREFETCHABLE : 0);
    this.#view.setUint32(at, flags, true);
    this.allow(at, ~(size - 1), 4);
    if (wide) this.allow(at + 4, 0xffff_ffff, 4);
  }
}
