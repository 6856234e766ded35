import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { debianWithTools, FULL, LIMIT, outputOf, startDebian } from "../support/debian-guest.ts";
import { httpServer, type TestServer } from "../support/network-servers.ts";
import { Random } from "../support/random.ts";

const MEBIBYTE = 2 ** 20;
const TRANSFER = 500 * MEBIBYTE;
const PARALLEL = 200;

describe.runIf(FULL)("the network of Debian 12", () => {
  const random = Random.ofThisRun();
  const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  const servers: TestServer[] = [];
  let machine: VirtualMachine;
  const output = (command: string): Promise<string> => outputOf(machine, command);

  beforeAll(async () => {
    console.log(`Debian's network seed ${random.seed}`);
    machine = await startDebian({ image: await debianWithTools(), net: { publish: ["0:22"] } });
  }, LIMIT);
  afterAll(async () => {
    for (const server of servers) server.close();
    await machine?.close();
    rmSync(folder, { recursive: true });
  }, LIMIT);

  test("IPv6 as far as the host's loopback", { timeout: LIMIT }, async () => {
    servers.push(await httpServer(() => Buffer.from("over IPv6\n"), "::1"));
    expect(await output(`curl -sg 'http://[fd00:10:0:2::2]:${servers.at(-1)!.port}/'`)).toBe("over IPv6\n");
  });

  test(`curl brings ${TRANSFER / MEBIBYTE} MiB both ways unchanged`, { timeout: LIMIT }, async () => {
    const words = Uint32Array.from({ length: TRANSFER / 4 }, () => random.u32());
    const data = Buffer.from(words.buffer);
    const digest = createHash("sha256").update(data).digest("hex");
    const server = createServer((request, response) => {
      if (request.method === "GET") return void response.end(data);
      const hash = createHash("sha256");
      request.on("data", (bytes: Buffer) => void hash.update(bytes));
      request.on("end", () => response.end(hash.digest("hex")));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://10.0.2.2:${(server.address() as AddressInfo).port}/`; // listening on TCP
    const began = performance.now();
    await output(`curl -sf -o /root/data ${url}`);
    const middle = performance.now();
    expect(await output(`curl -sf -T /root/data ${url}`)).toBe(digest);
    const end = performance.now();
    expect(await output("sha256sum </root/data; rm /root/data")).toBe(`${digest}  -\n`);
    server.close();
    const speed = (from: number, to: number): string => ((TRANSFER / (to - from)) * 1e-3).toFixed(1);
    console.log(`${speed(began, middle)} MB/s in, ${speed(middle, end)} MB/s out`);
  });

  test(`curl has ${PARALLEL} connections at once`, { timeout: LIMIT }, async () => {
    let waiting: (() => void)[] = [];
    const server = await httpServer(async (path) => {
      // Nobody is answered before all have asked.
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length < PARALLEL) return;
        for (const go of waiting) go();
        waiting = [];
      });
      return Buffer.from(`${path.slice(1)}\n`.repeat(20));
    });
    servers.push(server);
    const fetch = `curl -s --parallel --parallel-immediate --parallel-max ${PARALLEL} -o '/tmp/r#1' 'http://10.0.2.2:${server.port}/[1-${PARALLEL}]'`;
    const count = "cat /tmp/r* | sort -n | uniq -c | awk '$1 == 20' | wc -l";
    expect(await output(`${fetch} && ${count}`)).toBe(`${PARALLEL}\n`);
  });

  test("an ssh session through a published port", { timeout: LIMIT }, async () => {
    const key = join(folder, "key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    await machine.files.makeDirectory("/root/.ssh");
    await machine.files.write("/root/.ssh/authorized_keys", readFileSync(`${key}.pub`), 0o600);
    await output("chmod 700 /root/.ssh");
    const { hostPort } = machine.publishedPorts[0]!;
    const options = ["StrictHostKeyChecking=no", `UserKnownHostsFile=${folder}/known`, "ConnectTimeout=300"];
    const words = ["-i", key, "-p", `${hostPort}`, ...options.flatMap((option) => ["-o", option])];
    const ssh = async (command: string, input: Uint8Array): Promise<{ status: number; bytes: Buffer }> => {
      const child = spawn("ssh", [...words, "root@127.0.0.1", command], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const pieces: Buffer[] = [];
      child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
      child.stdin.end(input);
      const [status] = (await once(child, "close")) as [number]; // ssh ends by itself
      return { status, bytes: Buffer.concat(pieces) };
    };
    const input = Buffer.from(Uint8Array.from({ length: MEBIBYTE }, () => random.below(256)));
    const back = await ssh("cat; exit 7", input);
    expect(back.status).toBe(7);
    expect(back.bytes.equals(input)).toBe(true);
    expect((await ssh("uname -m; echo $SSH_CONNECTION", Buffer.of())).bytes.toString()).toMatch(
      /^aarch64\n\S+ \d+ 10\.0\.2\.15 22\n$/,
    );
  });
});
