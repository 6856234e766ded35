import { describe, expect, test } from "vitest";
import { gzip, linuxImage, TEST_DECOMPRESSORS } from "../../../test/support/boot-images.ts";
import { readDeviceTree } from "../../platform/device-tree/reader.ts";
import { findNode } from "../../platform/device-tree/tree.ts";
import { MEBIBYTE } from "../../platform/units.ts";
import { type BootOptions, prepareBoot } from "./prepare-boot.ts";

const OPTIONS: BootOptions = {
  memoryBytes: 256 * MEBIBYTE,
  cpus: 1,
  kernel: { name: "vmlinuz", bytes: gzip(linuxImage()) },
  decompressors: TEST_DECOMPRESSORS,
};

/** Counts up: every byte drawn is another. */
function countingBytes() {
  let next = 0;
  return (length: number) => Uint8Array.from({ length }, () => next++ & 0xff);
}

async function seeds(options: BootOptions, path = "/chosen") {
  const tree = readDeviceTree((await prepareBoot(options)).deviceTree, "ours");
  const properties = findNode(tree, path)?.properties;
  return { random: properties?.get("rng-seed"), address: properties?.get("kaslr-seed") };
}

describe("prepareBoot()", () => {
  test("unpacks the kernel", async () => {
    const { loads } = await prepareBoot(OPTIONS);
    expect(loads.find(({ what }) => what === "kernel")?.bytes).toEqual(linuxImage());
  });

  test("draws seeds of the right sizes, others for the Secure world", async () => {
    const options = { ...OPTIONS, secure: true, randomBytes: countingBytes() };
    const { random, address } = await seeds(options);
    expect(random).toEqual(Uint8Array.from({ length: 32 }, (_, index) => index));
    expect(address).toEqual(Uint8Array.from({ length: 8 }, (_, index) => 32 + index));
    const secure = await seeds({ ...options, randomBytes: countingBytes() }, "/secure-chosen");
    expect(secure.random?.[0]).toBe(40);
  });

  test("draws the same seeds each time for a deterministic machine", async () => {
    const options = { ...OPTIONS, deterministic: true, randomBytes: countingBytes() };
    expect(await seeds(options)).toEqual(await seeds(options));
    expect((await seeds(options)).random).toHaveLength(32);
  });
});
