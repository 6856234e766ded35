import { expect, test } from "vitest";
import type {
  GuestSockets,
  SocketConnection,
  SocketHandler,
} from "../../machine/virtual-machine-interface.ts";
import { openOne, streamOpener } from "./socket-stream.ts";

test("a slow reader leaves no packet untaken", async () => {
  let handler: SocketHandler | undefined;
  const connection: SocketConnection = { send: async () => {}, end: () => {}, close: () => {} };
  const sockets = {
    connect: (_: number, given: SocketHandler) => {
      handler = given;
      queueMicrotask(() => given.opened?.());
      return connection;
    },
  } as Partial<GuestSockets> as GuestSockets; // nothing else is used
  const stream = await openOne(streamOpener(sockets), 1);
  const packets = Array.from({ length: 8 }, (_, index) => new Uint8Array(30_000).fill(index));
  let taken = 0;
  for (const packet of packets) {
    // Several come while nobody reads: only the first ones fit the stream's own buffer.
    void Promise.resolve(handler!.data(packet)).then(() => taken++);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(taken).toBeLessThan(packets.length);
  let bytes = 0;
  stream.on("data", (piece: Uint8Array) => {
    bytes += piece.length;
  });
  await expect.poll(() => [bytes, taken]).toEqual([packets.length * 30_000, packets.length]);
});
