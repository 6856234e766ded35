import { describe, expect, test } from "vitest";
import {
  elfProgram,
  gzip,
  linuxImage,
  TEST_DECOMPRESSORS,
  zbootImage,
} from "../../../test/support/boot-images.ts";
import { Random } from "../../../test/support/random.ts";
import { UserError } from "../../base/errors.ts";
import { MEBIBYTE } from "../../platform/units.ts";
import { virtDeviceTreeBlob } from "../../platform/virt-device-tree.ts";
import { applyBootPlan } from "./apply-boot-plan.ts";
import { type BootMachine, planBoot } from "./boot-plan.ts";
import { readKernelImage } from "./kernel-image.ts";

const MACHINE: BootMachine = { memoryBytes: 64 * MEBIBYTE, cpus: 2, secure: true, virtualization: true };
const ADDRESS = 0x4010_0000n;
const ROUNDS = 500;
const SEEDS = { kernel: 20_001, tree: 20_002 };

const KERNELS: Record<string, Uint8Array> = {
  "a Linux Image": linuxImage(),
  "a gzip-compressed Image": gzip(linuxImage()),
  "an EFI zboot image": zbootImage(gzip(linuxImage())),
  "an ELF program": elfProgram(ADDRESS, [
    { physicalAddress: ADDRESS, bytes: new Uint8Array(300), memorySize: 5000 },
    { physicalAddress: ADDRESS + 0x1_0000n, bytes: new Uint8Array(100), executable: false },
  ]),
};

/** The whole way from a file to memory. True when it booted, false when it was a user's mistake. */
async function boots(kernelBytes: Uint8Array, tree?: Uint8Array): Promise<boolean> {
  try {
    const kernel = await readKernelImage({ name: "kernel", bytes: kernelBytes }, TEST_DECOMPRESSORS);
    const deviceTree = tree === undefined ? undefined : { name: "tree", bytes: tree };
    const plan = planBoot({ machine: MACHINE, kernel, deviceTree });
    applyBootPlan(plan, unboundedMemory());
    for (const { address, size, bytes } of plan.loads) {
      expect(bytes.length).toBeLessThanOrEqual(size);
      const inRam = address >= 0x4000_0000 && address + size <= 0x4000_0000 + MACHINE.memoryBytes;
      const inSecureRam = address >= 0x0e00_0000 && address + size <= 0x0f00_0000;
      expect(inRam || inSecureRam).toBe(true);
    }
    expect(plan.start.pc % 4).toBe(0);
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** Memory that takes everything; where things go is checked above. */
function unboundedMemory(): Parameters<typeof applyBootPlan>[1] {
  const nothing = () => undefined;
  const taken = () => true;
  return {
    isMemory: taken,
    readInto: taken,
    write: taken,
    read8: nothing,
    read16: nothing,
    read32: nothing,
    read64: nothing,
    write8: taken,
    write16: taken,
    write32: taken,
    write64: taken,
  };
}

/** A copy with one to eight bytes changed, mostly near the start, where headers are. */
function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const interesting = [0, 1, 0x7f, 0x80, 0xff];
  for (let count = 1 + random.below(8); count > 0; count--) {
    const offset = random.below(random.below(2) === 0 ? Math.min(256, copy.length) : copy.length);
    copy[offset] = random.below(2) === 0 ? random.pick(interesting) : random.below(256);
  }
  return copy;
}

describe("a kernel that is cut or damaged boots or is the user's mistake", () => {
  test.each(Object.entries(KERNELS))("%s, cut at every offset", async (_, bytes) => {
    expect(await boots(bytes)).toBe(true);
    for (let length = 0; length < bytes.length; length += length < 1024 ? 1 : 61)
      await boots(bytes.subarray(0, length));
  });

  test.each(Object.entries(KERNELS))("%s, with random changes", async (name, bytes) => {
    const random = new Random(SEEDS.kernel);
    let booted = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const damaged = mutate(bytes, random);
      booted += Number(
        await boots(damaged).catch((cause: unknown) => {
          throw new Error(`${name}, seed ${random.seed}, round ${round}`, { cause });
        }),
      );
    }
    // Both outcomes must occur, or the mutations are too weak or too strong.
    expect(booted).toBeGreaterThan(0);
    expect(booted).toBeLessThan(ROUNDS);
  });
});

describe("a device tree that is cut or damaged boots or is the user's mistake", () => {
  const tree = virtDeviceTreeBlob(MACHINE);

  test("cut at every offset", async () => {
    expect(await boots(linuxImage(), tree)).toBe(true);
    for (let length = 0; length < tree.length; length += 7) {
      expect(await boots(linuxImage(), tree.subarray(0, length))).toBe(false);
    }
  });

  test("with random changes", async () => {
    const random = new Random(SEEDS.tree);
    let booted = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const damaged = mutate(tree, random);
      booted += Number(
        await boots(linuxImage(), damaged).catch((cause: unknown) => {
          throw new Error(`seed ${random.seed}, round ${round}`, { cause });
        }),
      );
    }
    expect(booted).toBeGreaterThan(0);
    expect(booted).toBeLessThan(ROUNDS);
  });
});
