/**
 * A file of the host that holds an image: a file in Node, a synchronous access handle of the origin private file
 * system in a browser. An operation that returns nothing is complete.
 */
export interface ByteStore {
  /** What to call it in messages. */
  readonly name: string;
  /** Bytes, now. */
  readonly size: number;
  /** What lies beyond the end reads as zero. */
  read(offset: number, target: Uint8Array): Promise<void> | void;
  /** Writing beyond the end makes the file longer; a gap reads as zero. */
  write(offset: number, source: Uint8Array): Promise<void> | void;
  /** What was written before is durable when this is complete. */
  flush(): Promise<void> | void;
}
