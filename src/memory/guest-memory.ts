/**
 * Guest-physical memory as everything but the instruction fast path sees it: devices' DMA, the table
 * walker, the loader, the debugger. Reads and writes reach RAM and ROM only, never devices.
 *
 * Every write goes through spec S1's one entry point (traces, invalidation of predecoded code), so no
 * writer needs to know what watches a frame.
 */
export interface GuestMemory {
  /** True when every byte of [address, address + length) is RAM or ROM. `address` is at most 2^48. */
  isMemory(address: number, length: number): boolean;
  /** Copies bytes out. Returns false, copying nothing, when any byte is not memory. */
  readInto(address: number, target: Uint8Array): boolean;
  /** Copies bytes in. Returns false, writing nothing, when any byte is not RAM. */
  write(address: number, source: Uint8Array): boolean;
  /** Little-endian loads; undefined where there is no memory. The address need not be aligned. */
  read8(address: number): number | undefined;
  read16(address: number): number | undefined;
  read32(address: number): number | undefined;
  read64(address: number): bigint | undefined;
  /** Little-endian stores; false where there is no RAM. The address need not be aligned. */
  write8(address: number, value: number): boolean;
  write16(address: number, value: number): boolean;
  write32(address: number, value: number): boolean;
  write64(address: number, value: bigint): boolean;
}
