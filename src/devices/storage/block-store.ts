/**
 * Where a disk's bytes are. Offsets and lengths are bytes, multiples of 512, inside `size`. An operation that
 * returns nothing is complete; a rejected promise, or a thrown error, is an I/O error of the guest's disk.
 */
export interface BlockStore {
  /** A multiple of 512. */
  readonly size: number;
  readonly readOnly: boolean;
  /** At most 20 ASCII characters: /dev/disk/by-id in a Linux guest. */
  readonly serial?: string;
  read(offset: number, target: Uint8Array): Promise<void> | void;
  /** `source` may be reused once this is complete. */
  write(offset: number, source: Uint8Array): Promise<void> | void;
  /** What was written before is durable when this is complete. */
  flush(): Promise<void> | void;
  /** The bytes may be forgotten; they may then read as anything. */
  discard?(offset: number, length: number): Promise<void> | void;
  /** The bytes become zero. Without it, zeros are written. */
  writeZeroes?(offset: number, length: number, mayUnmap: boolean): Promise<void> | void;
}
