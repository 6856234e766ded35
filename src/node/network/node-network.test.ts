import { connect as connectTo, createServer } from "node:net";
import { expect, test } from "vitest";
import { dnsServer, tcpServer } from "../../../test/support/network-servers.ts";
import { addressesOf, encodeName } from "../../network/dns-message.ts";
import type { HostStream, StreamEvents } from "../../network/host-network.ts";
import { nodeNetwork } from "./node-network.ts";

/** Notes what happens to a stream, and waits for it. */
class Notes implements StreamEvents {
  readonly heard: string[] = [];
  bytes = 0;
  out = 0;
  #changed: () => void = () => {};
  connected(): void {
    this.#note("connected");
  }
  data(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#changed();
  }
  ended(): void {
    this.#note("ended");
  }
  written(bytes: number): void {
    this.out += bytes;
    this.#changed();
  }
  closed(): void {
    this.#note("closed");
  }
  failed(reason: string): void {
    this.#note(reason);
  }
  #note(what: string): void {
    this.heard.push(what);
    this.#changed();
  }
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

test("a stream carries many small writes, ends one way at a time, and says when it is over", async () => {
  const server = await tcpServer((socket) => {
    let count = 0;
    socket.on("data", (bytes) => {
      count += bytes.length;
    });
    socket.on("end", () => socket.end(Buffer.alloc(count)));
  });
  const notes = new Notes();
  const stream = nodeNetwork().connect("127.0.0.1", server.port, notes);
  await notes.until(() => notes.heard.length > 0);
  for (let i = 0; i < 2000; i++) stream.write(new Uint8Array(i % 700));
  stream.end();
  await notes.until(() => notes.heard.includes("closed"));
  expect(notes.heard).toEqual(["connected", "ended", "closed"]);
  expect(notes.bytes).toBe(notes.out);
  expect(notes.out).toBe(
    Array.from({ length: 2000 }, (_, i) => i % 700).reduce((sum, size) => sum + size, 0),
  );
  server.close();
});

test("refusals and resets are told apart", async () => {
  const closed = await tcpServer(() => {});
  closed.close();
  const refused = new Notes();
  nodeNetwork().connect("127.0.0.1", closed.port, refused);
  await refused.until(() => refused.heard.length > 0);
  expect(refused.heard).toEqual(["refused"]);
  const server = await tcpServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
  const reset = new Notes();
  nodeNetwork().connect("127.0.0.1", server.port, reset).write(Uint8Array.of(1));
  await reset.until(() => reset.heard.includes("reset"));
  expect(reset.heard).toEqual(["connected", "reset"]);
  server.close();
});

test("a port is listened at until it is closed; one in use is a sentence", async () => {
  const host = nodeNetwork();
  let stream: HostStream | undefined;
  const notes = new Notes();
  const listener = await host.listen("127.0.0.1", 0, (incoming) => {
    stream = incoming(notes);
  });
  await expect(host.listen("127.0.0.1", listener.port, () => {})).rejects.toThrow(
    `The port 127.0.0.1:${listener.port}/tcp is in use by another program; publish another port, or end that program.`,
  );
  const client = connectTo(listener.port, "127.0.0.1");
  client.write("early");
  while (stream === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(notes.bytes).toBe(0);
  stream.resume();
  await notes.until(() => notes.bytes === 5);
  client.destroy();
  listener.close();
  const again = createServer();
  await new Promise<void>((resolve) => again.listen(listener.port, "127.0.0.1", resolve));
  again.close();
  await expect(host.listen("192.0.2.77", 0, () => {})).rejects.toThrow(/is at no address of this computer/);
  await expect(host.bindDatagrams("192.0.2.77", 0, { data() {}, failed() {} })).rejects.toThrow(
    /\/udp is at no address/,
  );
});

test("names go to the given servers, and to the host where none answers", async () => {
  const ask = (name: string) =>
    Buffer.concat([
      Uint8Array.of(7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0),
      encodeName(name)!,
      Uint8Array.of(0, 1, 0, 1),
    ]);
  const server = await dnsServer({ "name.test": "192.0.2.5" });
  const host = nodeNetwork({ nameServers: [`127.0.0.1:${server.port}`] });
  const answer = await host.resolve(ask("name.test"), "udp");
  expect(addressesOf(answer!).map((bytes) => bytes.join("."))).toEqual(["192.0.2.5"]);
  server.close();
  const alone = nodeNetwork({ nameServers: [] });
  const local = await alone.resolve(ask("localhost"), "udp");
  expect(addressesOf(local!).map((bytes) => bytes.join("."))).toEqual(["127.0.0.1"]);
});
