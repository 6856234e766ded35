import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { AGENT_PORT, MESSAGE_SIZE, REPORT } from "../agent/protocol.ts";
import { RemoteMachine } from "./control-client.ts";
import type { ControlRequest } from "./control-protocol.ts";

/** Where the agent takes a command's streams. */
const STREAMS_PORT = 70_000;

function report(kind: number, value: number): Buffer {
  const bytes = Buffer.alloc(MESSAGE_SIZE);
  bytes.writeUInt32LE(kind, 0);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}

/**
 * The agent takes a command's streams in the order of their connections. Requests in several connections to the
 * machine's process have no order, so each must have its answer before the next is made.
 */
test("the streams of a command are asked for one after the other", async () => {
  const path = join(temporaryDirectory(), "machine.sock");
  const said = ["", "out", "err"];
  let pending = 0;
  let most = 0;
  let streams = 0;
  let control: Socket | undefined;
  const connect = (client: Socket, port: number): void => {
    if (port === AGENT_PORT) {
      control = client;
      client.write("{}\n");
      client.once("data", () => client.write(report(REPORT.PORT, STREAMS_PORT)));
      return;
    }
    most = Math.max(most, ++pending);
    setTimeout(() => {
      pending--;
      const text = said[streams++] ?? "";
      client.write(`{}\n${text}`);
      client.end();
      if (streams === said.length) control?.end(report(REPORT.EXITED, 3));
    }, 20);
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on("error", () => {});
    client.once("data", (line) => {
      const request = JSON.parse(line.toString()) as ControlRequest; // what the client wrote
      if (request.kind === "connect") connect(client, request.port);
      else client.end("{}\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    const machine = new RemoteMachine(
      { name: "one", pid: process.pid, image: "busybox", memory: 1, cpus: 1, started: 0 },
      path,
    );
    const { stdout, stderr, exitCode } = await machine.exec(["true"], { input: "" });
    expect([stdout, stderr, exitCode, streams, most]).toEqual(["out", "err", 3, 3, 1]);
  } finally {
    server.close();
  }
});
