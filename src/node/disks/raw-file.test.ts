import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { openRawFile } from "./raw-file.ts";

function image(): string {
  const path = join(temporaryDirectory(), "disk.img");
  writeFileSync(
    path,
    Uint8Array.from({ length: 8192 }, (_, index) => index >> 5),
  );
  return path;
}

test("reads, writes and keeps", async () => {
  const path = image();
  const drive = await openRawFile(path);
  expect(drive).toMatchObject({ size: 8192, readOnly: false });
  await drive.write(1024, new Uint8Array(512).fill(0xaa));
  expect((await drive.read(512, 1024)).slice(510, 514)).toEqual(Uint8Array.of(31, 31, 0xaa, 0xaa));
  await drive.flush();
  await drive.close();
  await drive.close();
  expect(readFileSync(path).subarray(1023, 1026)).toEqual(Buffer.of(31, 0xaa, 0xaa));
  expect(existsSync(`${path}.lock`)).toBe(false);
});

test("a drive that is only read can be read by many, and written by none", async () => {
  const path = image();
  const one = await openRawFile(path, { readOnly: true });
  const two = await openRawFile(path, { readOnly: true });
  expect(one.readOnly).toBe(true);
  await expect(one.write(0, new Uint8Array(512))).rejects.toThrow();
  await one.close();
  await two.close();
});

test("a failed opening gives the lock back", async () => {
  const path = image();
  const drive = await openRawFile(path);
  await expect(openRawFile(path)).rejects.toThrow(/given twice/);
  await drive.close();
  await (await openRawFile(path)).close();
});
