import { existsSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { createQcow2 } from "../../devices/storage/qcow2/create.ts";
import { type DriveFile, openDrive } from "./drive-file.ts";
import { parseDrive } from "./drive-option.ts";
import { HostFile } from "./host-file.ts";

function image(folder = temporaryDirectory(), name = "disk.img"): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    Uint8Array.from({ length: 8192 }, (_, index) => index >> 5),
  );
  return path;
}

async function qcow2(path: string, size: number, backing?: string): Promise<string> {
  const file = await HostFile.open(path, "w+");
  await createQcow2(file, {
    size,
    backing: backing === undefined ? undefined : { file: backing, format: "qcow2" },
  });
  await file.close();
  return path;
}

async function read(drive: DriveFile, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await drive.read(offset, bytes);
  return bytes;
}

describe("a raw drive", () => {
  test("reads, writes and keeps", async () => {
    const path = image();
    const drive = await openDrive(path);
    expect(drive).toMatchObject({ size: 8192, readOnly: false, format: "raw" });
    await drive.write(1024, new Uint8Array(512).fill(0xaa));
    expect((await read(drive, 512, 1024)).slice(510, 514)).toEqual(Uint8Array.of(31, 31, 0xaa, 0xaa));
    await drive.flush();
    await drive.close();
    await drive.close();
    expect(readFileSync(path).subarray(1023, 1026)).toEqual(Buffer.of(31, 0xaa, 0xaa));
    expect(readdirSync(join(path, ".."))).toEqual(["disk.img"]);
  });

  test("waits for the host's disk at a flush, unless nobody would need the file", async () => {
    const path = image();
    const usual = await openDrive(path);
    expect(usual.flush()).toBeInstanceOf(Promise);
    await usual.close();
    const draft = await openDrive(path, { durability: "at close" });
    await draft.write(1024, new Uint8Array(512).fill(0xbb));
    expect(draft.flush()).toBeUndefined();
    await draft.close();
    const temporary = await openDrive(path, { overlay: "temporary" });
    expect(temporary.flush()).toBeUndefined();
    await temporary.write(1024, new Uint8Array(512).fill(0xcc));
    await temporary.flush();
    expect((await read(temporary, 1024, 1))[0]).toBe(0xcc);
    await temporary.close();
    expect(readFileSync(path)[1024]).toBe(0xbb);
  });

  test("that is only read can be read by many, and written by none", async () => {
    const path = image();
    const one = await openDrive(path, { readOnly: true });
    const two = await openDrive(path, { readOnly: true });
    expect(one.readOnly).toBe(true);
    expect(() => one.write(0, new Uint8Array(512))).toThrow();
    await expect(openDrive(path)).rejects.toThrow(/given twice/);
    await one.close();
    await two.close();
    const writer = await openDrive(path);
    await expect(openDrive(path, { readOnly: true })).rejects.toThrow(/given twice/);
    await writer.close();
    expect(readdirSync(join(path, ".."))).toEqual(["disk.img"]);
  });

  test("a failed opening gives the lock back", async () => {
    const path = image();
    const drive = await openDrive(path);
    await expect(openDrive(path)).rejects.toThrow(/given twice/);
    await drive.close();
    await (await openDrive(path)).close();
  });

  test("a guest cannot make it an image of another format, unless the format was named", async () => {
    const path = image();
    const said: string[] = [];
    const header = new Uint8Array(512);
    header.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);
    const probed = await openDrive(path, { report: (sentence) => said.push(sentence) });
    expect(() => probed.write(0, header)).toThrow(/refused/);
    expect(said).toHaveLength(1);
    await probed.write(512, header);
    await probed.close();
    const named = await openDrive(path, { format: "raw" });
    await named.write(0, header);
    await named.close();
    const again = await openDrive(path, { format: "raw" });
    expect(again.format).toBe("raw");
    await again.close();
  });

  test("a host file that becomes shorter reads as zeros, and errors are told once", async () => {
    const path = image();
    const drive = await openDrive(path);
    truncateSync(path, 1024);
    expect((await read(drive, 512, 1024)).subarray(512)).toEqual(new Uint8Array(512));
    await drive.close();
  });
});

describe("a qcow2 drive", () => {
  test("locks its backing file against writers, and lets it be read", async () => {
    const folder = temporaryDirectory();
    const base = await qcow2(join(folder, "base.qcow2"), 1 << 20);
    const top = await qcow2(join(folder, "top.qcow2"), 1 << 20, "base.qcow2");
    const drive = await openDrive(top);
    await expect(openDrive(base)).rejects.toThrow(/in use|given twice/);
    const other = await openDrive(base, { readOnly: true });
    await other.close();
    await drive.close();
    await (await openDrive(base)).close();
  });

  test("says which backing file is missing, and which goes in a circle", async () => {
    const folder = temporaryDirectory();
    const base = await qcow2(join(folder, "base.qcow2"), 1 << 20, "top.qcow2");
    const top = await qcow2(join(folder, "top.qcow2"), 1 << 20, "base.qcow2");
    await expect(openDrive(top)).rejects.toThrow(/based on .*base\.qcow2 itself/);
    renameSync(base, `${base}.away`);
    await expect(openDrive(top)).rejects.toThrow(/needs its backing file .*base\.qcow2, which is not there/);
    expect(readdirSync(folder).sort()).toEqual(["base.qcow2.away", "top.qcow2"]);
  });

  test("through a chain and links, backing files are found beside the image that names them", async () => {
    const folder = temporaryDirectory();
    let below = image(folder, "zero.img");
    for (const name of ["one", "two", "three"]) {
      const drive = await openDrive(below, { overlay: { path: join(folder, `${name}.qcow2`) } });
      await drive.write(512 * name.length, new Uint8Array(512).fill(name.length));
      await drive.close();
      below = join(folder, `${name}.qcow2`);
    }
    const drive = await openDrive(below, { overlay: "temporary" });
    await drive.write(0, new Uint8Array(512).fill(0x77));
    expect([...(await read(drive, 0, 3072))].filter((_, index) => index % 512 === 0)).toEqual([
      0x77, 16, 32, 3, 64, 5,
    ]);
    await drive.close();
    expect(readdirSync(folder).sort()).toEqual(["one.qcow2", "three.qcow2", "two.qcow2", "zero.img"]);
    expect(readFileSync(join(folder, "zero.img"))[512 * 3]).toBe(48);
  });

  test("an overlay goes on, and belongs to one image", async () => {
    const folder = temporaryDirectory();
    const base = image(folder);
    const overlay = { path: join(folder, "mine.qcow2") };
    const first = await openDrive(base, { overlay });
    await first.write(0, new Uint8Array(512).fill(9));
    await first.close();
    const second = await openDrive(base, { overlay });
    expect((await read(second, 0, 512))[0]).toBe(9);
    await second.close();
    await expect(openDrive(image(folder, "other.img"), { overlay })).rejects.toThrow(
      /belongs to .*disk\.img/,
    );
    await expect(openDrive(base, { overlay: { path: "/nowhere/at/all.qcow2" } })).rejects.toThrow(
      /cannot be made/,
    );
    expect(existsSync(`${base}.lock`)).toBe(false);
  });
});

test("words after the file's name", () => {
  expect(parseDrive("a,,b.img,ro,serial=x1")).toEqual({
    path: "a,b.img",
    options: { readOnly: true, serial: "x1" },
  });
  expect(parseDrive("a,overlay,format=raw").options).toEqual({ overlay: "temporary", format: "raw" });
  expect(parseDrive("a,bus=pci").options).toEqual({ bus: "pci" });
  expect(parseDrive("a,overlay=b=c").options).toEqual({ overlay: { path: "b=c" } });
  for (const text of ["", "a,rw", "a,format=vmdk", "a,ro=1", "a,overlay="])
    expect(() => parseDrive(text), text).toThrow(/after the file's name/);
});
