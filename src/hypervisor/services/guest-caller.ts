import type { MemoryFault } from "../../mmu/memory-fault.ts";

/** The processing element whose instruction calls, as services see it. */
export interface GuestCaller {
  /** Index of the element in its machine. */
  readonly index: number;
  /** Exception level of the call. */
  readonly level: number;
  /** X0 to X30. */
  x(register: number): bigint;
  setX(register: number, value: bigint): void;
  /**
   * Reads guest-virtual memory with the caller's own rights, never a device's. A fault is the one that a load of
   * the caller's would have taken; nothing has happened then.
   */
  read(address: bigint, length: number): Uint8Array | MemoryFault;
  /** Writes it; undefined when done. Either all bytes are written or none. */
  write(address: bigint, bytes: Uint8Array): MemoryFault | undefined;
}

/**
 * What became of a call: served (its results lie in registers); not ours, so that the instruction does what the
 * architecture says; or a fault on a buffer, which the guest takes at the calling instruction and may repair.
 */
export type CallOutcome = "served" | "not ours" | MemoryFault;

export function isFault<T extends object>(result: T | MemoryFault): result is MemoryFault {
  return "type" in result && result.type === "fault";
}
