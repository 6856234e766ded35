import { describe, expect, test } from "vitest";
import { Random } from "../../../../test/support/random.ts";
import { fuzzRings } from "../../../../test/support/ring-fuzz.ts";
import { VirtioDriver } from "../../../../test/support/virtio-driver.ts";
import { attach } from "../../../../test/support/virtio-machine.ts";
import { RECEIVE_BUFFER, type SocketHandler } from "./connection.ts";
import { decodeHeader, encodePacket, HEADER_SIZE, HOST_CID, OPERATION, SHUTDOWN, STREAM } from "./packet.ts";
import { VirtioSocket } from "./socket-device.ts";

const GUEST = 3;
const PORT = 1024;

/** A guest that says what it is told to, and what came to it. */
class Guest {
  readonly device = new VirtioSocket(GUEST);
  readonly driver: VirtioDriver;
  #buffers = 0;

  constructor() {
    const { mmio, memory } = attach(this.device);
    this.driver = new VirtioDriver(mmio, memory);
    this.driver.start([16, 16, 16]);
    this.offer(8);
  }

  /** Gives the device receive buffers. */
  offer(count: number, length = 4096): void {
    for (; count > 0; count--) this.driver.add(0, [HEADER_SIZE + length]);
    this.driver.notify(0);
  }

  say(
    operation: number,
    hostPort: number,
    options: {
      payload?: Uint8Array;
      flags?: number;
      credit?: number;
      forwarded?: number;
      port?: number;
      type?: number;
      source?: number;
    } = {},
  ): void {
    const { payload = new Uint8Array(0), flags = 0, credit = 1 << 20, forwarded = 0, port = PORT } = options;
    const packet = encodePacket(
      {
        source: options.source ?? GUEST,
        destination: HOST_CID,
        sourcePort: port,
        destinationPort: hostPort,
        type: options.type ?? STREAM,
        operation,
        flags,
        bufferSize: credit,
        forwarded,
      },
      payload,
    );
    this.driver.add(1, [packet]);
    this.driver.notify(1);
    this.driver.returned(1);
  }

  /** What has come since the last time; its buffers are offered again. */
  heard() {
    const packets = this.driver.returned(0).map(({ bytes, written }) => ({
      ...decodeHeader(bytes)!,
      payload: Buffer.from(bytes.subarray(HEADER_SIZE, written)),
    }));
    this.#buffers += packets.length;
    this.offer(packets.length);
    return packets;
  }
}

/** A handler that writes down what happens. */
function recorder() {
  const events: string[] = [];
  let busy: (() => void)[] | undefined;
  const handler: SocketHandler = {
    opened: () => void events.push("opened"),
    data: (bytes) => {
      events.push(`data ${Buffer.from(bytes).toString("latin1")}`);
      return busy === undefined ? undefined : new Promise((resolve) => busy?.push(resolve));
    },
    ended: () => void events.push("ended"),
    closed: (reset) => void events.push(reset ? "reset" : "closed"),
  };
  return {
    handler,
    events,
    slow: () => {
      busy = [];
      return () => {
        for (const done of busy?.splice(0) ?? []) done();
      };
    },
  };
}

function open(guest: Guest, options: { credit?: number } = {}) {
  const { handler, events, slow } = recorder();
  const connection = guest.device.connect(PORT, handler);
  const [request] = guest.heard();
  expect(request).toMatchObject({ operation: OPERATION.REQUEST, destinationPort: PORT, source: HOST_CID });
  guest.say(OPERATION.RESPONSE, request!.sourcePort, options);
  expect(events.splice(0)).toEqual(["opened"]);
  return { connection, events, slow, hostPort: request!.sourcePort };
}

describe("VirtioSocket", () => {
  test("a connection of the host: bytes in both directions, ends, and the guest's close", async () => {
    const guest = new Guest();
    const { connection, events, hostPort } = open(guest);
    await connection.send(Buffer.from("to the guest"));
    expect(guest.heard()).toMatchObject([{ operation: OPERATION.RW, payload: Buffer.from("to the guest") }]);
    guest.say(OPERATION.RW, hostPort, { payload: Buffer.from("to the host") });
    connection.end();
    expect(guest.heard()).toMatchObject([{ operation: OPERATION.SHUTDOWN, flags: SHUTDOWN.SEND }]);
    guest.say(OPERATION.SHUTDOWN, hostPort, { flags: SHUTDOWN.SEND | SHUTDOWN.RECEIVE });
    expect(events).toEqual(["data to the host", "ended", "closed"]);
    expect(guest.heard()).toMatchObject([{ operation: OPERATION.RST, sourcePort: hostPort }]);
  });

  test("a port of the guest where nobody listens", () => {
    const guest = new Guest();
    const { handler, events } = recorder();
    guest.device.connect(PORT, handler);
    guest.say(OPERATION.RST, guest.heard()[0]!.sourcePort);
    expect(events).toEqual(["reset"]);
  });

  test("a connection of the guest is taken where somebody listens, and refused elsewhere", () => {
    const guest = new Guest();
    const { handler, events } = recorder();
    const stop = guest.device.listen(7, () => handler);
    expect(() => guest.device.listen(7, () => handler)).toThrow(/port 7 .* taken/);
    guest.say(OPERATION.REQUEST, 7);
    guest.say(OPERATION.REQUEST, 8);
    expect(guest.heard()).toMatchObject([
      { operation: OPERATION.RESPONSE, sourcePort: 7 },
      { operation: OPERATION.RST, sourcePort: 8 },
    ]);
    guest.say(OPERATION.RW, 7, { payload: Buffer.from("x") });
    expect(events).toEqual(["data x"]);
    stop();
    guest.say(OPERATION.REQUEST, 7, { port: 99 });
    expect(guest.heard()).toMatchObject([{ operation: OPERATION.RST }]);
  });

  test("the host sends no more than the guest can hold, and asks once when it is full", async () => {
    const guest = new Guest();
    const { connection, hostPort } = open(guest, { credit: 10 });
    let taken = false;
    const sending = connection.send(Buffer.from("0123456789abcdef")).then(() => {
      taken = true;
    });
    expect(guest.heard()).toMatchObject([
      { operation: OPERATION.RW, payload: Buffer.from("0123456789") },
      { operation: OPERATION.CREDIT_REQUEST },
    ]);
    expect(guest.heard()).toEqual([]);
    expect(taken).toBe(false);
    guest.say(OPERATION.CREDIT_UPDATE, hostPort, { credit: 10, forwarded: 10 });
    expect(guest.heard()).toMatchObject([{ operation: OPERATION.RW, payload: Buffer.from("abcdef") }]);
    await sending;
  });

  test("packets are as long as the guest's buffers", async () => {
    const guest = new Guest();
    const { connection } = open(guest);
    await connection.send(new Uint8Array(10_000));
    expect(guest.heard().map(({ length }) => length)).toEqual([4096, 4096, 1808]);
  });

  test("a slow reader holds the guest back; one that overruns it is reset", async () => {
    const guest = new Guest();
    const { events, slow, hostPort } = open(guest);
    const take = slow();
    const payload = new Uint8Array(RECEIVE_BUFFER / 4);
    for (let turn = 0; turn < 4; turn++) guest.say(OPERATION.RW, hostPort, { payload });
    expect(guest.heard()).toEqual([]);
    take();
    await new Promise((resolve) => setTimeout(resolve));
    expect(guest.heard().at(-1)).toMatchObject({
      operation: OPERATION.CREDIT_UPDATE,
      forwarded: RECEIVE_BUFFER,
      bufferSize: RECEIVE_BUFFER,
    });
    for (let turn = 0; turn < 5; turn++) guest.say(OPERATION.RW, hostPort, { payload });
    expect(events.at(-1)).toBe("reset");
    expect(guest.heard().at(-1)).toMatchObject({ operation: OPERATION.RST });
  });

  test("packets for nobody, from somebody else, or of another type are refused; a reset is not answered", () => {
    const guest = new Guest();
    guest.say(OPERATION.RW, 5, { payload: Buffer.from("x") });
    guest.say(OPERATION.REQUEST, 5, { source: 77 });
    guest.say(OPERATION.REQUEST, 5, { type: 2 });
    guest.say(OPERATION.RST, 5);
    expect(guest.heard().map(({ operation }) => operation)).toEqual([3, 3, 3]);
  });

  test("a reset of the device ends every connection", () => {
    const guest = new Guest();
    const { events } = open(guest);
    guest.driver.write(0x70, 0);
    expect(events).toEqual(["reset"]);
  });

  test("random packets and rings never throw", { timeout: 120_000 }, () => {
    const random = Random.ofThisRun();
    console.log(`vsock fuzz seed ${random.seed}`);
    const device = new VirtioSocket(GUEST);
    const handler: SocketHandler = { data: () => {}, ended: () => {}, closed: () => {} };
    for (let port = 0; port < 4; port++) device.listen(port, () => handler);
    fuzzRings(device, random, {
      request: () =>
        encodePacket(
          {
            source: random.pick([GUEST, GUEST, GUEST, 0]),
            destination: random.pick([HOST_CID, HOST_CID, HOST_CID, 9]),
            sourcePort: random.below(3),
            destinationPort: random.below(5),
            type: random.pick([STREAM, STREAM, STREAM, 2]),
            operation: random.below(9),
            flags: random.below(4),
            bufferSize: random.u32(),
            forwarded: random.u32(),
          },
          new Uint8Array(random.below(50)),
        ),
      between: () => {
        if (random.below(8) === 0)
          void device.connect(random.below(3), handler).send(new Uint8Array(random.below(9000)));
      },
    });
  });
});
