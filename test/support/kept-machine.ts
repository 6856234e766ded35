import type { VirtualMachine } from "../../src/machine/virtual-machine-interface.ts";

/** A machine's state stream. */
export async function snapshotOf(machine: VirtualMachine): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  await machine.snapshot?.({
    async write(bytes) {
      pieces.push(bytes.slice());
    },
    async close() {},
  });
  return pieces;
}

export async function* streamOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
