import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { linuxImage, zbootImage } from "../../test/support/boot-images.ts";
import { runHostProgram } from "../../test/support/host-program.ts";
import { UserError } from "../base/errors.ts";
import { readKernelImage } from "../machine/boot/kernel-image.ts";
import { KERNEL_DECOMPRESSORS } from "./kernel-decompressors.ts";

const IMAGE = linuxImage({ fileSize: 300_000 });
const PACKED = {
  gzip: new Uint8Array(gzipSync(IMAGE)),
  zstd: new Uint8Array(runHostProgram("zstd", ["-19", "-c"], { input: IMAGE }).stdout),
  xz: new Uint8Array(runHostProgram("xz", ["-c"], { input: IMAGE }).stdout),
};
type Format = keyof typeof PACKED;
const FORMATS = Object.keys(PACKED) as Format[];

describe("readKernelImage() with this host's decompressors", () => {
  test.each(FORMATS)("unpacks %s, alone and in an EFI zboot image", async (format) => {
    for (const bytes of [PACKED[format], zbootImage(PACKED[format], format)]) {
      const image = await readKernelImage({ name: "vmlinuz", bytes }, KERNEL_DECOMPRESSORS);
      expect(image).toMatchObject({ kind: "linux", memorySize: 300_000n });
      expect(image.kind === "linux" && Buffer.compare(image.bytes, IMAGE)).toBe(0);
    }
  });

  test.each(FORMATS)("says so when %s is cut anywhere", async (format) => {
    const whole = PACKED[format];
    for (let length = 8; length < whole.length; length += 1 + Math.floor(whole.length / 20)) {
      const file = { name: "vmlinuz", bytes: whole.subarray(0, length) };
      await expect(readKernelImage(file, KERNEL_DECOMPRESSORS)).rejects.toBeInstanceOf(UserError);
    }
  });

  test.each(FORMATS)("stops %s at the limit", async (format) => {
    await expect((async () => KERNEL_DECOMPRESSORS[format]?.(PACKED[format], 1000))()).rejects.toThrow();
  });
});
