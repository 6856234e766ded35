import type { Readable, Writable } from "node:stream";
import type { ReadStream, WriteStream } from "node:tty";
import type { VirtualMachineFactory } from "../../machine/virtual-machine-interface.ts";

/** What a command sees of the process that runs it. */
export interface Host {
  readonly stdin: Readable & Partial<Pick<ReadStream, "isTTY" | "setRawMode">>;
  readonly stdout: Writable & Partial<Pick<WriteStream, "isTTY" | "columns" | "rows">>;
  readonly stderr: Writable & Partial<Pick<WriteStream, "isTTY">>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly createMachine: VirtualMachineFactory;
}

/** Writes, and waits where the reader is slower. */
export function writeFully(stream: Writable, bytes: Uint8Array): void | Promise<void> {
  if (stream.destroyed || stream.write(bytes)) return undefined;
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
