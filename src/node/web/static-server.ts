import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { UserError } from "../../base/errors.ts";

/** A file in memory. */
export interface StaticFile {
  /** Its media type. */
  readonly type: string;
  readonly bytes: Uint8Array;
}

/**
 * A browser gives shared memory only to a page that no other site can reach into (the first three). The page
 * asks nothing of other sites; xterm.js makes style elements of its own.
 */
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src data:",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
} as const;

/** Only this computer: elsewhere a browser would want HTTPS for shared memory. */
const ADDRESS = "127.0.0.1";

/** A web server for a few files. */
export interface StaticServer {
  /** Its address, with a slash at the end. */
  readonly url: string;
  /** Ends it with all connections. */
  close(): Promise<void>;
}

/** Serves `files`, by path, to this computer; port 0 is a free one. */
export async function serveFiles(
  files: ReadonlyMap<string, StaticFile>,
  port: number,
): Promise<StaticServer> {
  const server = createServer((request, response) => answer(files, request, response));
  await listen(server, port);
  return {
    url: `http://${ADDRESS}:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(
  files: ReadonlyMap<string, StaticFile>,
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
): void {
  const refuse = (status: number, text: string): void => {
    response.writeHead(status, {
      ...HEADERS,
      "Content-Type": "text/plain; charset=utf-8",
      Allow: "GET, HEAD",
    });
    response.end(`${text}\n`);
  };
  if (method !== "GET" && method !== "HEAD") {
    refuse(405, "Only GET and HEAD are answered here.");
    return;
  }
  const [path = "/"] = url.split("?");
  const file = files.get(path);
  if (file === undefined) {
    refuse(404, "There is no such file.");
    return;
  }
  response.writeHead(200, { ...HEADERS, "Content-Type": file.type, "Content-Length": file.bytes.length });
  response.end(method === "HEAD" ? undefined : file.bytes);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EADDRINUSE" ? "another program uses it" : cause.code;
      reject(
        new UserError(`The page cannot be served at port ${port} (${reason}); give another with --port N.`, {
          cause,
        }),
      );
    });
    server.listen(port, ADDRESS, resolve);
  });
}
