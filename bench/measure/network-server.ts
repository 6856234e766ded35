import { type AddressInfo, createServer, type Socket } from "node:net";

const MEBIBYTE = 2 ** 20;
const PIECE = Buffer.alloc(MEBIBYTE, "network ");
/** The kind, and how many mebibytes. */
const HEAD = 5;

/** Starts the server that `guest/network.c` talks to, on the loopback address; its port, and how to end it. */
export async function startNetworkServer(): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("readable", () => serve(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP
  return {
    port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function serve(socket: Socket): void {
  const head = socket.read(HEAD) as Buffer | null;
  if (head === null) {
    socket.once("readable", () => serve(socket));
    return;
  }
  socket.on("end", () => socket.end());
  switch (String.fromCharCode(head[0]!)) {
    case "r":
      socket.resume();
      pour(socket, head.readUInt32LE(1));
      return;
    case "e":
      socket.on("data", (bytes) => void socket.write(bytes));
      return;
    default:
      socket.resume();
  }
}

function pour(socket: Socket, mebibytes: number): void {
  for (let left = mebibytes; left > 0; left--) {
    if (socket.write(PIECE)) continue;
    socket.once("drain", () => pour(socket, left - 1));
    return;
  }
  socket.end();
}
