/** Takes the bytes a guest writes to a serial port or console. Must not keep `bytes` after returning. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
}
