import { describe, expect, test } from "vitest";
import {
  elfProgram,
  gzip,
  linuxImage,
  TEST_DECOMPRESSORS,
  zbootImage,
} from "../../../test/support/boot-images.ts";
import { UserError } from "../../base/errors.ts";
import { type Decompressors, readKernelImage } from "./kernel-image.ts";

function read(bytes: Uint8Array, decompressors: Decompressors = TEST_DECOMPRESSORS) {
  return readKernelImage({ name: "vmlinuz", bytes }, decompressors);
}

function text(characters: string, size = 4096): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set(Array.from(characters, (character) => character.charCodeAt(0)));
  return bytes;
}

function at(offset: number, ...values: number[]): Uint8Array {
  const bytes = new Uint8Array(65536);
  bytes.set(values, offset);
  return bytes;
}

describe("readKernelImage()", () => {
  test("reads a Linux Image's header", async () => {
    const bytes = linuxImage({ textOffset: 0x80000n, imageSize: 0x123456n });
    const expected = { kind: "linux", bytes, textOffset: 0x80000n, memorySize: 0x123456n };
    expect(await read(bytes)).toMatchObject(expected);
  });

  test("takes the file's size and the old offset when the header says no size", async () => {
    const image = await read(linuxImage({ textOffset: 5n, imageSize: 0n }));
    expect(image).toMatchObject({ textOffset: 0x80000n, memorySize: 4096n });
  });

  test.each([
    ["gzip", gzip(linuxImage())],
    ["EFI zboot", zbootImage(gzip(linuxImage()))],
    ["EFI zboot inside gzip", gzip(zbootImage(gzip(linuxImage())))],
  ])("unpacks %s", async (_, bytes) => {
    expect(await read(bytes)).toMatchObject({ kind: "linux", bytes: linuxImage() });
  });

  test.each(["zstd", "zstd22"])("gives a zboot payload called %s to the zstd decompressor", async (name) => {
    const payload = Uint8Array.of(1, 2, 3);
    const zstd = (packed: Uint8Array) => (packed.join() === "1,2,3" ? linuxImage() : new Uint8Array(0));
    expect(await read(zbootImage(payload, name), { zstd })).toMatchObject({ kind: "linux" });
  });

  test("takes what it does not know for a flat binary", async () => {
    const bytes = Uint8Array.of(0, 0, 0, 0x14);
    expect(await read(bytes)).toEqual({ kind: "flat", name: "vmlinuz", bytes });
  });

  test("reads an ELF program's segments and translates its entry to a physical address", async () => {
    const code = new Uint8Array(64);
    const bytes = elfProgram(0xffff_0000_0000_0010n, [
      { physicalAddress: 0x4000_0000n, virtualAddress: 0xffff_0000_0000_0000n, bytes: code, memorySize: 128 },
    ]);
    const segments = [{ address: 0x4000_0000n, bytes: code, memorySize: 128n }];
    expect(await read(bytes)).toEqual({ kind: "elf", name: "vmlinuz", entry: 0x4000_0010n, segments });
  });
});

describe("readKernelImage() refuses", () => {
  const x86 = at(0x1fe, 0x55, 0xaa, 0x00, 0x00, 0x48, 0x64, 0x72, 0x53);
  const elf = elfProgram(0x4000_0000n, [{ physicalAddress: 0x4000_0000n, bytes: new Uint8Array(16) }]);
  const changed = (bytes: Uint8Array, offset: number, ...values: number[]) => {
    const copy = bytes.slice();
    copy.set(values, offset);
    return copy;
  };
  const efiProgram = changed(linuxImage(), 56, 0, 0, 0, 0);
  test.each<[string, Uint8Array, RegExp]>([
    ["an empty file", new Uint8Array(0), /is empty/],
    ["an x86 kernel", x86, /is an x86 kernel \(bzImage\); give a kernel built for arm64/],
    ["a 32-bit Arm kernel", at(0x24, 0x18, 0x28, 0x6f, 0x01), /32-bit Arm kernel/],
    ["a RISC-V kernel", at(0x38, 0x52, 0x53, 0x43, 0x05), /RISC-V/],
    ["a big-endian kernel", linuxImage({ flags: 1n }), /big-endian/],
    ["a truncated kernel", linuxImage().subarray(0, 2048), /truncated: it has 2048 of at least 4096 bytes/],
    ["a kernel cut in its header", linuxImage().subarray(0, 40), /truncated/],
    ["truncated gzip", gzip(linuxImage()).subarray(0, 50), /gzip data is damaged, truncated/],
    ["a truncated zboot image", zbootImage(gzip(linuxImage())).subarray(0, 520), /truncated/],
    [
      "an unknown zboot compression",
      zbootImage(new Uint8Array(9), "middle-out"),
      /"middle-out", which is unknown/,
    ],
    [
      "a compression nobody can unpack",
      at(0, 0xfd, 0x37, 0x7a, 0x58, 0x5a, 0),
      /packed with xz.*unpack it first/,
    ],
    ["gzip for ever", gzip(gzip(gzip(gzip(linuxImage())))), /compressed more than 3 times/],
    ["a U-Boot image", at(0, 0x27, 0x05, 0x19, 0x56), /U-Boot image/],
    ["a device tree", at(0, 0xd0, 0x0d, 0xfe, 0xed), /give it to --dtb/],
    ["an Android boot image", text("ANDROID!"), /Android boot image/],
    ["a Debian package", text("!<arch>\n"), /Debian package/],
    ["a cpio archive", text("070701"), /give it to --initrd/],
    ["a disk image", text("QFI\xfb"), /qcow2.*--drive/],
    ["a web page", text("<!DOCTYPE html>"), /HTML page/],
    ["a script", text("#!/bin/sh\n"), /is a script/],
    ["an arm64 EFI program", efiProgram, /EFI program.*--bios/],
    ["an x86 EFI program", changed(efiProgram, 68, 0x64, 0x86), /a program for x86-64/],
    ["an x86 ELF program", changed(elf, 18, 62, 0), /is for x86-64/],
    [
      "a big-endian PowerPC program",
      changed(elf, 5, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 21),
      /big-endian 64-bit PowerPC/,
    ],
    ["a 32-bit ELF program", changed(elf, 4, 1), /another data model/],
    ["a relocatable ELF file", changed(elf, 16, 1), /ELF type 1/],
    ["an ELF program without segments", elfProgram(0n, []), /no segments/],
    ["an ELF program with its entry elsewhere", changed(elf, 24, 0, 0, 0, 0x50), /entry point 0x50000000/],
    ["an ELF program with an odd entry", changed(elf, 24, 2), /entry point 0x40000002/],
  ])("%s", async (_, bytes, message) => {
    const outcome = read(bytes);
    await expect(outcome).rejects.toThrow(message);
    await expect(outcome).rejects.toBeInstanceOf(UserError);
    await expect(outcome).rejects.toThrow(/vmlinuz.*[.]$/);
  });
});
