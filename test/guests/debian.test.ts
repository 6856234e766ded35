import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { checkImage, qemuImg } from "../support/image-files.ts";
import { httpServer, type TestServer } from "../support/network-servers.ts";
import { Random } from "../support/random.ts";

/** A whole Debian takes minutes, and its packages a mirror: the one of this computer's apt. */
const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 3_600_000;
const MEBIBYTE = 2 ** 20;
const TRANSFER = 500 * MEBIBYTE;
const PARALLEL = 200;
const PACKAGES = "build-essential ca-certificates curl fio git openssh-server";
const PROGRAM = `
#include <math.h>
#include <stdio.h>
int main(void) {
  double sum = 0;
  for (int i = 1; i <= 1000; i++) sum += sqrt(i);
  printf("%.6f\\n", sum);
}`;

describe.runIf(FULL)("Debian 12", () => {
  const random = Random.ofThisRun();
  const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  const disk = join(folder, "disk.qcow2");
  const servers: TestServer[] = [];
  let machine: VirtualMachine;

  async function output(command: string): Promise<string> {
    const { exitCode, stdout, stderr } = await machine.exec(command, { input: "" });
    if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode}: ${stdout}${stderr}`);
    return stdout;
  }

  beforeAll(async () => {
    console.log(`Debian seed ${random.seed}`);
    mkdirSync(join(folder, "share"));
    writeFileSync(join(folder, "share", "greeting"), "from the host\n");
    qemuImg("create", "-f", "qcow2", disk, "1G");
    machine = await VirtualMachine.create({
      image: "debian:12",
      memoryBytes: 2 ** 30,
      net: { publish: ["0:22"] },
      shares: [`${join(folder, "share")}:/srv/of the host`],
      drives: [disk],
    });
    // However long that takes: ready() would give up at some time.
    await once(machine.events, "ready");
  }, LIMIT);
  afterAll(async () => {
    for (const server of servers) server.close();
    await machine?.close();
    rmSync(folder, { recursive: true });
  });

  test("starts with every unit up, a login on its terminal, and the share mounted", {
    timeout: LIMIT,
  }, async () => {
    const { stdout: state } = await machine.exec("systemctl is-system-running --wait");
    const failed = await output("systemctl --failed --no-legend; journalctl -b -p warning --no-pager -q");
    expect(state, failed).toBe("running\n");
    expect(await output("systemctl --failed --no-legend")).toBe("");
    expect(await output("cat '/srv/of the host/greeting'")).toBe("from the host\n");
    const login = machine.console;
    let seen = "";
    login.on("data", (bytes: Buffer) => {
      seen += bytes.toString("latin1");
    });
    await expect.poll(() => seen, { timeout: 120_000 }).toContain("root@debian");
    login.write("tty; id -un\n");
    await expect.poll(() => seen, { timeout: 120_000 }).toMatch(/\/dev\/hvc0\r\nroot\r\n/);
  });

  test("installs a compiler and more from a mirror; what it compiles runs", { timeout: LIMIT }, async () => {
    await output("apt-get update");
    await output(`DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${PACKAGES}`);
    await machine.files.write("/root/sum.c", PROGRAM);
    await output("gcc -O2 -Wall -Werror -o /root/sum /root/sum.c -lm");
    expect(await output("/root/sum")).toBe("21097.455887\n");
    expect(await output("dpkg --audit; systemctl --failed --no-legend")).toBe("");
  });

  test("ping, DNS, IPv6", { timeout: LIMIT }, async () => {
    expect(await output("ping -c 3 10.0.2.2")).toContain("3 received, 0% packet loss");
    expect(await output("ping -c 3 fd00:10:0:2::2")).toContain("3 received, 0% packet loss");
    const mirror = "$(sed -n '1s|.*//\\([^/: ]*\\).*|\\1|p' /etc/apt/sources.list)";
    expect(await output(`getent ahostsv4 ${mirror}`)).toMatch(/^\d+\.\d+\.\d+\.\d+ +STREAM/);
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

  test("fio finds what it wrote, and the image is in order", { timeout: LIMIT }, async () => {
    const job = (name: string, more: string): string =>
      `fio --name=${name} --ioengine=libaio --iodepth=16 --direct=1 --randrepeat=0 --randseed=${random.u32()} --verify=crc32c --verify_fatal=1 --do_verify=1 --output-format=terse ${more}`;
    await output(job("device", "--filename=/dev/vdb --rw=randwrite --bsrange=512-64k --size=128M"));
    await output("mkfs.ext4 -q /dev/vdb && mount /dev/vdb /mnt");
    const files =
      "--directory=/mnt --numjobs=3 --nrfiles=10 --rw=randrw --bsrange=4k-128k --size=64M --fsync=32";
    await output(job("files", `${files} --group_reporting`));
    await output("umount /mnt && e2fsck -fn /dev/vdb");
    expect(checkImage(disk)).toEqual({ corruptions: 0, leaks: 0 });
  });

  test("clones a repository, and a tree goes to the host and back", { timeout: LIMIT }, async () => {
    const repository = join(folder, "share", "repository");
    const git = (...words: string[]): string =>
      execFileSync("git", ["-C", repository, "-c", "user.name=A", "-c", "user.email=a@b", ...words], {
        encoding: "utf8",
      });
    mkdirSync(repository);
    git("init", "-q");
    for (let commit = 0; commit < 20; commit++) {
      for (let file = 0; file < 50; file++)
        writeFileSync(
          join(repository, `${random.below(200)}`),
          `${random.u32()}\n`.repeat(random.below(500)),
        );
      git("add", ".");
      git("commit", "-q", "-m", `${commit}`);
    }
    const head = git("rev-parse", "HEAD");
    const place = "'/srv/of the host'";
    await output(
      `git config --global safe.directory '*' && git clone -q file:///srv/of\\ the\\ host/repository /root/clone`,
    );
    expect(await output("git -C /root/clone fsck --strict && git -C /root/clone rev-parse HEAD")).toBe(head);
    // Every file of the packages' headers and texts, names and links and all.
    const list =
      "find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -type l -printf '%p %l\\n' | sort";
    const before = await output(
      `cd /usr && mkdir /root/tree && cp -a include share /root/tree && cd /root/tree && ${list}`,
    );
    expect(before.split("\n").length).toBeGreaterThan(5000);
    await output(`cp -a /root/tree ${place}/tree && cp -a ${place}/tree /root/back`);
    expect(await output(`cd /root/back && ${list}`)).toBe(before);
    const host = spawnSync("sh", ["-c", list], {
      cwd: join(folder, "share", "tree"),
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
      maxBuffer: 64 * MEBIBYTE,
    });
    expect(host.stdout.split("\n").sort()).toEqual(before.split("\n").sort());
    expect(statSync(join(folder, "share", "tree")).isDirectory()).toBe(true);
  });
});
