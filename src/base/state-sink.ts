/** Takes a state stream. */
export interface StateSink {
  /** A piece is the sink's own until the promise resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /** All has come. The machine goes on when the promise resolves. */
  close(): Promise<void>;
}
