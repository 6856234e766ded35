import { connect, createServer, type Socket } from "node:net";
import { UserError } from "../../base/errors.ts";
import type {
  HostListener,
  HostStream,
  IncomingStream,
  StreamEvents,
  StreamFailure,
} from "../../network/host-network.ts";

/** Why a connection failed, by the system's names. */
const FAILURES: Readonly<Record<string, StreamFailure>> = {
  ECONNREFUSED: "refused",
  ENETUNREACH: "unreachable",
  EHOSTUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EACCES: "unreachable",
  EPERM: "unreachable",
  ENETDOWN: "unreachable",
  EAFNOSUPPORT: "unreachable",
  EINVAL: "unreachable",
  ETIMEDOUT: "timed out",
};

/** Bytes that are written together at most. */
const COLLECTED = 1 << 18;
/** Connections that wait to be taken from a published port. */
const BACKLOG = 511;

/** A TCP connection to an address in text. */
export function connectStream(address: string, port: number, events: StreamEvents): HostStream {
  const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
  socket.once("connect", () => events.connected());
  return streamOf(socket, events);
}

/** Takes connections at an address; a port that is not to be had is a UserError. */
export async function listenForStreams(
  address: string,
  port: number,
  accept: (stream: IncomingStream) => void,
): Promise<HostListener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    // Until somebody listens, an error must not end the process.
    socket.on("error", () => {});
    accept((events) => streamOf(socket, events, true));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(bindError(address, port, "tcp", cause)));
    server.listen({ host: address, port, backlog: BACKLOG, exclusive: true }, resolve);
  });
  server.on("error", () => {});
  server.unref();
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : port,
    close: () => void server.close(),
  };
}

/** The sentence for a port that cannot be bound. */
export function bindError(address: string, port: number, protocol: "tcp" | "udp", cause: Error): UserError {
  const code = "code" in cause ? String(cause.code) : cause.message;
  const place = `${address.includes(":") ? `[${address}]` : address}:${port}/${protocol}`;
  const [what, remedy] =
    code === "EADDRINUSE"
      ? ["is in use by another program", "publish another port, or end that program"]
      : code === "EACCES"
        ? ["needs privileges", "publish a port from 1024 up"]
        : code === "EADDRNOTAVAIL"
          ? ["is at no address of this computer", "publish at another address, such as 127.0.0.1 or 0.0.0.0"]
          : [`cannot be opened (${code})`, "publish another port"];
  return new UserError(`The port ${place} ${what}; ${remedy}.`, { cause });
}

function streamOf(socket: Socket, events: StreamEvents, paused = false): HostStream {
  let over = false;
  let ended = false;
  socket.unref();
  if (!paused) socket.resume();
  socket.on("data", (bytes: Uint8Array) => {
    if (!over) events.data(bytes);
  });
  if (paused) socket.pause();
  socket.once("end", () => {
    ended = true;
    if (!over) events.ended();
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    if (over) return;
    over = true;
    events.failed(FAILURES[error.code ?? ""] ?? "reset");
  });
  socket.once("close", () => {
    if (over) return;
    over = true;
    if (ended) events.closed();
    else events.failed("reset");
  });
  // A guest that is running hands over many small segments before anything is read here: after the first they are
  // collected, and go out together when the event loop turns or there are enough.
  let corked = false;
  let collected = 0;
  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  return {
    write(bytes) {
      socket.write(bytes, () => {
        if (!over) events.written(bytes.length);
      });
      if (!corked) {
        corked = true;
        collected = 0;
        socket.cork();
        setImmediate(uncork);
      } else {
        collected += bytes.length;
        if (collected < COLLECTED) return;
        collected = 0;
        socket.uncork();
        socket.cork();
      }
    },
    end: () => void socket.end(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    leave: () => void socket.destroySoon(),
    reset() {
      over = true;
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    },
  };
}
