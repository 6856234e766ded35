import { createSocket } from "node:dgram";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { address } from "../../src/network/addresses.ts";
import { answerWith, emptyAnswer, questionOf, RECORD, RESPONSE } from "../../src/network/dns-message.ts";

/** A server on this computer, for a guest to talk to. */
export interface TestServer {
  readonly port: number;
  close(): void;
}

/** Serves each TCP connection with `serve`; half-closed connections stay open. */
export async function tcpServer(serve: (socket: Socket) => void, host = "127.0.0.1"): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, 511, resolve);
  });
  const { port } = server.address() as AddressInfo; // listening on TCP
  return {
    port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** As much of an HTTP server as wget needs: the answer to a path. */
export function httpServer(
  answer: (path: string) => Uint8Array | Promise<Uint8Array>,
  host?: string,
): Promise<TestServer> {
  return tcpServer((socket) => {
    let head = "";
    socket.on("data", async (bytes) => {
      head += bytes.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      const body = await answer(head.split(" ")[1] ?? "/");
      head = "";
      socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.end(body);
    });
  }, host);
}

/** A DNS server that knows the IPv4 addresses of some names. */
export async function dnsServer(names: Readonly<Record<string, string>>): Promise<TestServer> {
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => {
    const question = questionOf(query);
    const known = question && names[question.name.toLowerCase()];
    const answer =
      known === undefined
        ? emptyAnswer(query, RESPONSE.NO_NAME)
        : answerWith(query, question?.type === RECORD.A ? [address(known)] : [], 60);
    socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { port: socket.address().port, close: () => void socket.close() };
}
