import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sha256, TestMirror } from "../../../test/support/debian-mirror.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { type Download, download, SILENT_PROGRESS } from "./download.ts";

const CONTENT = Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) >> 5);
const IMPATIENT = { delay: () => 0 };

let mirror: TestMirror;
beforeAll(async () => {
  mirror = await TestMirror.start();
});
afterAll(() => mirror.stop());
beforeEach(() => {
  mirror.misbehave = () => ({});
  mirror.requests.length = 0;
  mirror.files.set("file", CONTENT);
});

function request(change: Partial<Download> = {}): Download {
  const target = join(temporaryDirectory(), "file");
  return {
    url: `${mirror.url}/file`,
    size: CONTENT.length,
    sha256: sha256(CONTENT),
    target,
    label: "file",
    ...change,
  };
}

function run(what: Download): Promise<void> {
  return download(what, SILENT_PROGRESS, IMPATIENT);
}

describe("download()", () => {
  test("brings a file and leaves nothing beside it", async () => {
    const what = request();
    await run(what);
    expect(Buffer.compare(readFileSync(what.target), CONTENT)).toBe(0);
    expect(existsSync(`${what.target}.part`)).toBe(false);
  });

  test("asks for nothing when the file is there", async () => {
    const what = request();
    writeFileSync(what.target, CONTENT);
    await run(what);
    expect(mirror.requests).toEqual([]);
  });

  test("goes on where the connection broke, wherever that is", async () => {
    for (let cut = 1; cut < CONTENT.length; cut += 61) {
      mirror.requests.length = 0;
      mirror.misbehave = (_, count) => (count === 0 ? { cutAfter: cut } : {});
      const what = request();
      await run(what);
      expect(Buffer.compare(readFileSync(what.target), CONTENT)).toBe(0);
      expect(mirror.requests).toEqual([
        { path: "file", from: 0 },
        { path: "file", from: cut },
      ]);
    }
  });

  test("goes on where an earlier process stopped, wherever that was", async () => {
    for (let there = 0; there <= CONTENT.length; there += 97) {
      const what = request();
      writeFileSync(`${what.target}.part`, CONTENT.subarray(0, there));
      mirror.requests.length = 0;
      await run(what);
      expect(Buffer.compare(readFileSync(what.target), CONTENT)).toBe(0);
      expect(mirror.requests.at(-1)?.from ?? 0).toBe(there);
    }
  });

  test("arrives through a connection that breaks every few bytes", async () => {
    mirror.misbehave = () => ({ cutAfter: 100 });
    const what = request();
    await run(what);
    expect(Buffer.compare(readFileSync(what.target), CONTENT)).toBe(0);
  });

  test("begins again with a server that knows no parts", async () => {
    mirror.misbehave = (_, count) => (count === 0 ? { cutAfter: 1000 } : { ignoreRange: true });
    const what = request();
    await run(what);
    expect(Buffer.compare(readFileSync(what.target), CONTENT)).toBe(0);
  });

  test.each([1, 2500, 5000, 6000])("begins again after a wrong beginning of %i bytes", async (length) => {
    const what = request();
    writeFileSync(`${what.target}.part`, new Uint8Array(length).fill(0xee));
    await run(what);
    expect(Buffer.compare(readFileSync(what.target), CONTENT)).toBe(0);
  });

  test.each([
    ["another byte", CONTENT.with(2000, CONTENT[2000]! ^ 1)],
    ["a byte more", Uint8Array.of(...CONTENT, 0)],
  ])("refuses %s than the index has, and keeps none of it", async (_, instead) => {
    mirror.misbehave = () => ({ instead });
    const what = request();
    await expect(run(what)).rejects.toThrow(/not what the signed index describes/);
    expect(existsSync(what.target)).toBe(false);
  });

  test("says so when the file is too short for ever", async () => {
    mirror.misbehave = () => ({ instead: CONTENT.subarray(0, 4000) });
    const what = request();
    await expect(run(what)).rejects.toThrow(/not what the signed index describes/);
    expect(existsSync(what.target)).toBe(false);
  });

  test("says which address answers with an error, and tries again only when that may help", async () => {
    mirror.misbehave = () => ({ status: 404 });
    await expect(run(request())).rejects.toThrow(`${mirror.url}/file answers 404 Not Found`);
    expect(mirror.requests).toHaveLength(1);
    mirror.requests.length = 0;
    mirror.misbehave = (_, count) => (count < 3 ? { status: 503 } : {});
    await run(request());
  });

  test("says so when there is no server", async () => {
    await expect(run(request({ url: "http://127.0.0.1:9/file" }))).rejects.toThrow(
      /cannot be reached \(the connection was refused\); check the network/,
    );
  });

  test("says so when the disk is full, and how much is needed", async () => {
    const what = request();
    symlinkSync("/dev/full", `${what.target}.part`);
    await expect(run(what)).rejects.toThrow(/The disk is full .*1 MiB more are needed.*XDG_CACHE_HOME/);
  });
});
