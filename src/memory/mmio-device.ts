import type { Stateful } from "../base/state-fields.ts";

/** Bytes of one device access. Wider and unaligned guest accesses are split by the bus. */
export type AccessWidth = 1 | 2 | 4;

/**
 * A device on the system bus. It does not know where it is mapped: every access carries an offset,
 * aligned to its width and below `size`. No access may throw, whatever the guest does.
 */
export interface MmioDevice extends Partial<Stateful> {
  readonly name: string;
  /** Bytes of address space. */
  readonly size: number;
  /**
   * Returns the unsigned value, at most `width` bytes wide. `secure` says that the access carries a Secure
   * physical address; few devices (the interrupt controller) care, and absent means Non-secure.
   */
  read(offset: number, width: AccessWidth, secure?: boolean): number;
  /** `value` is unsigned, at most `width` bytes wide. */
  write(offset: number, width: AccessWidth, value: number, secure?: boolean): void;
  /** What reading its registers would not show, as numbers below 2^53, for comparing machines. */
  state?(): Iterable<number>;
  /** Back to the state after power-on. */
  reset(): void;
}
