import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { FuseClient } from "../../../test/support/fuse-client.ts";
import { Random } from "../../../test/support/random.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { ERROR, OPCODE } from "./fuse-protocol.ts";
import { ownersFor } from "./owners.ts";
import { openShare, parseShare } from "./share.ts";

const SECRET = "secret of the host";
const FULL = process.env["ELVISOR_FULL"] === "1";

/** A share beside a file that nobody in it may see. */
async function share(readOnly = false): Promise<{ root: string; outside: string; client: FuseClient }> {
  const folder = temporaryDirectory();
  const root = join(folder, "share");
  mkdirSync(root);
  const outside = join(folder, "secret");
  writeFileSync(outside, SECRET);
  const opened = openShare({ directory: root, mountPoint: "/mnt", readOnly }, "test");
  onTestFinished(() => opened.close());
  return { root, outside, client: await new FuseClient(opened.server).start() };
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

describe("files and names", () => {
  test("are made, read, renamed, linked and removed", async () => {
    const { root, client } = await share();
    expect((await client.create(1, "a", "hello")).error).toBe(0);
    expect(readFileSync(join(root, "a"), "utf8")).toBe("hello");
    expect(`${await client.read(await client.walk("a"))}`).toBe("hello");
    expect((await client.send(OPCODE.MKDIR, 1, [0o755, 0, "d"])).error).toBe(0);
    const directory = await client.walk("d");
    expect((await client.send(OPCODE.RENAME2, 1, [BigInt(directory), 1, 0, "a", "b"])).error).toBe(0);
    expect(readFileSync(join(root, "d/b"), "utf8")).toBe("hello");
    await client.create(1, "c", "x");
    const again = await client.send(OPCODE.RENAME2, 1, [BigInt(directory), 1, 0, "c", "b"]);
    expect(again.error).toBe(ERROR.EEXIST);
    const file = await client.walk("d/b");
    expect((await client.send(OPCODE.LINK, 1, [BigInt(file), "l"])).error).toBe(0);
    expect(await client.walk("l")).toBe(file);
    expect(statSync(join(root, "l")).nlink).toBe(2);
    expect((await client.send(OPCODE.SYMLINK, 1, ["s", "d/b"])).error).toBe(0);
    expect(`${(await client.send(OPCODE.READLINK, await client.walk("s"), [])).body}`).toBe("d/b");
    expect((await client.send(OPCODE.RMDIR, 1, ["d"])).error).toBe(39);
    expect((await client.send(OPCODE.UNLINK, directory, ["b"])).error).toBe(0);
    expect((await client.send(OPCODE.RMDIR, 1, ["d"])).error).toBe(0);
    expect(await client.walk("d")).toBe(-ERROR.ENOENT);
    expect(readdirSync(root).sort()).toEqual(["c", "l", "s"]);
  });

  test("a file that was removed stays open, and its number is not taken for a new file's", async () => {
    const { root, client } = await share();
    const made = await client.create(1, "a", "old");
    const node = made.body.readBigUInt64LE(0);
    const { body } = await client.send(OPCODE.OPEN, node, [2, 0]);
    const handle = body.readBigUInt64LE(0);
    await client.send(OPCODE.UNLINK, 1, ["a"]);
    const replaced = await client.create(1, "a", "new");
    expect(replaced.body.readBigUInt64LE(0)).not.toBe(node);
    const old = await client.send(OPCODE.READ, node, [handle, 0n, 100, 0, 0n, 0, 0]);
    expect(`${old.body}`).toBe("old");
    const attributes = await client.send(OPCODE.GETATTR, node, [0, 0, 0n]);
    expect(attributes.error).toBe(0);
    expect(attributes.body.readUInt32LE(16 + 64)).toBe(0);
    expect((await client.send(OPCODE.SETATTR, node, setAttributes({ valid: 8, size: 1n }))).error).toBe(0);
    await client.send(OPCODE.RELEASE, node, [handle, 0, 0, 0n]);
    expect(readFileSync(join(root, "a"), "utf8")).toBe("new");
  });

  test("attributes are set and read", async () => {
    const { root, client } = await share();
    const node = (await client.create(1, "a", "hello")).body.readBigUInt64LE(0);
    const set = setAttributes({
      valid: 1 | 8 | 16 | 32,
      mode: 0o600,
      size: 2n,
      accessed: 5n,
      modified: 1_000_000_000n,
    });
    const { body } = await client.send(OPCODE.SETATTR, node, set);
    expect(body.readBigUInt64LE(16 + 8)).toBe(2n);
    expect(body.readBigUInt64LE(16 + 24)).toBe(5n);
    const status = statSync(join(root, "a"));
    expect([status.mode & 0o777, status.size, status.mtimeMs]).toEqual([0o600, 2, 1e12]);
    // A link's own times, not its target's.
    symlinkSync("a", join(root, "s"));
    const link = await client.walk("s");
    expect((await client.send(OPCODE.SETATTR, link, setAttributes({ valid: 32, modified: 7n }))).error).toBe(
      0,
    );
    expect(lstatSync(join(root, "s")).mtimeMs).toBe(7000);
    expect(statSync(join(root, "a")).mtimeMs).toBe(1e12);
    expect((await client.send(OPCODE.SETATTR, link, setAttributes({ valid: 1, mode: 0o777 }))).error).toBe(
      95,
    );
  });

  test("a directory of many names, of any bytes, is listed whole", async () => {
    const { root, client } = await share();
    for (let i = 0; i < 500; i++) writeFileSync(join(root, `name-${"x".repeat(i % 200)}-${i}`), "");
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xff, 0xfe, 0x80)]), "");
    const { body } = await client.send(OPCODE.OPENDIR, 1, [0, 0]);
    const handle = body.readBigUInt64LE(0);
    for (const opcode of [OPCODE.READDIR, OPCODE.READDIRPLUS]) {
      const names: string[] = [];
      for (let offset = 0n; ; ) {
        const part = await client.send(opcode, 1, [handle, offset, 4096, 0, 0n, 0, 0]);
        if (part.body.length === 0) break;
        const start = opcode === OPCODE.READDIRPLUS ? 128 : 0;
        for (let at = 0; at < part.body.length; ) {
          offset = part.body.readBigUInt64LE(at + start + 8);
          const length = part.body.readUInt32LE(at + start + 16);
          names.push(part.body.toString("latin1", at + start + 24, at + start + 24 + length));
          at += start + Math.ceil((24 + length) / 8) * 8;
        }
      }
      expect(names.length).toBe(503);
      expect(names.slice(0, 2)).toEqual([".", ".."]);
      expect(names).toContain("\xff\xfe\x80");
    }
  });

  test("a read-only share changes nothing", async () => {
    const { root, client } = await share(true);
    writeFileSync(join(root, "a"), "hello");
    const node = await client.walk("a");
    expect(`${await client.read(node)}`).toBe("hello");
    const before = statSync(join(root, "a"));
    const requests: [number, number, (number | bigint | string)[]][] = [
      [OPCODE.OPEN, node, [1, 0]],
      [OPCODE.OPEN, node, [0o1000, 0]],
      [OPCODE.CREATE, 1, [2, 0o644, 0, 0, "b"]],
      [OPCODE.MKNOD, 1, [0o100644, 0, 0, 0, "b"]],
      [OPCODE.MKDIR, 1, [0o755, 0, "b"]],
      [OPCODE.SYMLINK, 1, ["b", "a"]],
      [OPCODE.LINK, 1, [BigInt(node), "b"]],
      [OPCODE.RENAME, 1, [1n, "a", "b"]],
      [OPCODE.UNLINK, 1, ["a"]],
      [OPCODE.SETATTR, node, setAttributes({ valid: 1, mode: 0 })],
    ];
    for (const [opcode, at, parts] of requests)
      expect((await client.send(opcode, at, parts)).error, `${opcode}`).toBe(ERROR.EROFS);
    expect(readdirSync(root)).toEqual(["a"]);
    expect(statSync(join(root, "a")).mtimeMs).toBe(before.mtimeMs);
  });

  test("more files than descriptors may be open are all reached, and given back", async () => {
    const before = descriptors();
    const { root, client } = await share();
    // 50 directories within one another, and names that stay known in each.
    const path = Array.from({ length: 50 }, (_, index) => `d${index}`).join("/");
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, "f"), "deep");
    expect(`${await client.read(await client.walk(`${path}/f`))}`).toBe("deep");
    client.server.reset();
    expect(descriptors()).toBeLessThanOrEqual(before + 1);
  });
});

describe("nothing outside of the share is reached", () => {
  test("by names", async () => {
    const { client, root } = await share();
    mkdirSync(join(root, "d"));
    const directory = await client.walk("d");
    for (const name of ["..", ".", "", "../secret", "/etc/passwd", "d/../../secret", "a/b"])
      for (const [opcode, parts] of [
        [OPCODE.LOOKUP, [name]],
        [OPCODE.CREATE, [2, 0o644, 0, 0, name]],
        [OPCODE.MKDIR, [0o755, 0, name]],
        [OPCODE.UNLINK, [name]],
        [OPCODE.RMDIR, [name]],
        [OPCODE.RENAME, [1n, name, "x"]],
        [OPCODE.RENAME, [1n, "d", name]],
      ] as const)
        expect((await client.send(opcode, directory, parts)).error, `${opcode} ${name}`).toBe(ERROR.EINVAL);
    expect(await client.walk("secret")).toBe(-ERROR.ENOENT);
  });

  test("through links, which stay links", async () => {
    const { client, root, outside } = await share();
    symlinkSync(outside, join(root, "link"));
    symlinkSync("..", join(root, "up"));
    symlinkSync("/proc/self/root", join(root, "proc"));
    for (const name of ["link", "up", "proc"]) {
      const node = await client.walk(name);
      expect(await client.read(node)).toBe(-ERROR.ELOOP);
      expect((await client.send(OPCODE.OPENDIR, node, [0, 0])).error).toBe(ERROR.ENOTDIR);
      expect((await client.send(OPCODE.LOOKUP, node, ["secret"])).error).toBe(ERROR.ENOTDIR);
      expect((await client.send(OPCODE.CREATE, node, [2, 0o644, 0, 0, "new"])).error).toBe(ERROR.ENOTDIR);
      expect((await client.create(1, name, "overwritten")).error).toBe(ERROR.ELOOP);
      expect((await client.send(OPCODE.SETATTR, node, setAttributes({ valid: 8, size: 0n }))).error).not.toBe(
        0,
      );
    }
    expect(readFileSync(outside, "utf8")).toBe(SECRET);
    expect((await client.send(OPCODE.LINK, 1, [BigInt(await client.walk("link")), "hard"])).error).toBe(0);
    expect(lstatSync(join(root, "hard")).isSymbolicLink()).toBe(true);
    expect(lstatSync(outside).nlink).toBe(1);
  });

  test("when a directory that is known becomes a link, or moves out", async () => {
    const { client, root, outside } = await share();
    mkdirSync(join(root, "d"));
    mkdirSync(join(root, "e"));
    writeFileSync(join(root, "d/secret"), "own");
    const directory = await client.walk("d");
    const file = await client.walk("d/secret");
    renameSync(join(root, "d"), join(root, "../moved"));
    symlinkSync("..", join(root, "d"));
    // The directory is still what it was, wherever it is; the link in its place is another thing.
    const found = await client.send(OPCODE.LOOKUP, directory, ["secret"]);
    if (found.error === 0) expect(`${await client.read(Number(found.body.readBigUInt64LE(0)))}`).toBe("own");
    const content = await client.read(file);
    expect(`${content}`).not.toContain(SECRET);
    expect((await client.send(OPCODE.RENAME, 1, [BigInt(await client.walk("e")), "d", "d"])).error).toBe(0);
    expect(lstatSync(join(root, "e/d")).isSymbolicLink()).toBe(true);
    expect(readFileSync(outside, "utf8")).toBe(SECRET);
  });

  test("by special files, which are neither opened nor made", async () => {
    const { client, root } = await share();
    expect(spawnSync("mkfifo", [join(root, "fifo")]).status).toBe(0);
    const node = await client.walk("fifo");
    expect(await client.read(node)).toBe(-ERROR.EOPNOTSUPP);
    expect((await client.create(1, "fifo", "x")).error).toBe(ERROR.EOPNOTSUPP);
    for (const type of [0o060_000, 0o020_000, 0o010_000, 0o140_000])
      expect((await client.send(OPCODE.MKNOD, 1, [type | 0o666, 0x103, 0, 0, "node"])).error).toBe(
        ERROR.EPERM,
      );
    expect(existsSync(join(root, "node"))).toBe(false);
  });

  test(
    "by races of links and directories on the host",
    async () => {
      const { client, root, outside } = await share();
      const other = join(root, "../other");
      mkdirSync(other);
      writeFileSync(join(other, "file"), SECRET);
      mkdirSync(join(root, "real"));
      writeFileSync(join(root, "real/file"), "own");
      symlinkSync("real", join(root, "x"));
      // A process that exchanges, as fast as it can, a directory, links out, and a file for one another.
      const swapper = spawn(process.execPath, [
        "-e",
        `const fs=require("fs");const [root,other,outside]=process.argv.slice(1);
         const x=root+"/x",t=root+"/.t";console.log("ready");
         for(;;){
           for(const target of [other,"..",outside]){try{fs.symlinkSync(target,t);fs.renameSync(t,x)}catch{}}
           try{fs.unlinkSync(x);fs.mkdirSync(x);fs.writeFileSync(x+"/file","own")}catch{}
           try{fs.rmSync(x,{recursive:true});fs.writeFileSync(t,"own");fs.renameSync(t,x)}catch{}
           try{fs.rmSync(x,{recursive:true})}catch{}
         }`,
        root,
        other,
        outside,
      ]);
      onTestFinished(() => void swapper.kill("SIGKILL"));
      await new Promise((resolve) => swapper.stdout.once("data", resolve));
      const until = Date.now() + (FULL ? 60_000 : 4000);
      let reads = 0;
      const errors = new Set<number>();
      for (let round = 0; Date.now() < until; round++) {
        const node = await client.walk("x");
        if (node < 0) continue;
        const below = await client.send(OPCODE.LOOKUP, node, ["file"]);
        const files = below.error === 0 ? [node, Number(below.body.readBigUInt64LE(0))] : [node];
        for (const file of files) {
          const content = await client.read(file);
          if (typeof content === "number") errors.add(content);
          else {
            reads++;
            expect(["own", ""]).toContain(`${content}`);
          }
        }
        await client.create(node, "file", "own");
        await client.send(OPCODE.CREATE, node, [2, 0o644, 0, 0, "made"]);
        await client.send(OPCODE.SETATTR, node, setAttributes({ valid: 1 | 8, mode: 0o755, size: 3n }));
        await client.send(OPCODE.RMDIR, node, ["file"]);
        await client.send(OPCODE.FORGET, node, [1n]);
        if (round % 20 === 0) await client.start();
      }
      expect(readFileSync(outside, "utf8")).toBe(SECRET);
      expect(readFileSync(join(other, "file"), "utf8")).toBe(SECRET);
      expect(readdirSync(other)).toEqual(["file"]);
      expect(readdirSync(join(root, "..")).sort()).toEqual(["other", "secret", "share"]);
      expect(reads).toBeGreaterThan(0);
      console.log(`${reads} reads, errors ${[...errors].sort().join(" ")}`);
    },
    FULL ? 120_000 : 30_000,
  );
});

test("a share that vanishes gives errors, not an end", async () => {
  const { client, root } = await share();
  await client.create(1, "a", "x");
  const node = await client.walk("a");
  rmSync(root, { recursive: true });
  expect(await client.walk("a")).toBe(-ERROR.ENOENT);
  expect(await client.read(node)).toBeLessThan(0);
  expect((await client.create(1, "b")).error).not.toBe(0);
  expect((await client.send(OPCODE.GETATTR, 1, [0, 0, 0n])).error).toBe(0);
});

test("random requests are answered, and leave the host as it was", async () => {
  const random = Random.ofThisRun();
  console.log(`fuse seed ${random.seed}`);
  const { client, outside } = await share();
  const before = descriptors();
  for (let round = 0; round < (FULL ? 200_000 : 10_000); round++) {
    const opcode = random.below(56);
    const names = ["a", "b", "..", "c/d", "x".repeat(300), ""];
    const parts = Array.from({ length: random.below(12) }, () => {
      const kind = random.below(4);
      if (kind === 0) return random.pick(names);
      if (kind === 1) return BigInt(random.below(8));
      return kind === 2 ? random.below(16) : random.u64();
    });
    // A write of gigabytes at the end of a file is legal, and so is truncating it; but disks are not so large.
    if (opcode === OPCODE.SETATTR || opcode === OPCODE.WRITE || opcode === OPCODE.INIT) continue;
    const answer = await client.send(opcode, random.below(6), parts, 16 + random.below(9000));
    expect(answer.error).toBeGreaterThanOrEqual(0);
  }
  client.server.reset();
  expect(descriptors()).toBeLessThanOrEqual(before + 1);
  expect(readFileSync(outside, "utf8")).toBe(SECRET);
});

test("a process that is not root shows its own files as root's", async () => {
  const owners = ownersFor(1000, 1001);
  expect([owners.userOf(1000), owners.groupOf(1001), owners.userOf(0), owners.userOf(7)]).toEqual([
    0, 0, 0, 7,
  ]);
  expect(owners.ownerFor(0, undefined)).toBeUndefined();
  expect(() => owners.ownerFor(5, undefined)).toThrow("EPERM");
  expect(ownersFor(0, 0).ownerFor(5, undefined)).toEqual({ user: 5, group: -1 });
});

test.runIf(process.geteuid?.() === 0)("owners and permissions of new files", async () => {
  const { root, client } = await share();
  await client.create(1, "a");
  chmodSync(join(root, "a"), 0o644);
  const node = await client.walk("a");
  expect(
    (await client.send(OPCODE.SETATTR, node, setAttributes({ valid: 2 | 4, user: 12, group: 34 }))).error,
  ).toBe(0);
  expect(statSync(join(root, "a"))).toMatchObject({ uid: 12, gid: 34 });
  const made = await client.send(OPCODE.MKDIR, 1, [0o1777, 0, "tmp"]);
  expect(made.error).toBe(0);
  expect(statSync(join(root, "tmp")).mode & 0o7777).toBe(0o1777);
  linkSync(join(root, "a"), join(root, "b"));
  expect(await client.walk("b")).toBe(node);
});

test("set-ID bits go where a driver that leaves that to us asks for it", async () => {
  const { root, client } = await share();
  const path = join(root, "a");
  const node = (await client.create(1, "a", "hello")).body.readBigUInt64LE(0);
  const opened = await client.send(OPCODE.OPEN, node, [2, 0]);
  const handle = opened.body.readBigUInt64LE(0);
  const write = (flags: number) =>
    client.send(OPCODE.WRITE, node, [handle, 0n, 1, flags, 0n, 0, 0, Buffer.from("x")]);
  const requests: [string, () => Promise<{ error: number }>][] = [
    ["write", () => write(4)],
    ["truncate", () => client.send(OPCODE.SETATTR, node, setAttributes({ valid: 8 | 2048, size: 1n }))],
    ["change of owner", () => client.send(OPCODE.SETATTR, node, setAttributes({ valid: 2, user: 0 }))],
    ["open", () => client.send(OPCODE.OPEN, node, [0o1001, 1])],
    ["create", () => client.send(OPCODE.CREATE, 1, [0o1001, 0o644, 0, 1, "a"])],
  ];
  for (const [what, request] of requests) {
    for (const [before, after] of [
      [0o6775, 0o775],
      [0o6765, 0o2765],
      [0o664, 0o664],
    ] as const) {
      chmodSync(path, before);
      expect((await request()).error).toBe(0);
      expect(statSync(path).mode & 0o7777, what).toBe(after);
    }
  }
  chmodSync(path, 0o6755);
  if (process.geteuid?.() === 0) {
    expect((await write(0)).error).toBe(0);
    expect(statSync(path).mode & 0o7777).toBe(0o6755);
  }
});

test("words of --share", () => {
  expect(parseShare("a:b:/mnt,ro")).toEqual({ directory: "a:b", mountPoint: "/mnt", readOnly: true });
  expect(parseShare(".:/mnt/x")).toEqual({ directory: ".", mountPoint: "/mnt/x", readOnly: false });
  for (const text of ["", ".", ":/mnt", ".:mnt", ".:/"])
    expect(() => parseShare(text), text).toThrow(/for example/);
  expect(() => openShare(parseShare("/nowhere:/mnt"), "t")).toThrow(/cannot be shared/);
  expect(() => openShare(parseShare("/etc/passwd:/mnt"), "t")).toThrow(/not a directory/);
});

interface SetAttributes {
  readonly valid: number;
  readonly mode?: number;
  readonly user?: number;
  readonly group?: number;
  readonly size?: bigint;
  readonly accessed?: bigint;
  readonly modified?: bigint;
}

/** `fuse_setattr_in`. */
function setAttributes(set: SetAttributes): (number | bigint)[] {
  const { valid, mode = 0, user = 0, group = 0, size = 0n, accessed = 0n, modified = 0n } = set;
  return [valid, 0, 0n, size, 0n, accessed, modified, 0n, 0, 0, 0, mode, 0, user, group, 0];
}
