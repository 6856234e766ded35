import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { createCleartextMessage, generateKey, type PrivateKey, readPrivateKey, sign } from "openpgp";
import { pack } from "tar-stream";

/** A key pair like an archive's. */
export interface ArchiveKey {
  readonly privateKey: PrivateKey;
  /** What goes into a keyring file. */
  readonly publicKey: Uint8Array;
}

export async function makeArchiveKey(): Promise<ArchiveKey> {
  const { privateKey } = await generateKey({
    type: "rsa",
    rsaBits: 2048,
    userIDs: [{ name: "Test Archive", email: "archive@example.invalid" }],
    format: "armored",
  });
  const key = await readPrivateKey({ armoredKey: privateKey });
  return { privateKey: key, publicKey: key.toPublic().write() };
}

/** A Debian package with these regular files, its data compressed with gzip. */
export async function makePackage(files: Readonly<Record<string, Uint8Array | string>>): Promise<Uint8Array> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name: `./${name}` }, Buffer.from(content));
  tar.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of tar) pieces.push(piece as Uint8Array);
  const members = { "debian-binary": Buffer.from("2.0\n"), "data.tar.gz": gzipSync(Buffer.concat(pieces)) };
  return makeAr(members);
}

/** An ar archive. */
function makeAr(members: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const pieces: Uint8Array[] = [Buffer.from("!<arch>\n")];
  for (const [name, content] of Object.entries(members)) {
    const fields = [name.padEnd(16), "0".padEnd(12), "0".padEnd(6), "0".padEnd(6), "100644".padEnd(8)];
    pieces.push(Buffer.from(`${fields.join("")}${String(content.length).padEnd(10)}\`\n`), content);
    if (content.length % 2 === 1) pieces.push(Buffer.from("\n"));
  }
  return Buffer.concat(pieces);
}

/** One package in a test archive. */
export interface TestPackage {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** How a server deviates for one request. */
export interface Misbehaviour {
  /** Ends the connection after this many bytes of the body. */
  readonly cutAfter?: number;
  readonly status?: number;
  /** Sent instead of the file. */
  readonly instead?: Uint8Array;
  /** Answers a request for a part with the whole. */
  readonly ignoreRange?: boolean;
  /** Waits before the answer, in milliseconds. */
  readonly delay?: number;
  /** Bytes of each piece and milliseconds between them. */
  readonly slowly?: { readonly piece: number; readonly pause: number };
}

/** A web server on the loopback interface with the files of a Debian archive. */
export class TestMirror {
  readonly files = new Map<string, Uint8Array>();
  /** Every request: path, and first byte asked for. */
  readonly requests: { readonly path: string; readonly from: number }[] = [];
  misbehave: (path: string, count: number) => Misbehaviour = () => ({});
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<TestMirror> {
    const server = createServer();
    const mirror = new TestMirror(server);
    server.on("request", (request, response) => void mirror.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return mirror;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/debian`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Adds a suite with its packages, signed. */
  async addSuite(
    suite: string,
    packages: readonly TestPackage[],
    key: ArchiveKey,
    extra = "",
  ): Promise<void> {
    const stanzas = packages.map(({ name, version, bytes }) => {
      const path = `pool/main/${name}_${version.replace(":", "%3a")}_arm64.deb`;
      this.files.set(path, bytes);
      return `Package: ${name}\nVersion: ${version}\nArchitecture: arm64\nFilename: ${path}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`;
    });
    const list = gzipSync(Buffer.from(`${stanzas.join("\n")}\n`));
    const directory = "main/binary-arm64";
    this.files.set(`dists/${suite}/${directory}/Packages.gz`, list);
    const text = `Origin: Test\nSuite: ${suite}\nCodename: ${suite}\n${extra}SHA256:\n ${sha256(list)} ${list.length} ${directory}/Packages.gz\n`;
    this.files.set(`dists/${suite}/InRelease`, await signText(text, key));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURI((request.url ?? "").replace(/^\/debian(-security)?\//, ""));
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const count = this.requests.filter((earlier) => earlier.path === path).length;
    this.requests.push({ path, from });
    const how = this.misbehave(path, count);
    if (how.delay !== undefined) await new Promise((resolve) => setTimeout(resolve, how.delay));
    const content = how.instead ?? this.files.get(path);
    if (how.status !== undefined || content === undefined) {
      response.writeHead(how.status ?? 404).end();
      return;
    }
    const start = how.ignoreRange ? 0 : from;
    if (start > 0 && start >= content.length) {
      response.writeHead(416).end();
      return;
    }
    const body = content.subarray(start);
    const partial =
      start > 0 ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {};
    response.writeHead(start > 0 ? 206 : 200, { ...partial, "content-length": body.length });
    const end = Math.min(how.cutAfter ?? body.length, body.length);
    const piece = how.slowly?.piece ?? (end || 1);
    for (let at = 0; at < end; at += piece) {
      response.write(body.subarray(at, Math.min(at + piece, end)));
      if (how.slowly) await new Promise((resolve) => setTimeout(resolve, how.slowly!.pause));
    }
    // What was written goes out before the connection breaks.
    if (end < body.length) response.write("", () => response.destroy());
    else response.end();
  }
}

export async function signText(text: string, key: ArchiveKey): Promise<Uint8Array> {
  const message = await createCleartextMessage({ text });
  return Buffer.from(await sign({ message, signingKeys: key.privateKey }));
}
