import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runHostProgram } from "../../../../test/support/host-program.ts";
import { temporaryDirectory } from "../../../../test/support/temporary-directory.ts";
import { Ext4Writer } from "./writer.ts";

const ATTRIBUTES = { mode: 0o640, user: 12, group: 70_000, time: 1_700_000_000 };
const MEBIBYTE = 2 ** 20;

/** Makes a file system of `bytes` bytes, has e2fsck look at it, and gives its path. */
async function makeImage(bytes: number, fill: (writer: Ext4Writer) => Promise<void>): Promise<string> {
  const path = join(temporaryDirectory(), "disk.raw");
  const file = await open(path, "w+");
  const target = {
    write: async (offset: number, piece: Uint8Array) =>
      void (await file.write(piece, 0, piece.length, offset)),
  };
  try {
    const writer = new Ext4Writer(target, bytes, { label: "test" });
    await fill(writer);
    await writer.finish();
  } finally {
    await file.close();
  }
  const check = runHostProgram("e2fsck", ["-f", "-n", path]);
  expect(check.stdout.toString()).not.toMatch(/Fix\?|error|corrupt/i);
  expect(check.status).toBe(0);
  return path;
}

function debugfs(path: string, request: string): string {
  return runHostProgram("debugfs", ["-R", request, path]).stdout.toString();
}

function contentOf(path: string, file: string): Buffer {
  const copy = join(temporaryDirectory(), "copy");
  debugfs(path, `dump ${file} ${copy}`);
  return readFileSync(copy);
}

/** Bytes that differ from place to place. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) bytes[index] = index * 7 + (index >> 8);
  return bytes;
}

describe("Ext4Writer", () => {
  test.each([32, 130, 300, 2048])("e2fsck finds nothing in %i MiB with nothing inside", async (mebibytes) => {
    const path = await makeImage(mebibytes * MEBIBYTE, async () => {});
    expect(debugfs(path, "stats")).toMatch(/Filesystem volume name: +test/);
  });

  test("files, links, devices and directories come out as they went in", async () => {
    const content = pattern(3 * MEBIBYTE + 17);
    const long = `/${"x".repeat(200)}`;
    const path = await makeImage(64 * MEBIBYTE, async (writer) => {
      writer.directory("/", { ...ATTRIBUTES, mode: 0o755 });
      writer.directory("a/b", ATTRIBUTES);
      await writer.file("a/b/content", { ...ATTRIBUTES, mode: 0o4755 }, content);
      await writer.file("a/empty", ATTRIBUTES, new Uint8Array(0));
      writer.hardLink("second", "a/b/content");
      await writer.link("short", ATTRIBUTES, "a/b");
      await writer.link("long", ATTRIBUTES, long);
      writer.device("dev/null", "character-device", ATTRIBUTES, 1, 3);
    });
    // Not toEqual(), which takes long for so many bytes.
    expect(contentOf(path, "/a/b/content").equals(content)).toBe(true);
    expect(contentOf(path, "/second").equals(content)).toBe(true);
    expect(contentOf(path, "/a/empty")).toHaveLength(0);
    const status = debugfs(path, "stat /a/b/content");
    expect(status).toMatch(/Type: regular +Mode: +04755/);
    expect(status).toMatch(/User: +12 +Group: 70000 .*Size: 3145745/s);
    expect(status).toMatch(/Links: 2/);
    expect(status).toMatch(/mtime: 0x6553f100/);
    expect(debugfs(path, "stat /short")).toContain('Fast link dest: "a/b"');
    expect(contentOf(path, "/long").toString()).toBe(long);
    expect(debugfs(path, "stat /dev/null")).toMatch(
      /Type: character special .*Device major\/minor number: 01:03/s,
    );
  });

  test("paths go through links to directories, as with a merged /usr", async () => {
    const path = await makeImage(64 * MEBIBYTE, async (writer) => {
      writer.directory("usr/bin", ATTRIBUTES);
      await writer.link("bin", ATTRIBUTES, "usr/bin");
      await writer.link("absolute", ATTRIBUTES, "/usr");
      writer.directory("bin", ATTRIBUTES);
      await writer.file("bin/one", ATTRIBUTES, pattern(5));
      await writer.file("absolute/bin/two", ATTRIBUTES, pattern(6));
      expect(writer.typeOf("bin/two")).toBe("file");
      expect(writer.typeOf("bin/three")).toBeUndefined();
    });
    expect(debugfs(path, "ls -p /usr/bin")).toMatch(/\/one\/.*\/two\//s);
    expect(debugfs(path, "stat /bin")).toContain("symlink");
  });

  test("what is replaced gives its blocks back", async () => {
    const path = await makeImage(48 * MEBIBYTE, async (writer) => {
      for (let turn = 0; turn < 5; turn++)
        await writer.file("same", ATTRIBUTES, pattern(12 * MEBIBYTE + turn));
    }).catch((error: unknown) => error);
    // Blocks that come free are behind those that are given out, so this fills the disk.
    expect(String(path)).toMatch(/too small/);
    const fits = await makeImage(48 * MEBIBYTE, async (writer) => {
      for (let turn = 0; turn < 2; turn++)
        await writer.file("same", ATTRIBUTES, pattern(12 * MEBIBYTE + turn));
    });
    expect(contentOf(fits, "/same")).toHaveLength(12 * MEBIBYTE + 1);
  });

  test("a directory of many names, a file of many extents", async () => {
    const path = await makeImage(1024 * MEBIBYTE, async (writer) => {
      for (let index = 0; index < 3000; index++) {
        await writer.file(`many/file-with-a-name-${index}`, ATTRIBUTES, new Uint8Array(0));
      }
      await writer.file("large", ATTRIBUTES, new Uint8Array(600 * MEBIBYTE));
    });
    expect(debugfs(path, "ls -p /many").match(/file-with-a-name/g)).toHaveLength(3000);
    expect(debugfs(path, "stat /large")).toMatch(/ETB0/);
  });

  test("misuse is a sentence", async () => {
    const target = { write: async () => {} };
    const writer = new Ext4Writer(target, 64 * MEBIBYTE);
    await writer.file("file", ATTRIBUTES, pattern(1));
    writer.directory("directory", ATTRIBUTES);
    await expect(writer.file("directory", ATTRIBUTES, pattern(1))).rejects.toThrow(
      /"directory" cannot be a file/,
    );
    await expect(writer.file("file/below", ATTRIBUTES, pattern(1))).rejects.toThrow(/cannot be below a file/);
    expect(() => writer.directory("file", ATTRIBUTES)).toThrow(/"file" cannot be a directory/);
    await writer.link("loop", ATTRIBUTES, "loop");
    await expect(writer.file("loop/x", ATTRIBUTES, pattern(1))).rejects.toThrow(/links/);
    await expect(writer.file("too-large", ATTRIBUTES, new Uint8Array(70 * MEBIBYTE))).rejects.toThrow(
      /too small/,
    );
  });
});
