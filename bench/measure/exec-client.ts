import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Milliseconds between two tries while no guest listens. */
const PATIENCE = 20;

/** Asks whatever guest listens behind a port of the loopback address for one program after the other, until closed. */
export async function startExecClient(): Promise<{ port: number; close: () => void }> {
  const port = await freePort();
  let over = false;
  const work = async (): Promise<void> => {
    while (!over) {
      const answered = await ask(port);
      if (!answered) await new Promise((resolve) => setTimeout(resolve, PATIENCE));
    }
  };
  void work();
  return {
    port,
    close() {
      over = true;
    },
  };
}

/** True when a program ran. */
function ask(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let bytes = 0;
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.on("data", (piece) => {
      bytes += piece.length;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(bytes > 0));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
