import { describe, expect, test } from "vitest";
import { elfProgram, linuxImage, TEST_DECOMPRESSORS } from "../../../test/support/boot-images.ts";
import { UserError } from "../../base/errors.ts";
import { decodeCells, decodeStrings } from "../../platform/device-tree/property-values.ts";
import { readDeviceTree } from "../../platform/device-tree/reader.ts";
import { findNode } from "../../platform/device-tree/tree.ts";
import { MEBIBYTE } from "../../platform/units.ts";
import { virtDeviceTreeBlob } from "../../platform/virt-device-tree.ts";
import { type BootInputs, type BootMachine, type BootPlan, planBoot } from "./boot-plan.ts";
import { type KernelImage, readKernelImage } from "./kernel-image.ts";

const RAM = 0x4000_0000;
const MACHINE: BootMachine = { memoryBytes: 512 * MEBIBYTE, cpus: 1, secure: false, virtualization: false };
const BOTH: BootMachine = { ...MACHINE, secure: true, virtualization: true };
const INITRD = { name: "initrd.img", bytes: new TextEncoder().encode("070701 and so on") };

function kernel(bytes = linuxImage()): Promise<KernelImage> {
  return readKernelImage({ name: "vmlinuz", bytes }, TEST_DECOMPRESSORS);
}

function program(
  address: number,
  bytes = new Uint8Array(16),
  memorySize = bytes.length,
): Promise<KernelImage> {
  return kernel(elfProgram(BigInt(address), [{ physicalAddress: BigInt(address), bytes, memorySize }]));
}

function addressOf(plan: BootPlan, what: string): number | undefined {
  return plan.loads.find((load) => load.what === what)?.address;
}

describe("planBoot() of a Linux kernel", () => {
  test("puts kernel, initrd and device tree where QEMU puts them", async () => {
    const plan = planBoot({ machine: MACHINE, kernel: await kernel(), initrd: INITRD });
    expect(addressOf(plan, "kernel")).toBe(RAM + 2 * MEBIBYTE);
    expect(addressOf(plan, "initrd")).toBe(RAM + 128 * MEBIBYTE);
    expect(addressOf(plan, "device tree")).toBe(RAM + 130 * MEBIBYTE);
    expect(plan.start).toMatchObject({
      pc: RAM + 2 * MEBIBYTE,
      arguments: [BigInt(RAM + 130 * MEBIBYTE), 0n, 0n, 0n],
    });
  });

  test("keeps a text offset that leaves the first page free", async () => {
    const plan = planBoot({ machine: MACHINE, kernel: await kernel(linuxImage({ textOffset: 0x80000n })) });
    expect(plan.start.pc).toBe(RAM + 0x80000);
  });

  test("puts the initrd half-way up a small memory, and above a large kernel", async () => {
    const machine = { ...MACHINE, memoryBytes: 64 * MEBIBYTE };
    const small = planBoot({ machine, kernel: await kernel(), initrd: INITRD });
    expect(addressOf(small, "initrd")).toBe(RAM + 32 * MEBIBYTE);
    const large = await kernel(linuxImage({ imageSize: BigInt(40 * MEBIBYTE + 1) }));
    expect(addressOf(planBoot({ machine, kernel: large, initrd: INITRD }), "initrd")).toBe(
      RAM + 42 * MEBIBYTE + 4096,
    );
  });

  test.each<[string, BootMachine, 1 | 2, "hvc" | "smc"]>([
    ["EL1 alone", MACHINE, 1, "hvc"],
    ["EL2", { ...MACHINE, virtualization: true }, 2, "smc"],
    ["EL3", { ...MACHINE, secure: true }, 1, "hvc"],
    ["EL2 and EL3", BOTH, 2, "smc"],
  ])("starts it Non-secure on a machine with %s", async (_, machine, level, psciConduit) => {
    const plan = planBoot({ machine, kernel: await kernel() });
    expect(plan).toMatchObject({ psciConduit, secondaries: "wait", interruptsNonSecure: machine.secure });
    expect(plan.start.level).toBe(level);
    expect(
      plan.start.systemRegisters.some(({ name, bits }) => name === "SCR_EL3" && (bits & 1n) === 1n),
    ).toBe(machine.secure);
  });

  test("tells the kernel its arguments, initrd and memory", async () => {
    const plan = planBoot({ machine: MACHINE, kernel: await kernel(), initrd: INITRD, commandLine: "quiet" });
    const tree = readDeviceTree(plan.deviceTree, "ours");
    const chosen = findNode(tree, "/chosen")?.properties;
    expect(decodeStrings(chosen?.get("bootargs") ?? new Uint8Array())).toEqual(["quiet"]);
    expect(decodeCells(chosen?.get("linux,initrd-start") ?? new Uint8Array())).toEqual([
      RAM + 128 * MEBIBYTE,
    ]);
    expect(decodeCells(chosen?.get("linux,initrd-end") ?? new Uint8Array())).toEqual([
      RAM + 128 * MEBIBYTE + 16,
    ]);
  });
});

describe("planBoot() of a bare program", () => {
  test("starts at the highest level, with the device tree at the start of memory", async () => {
    const plan = planBoot({ machine: BOTH, kernel: await program(RAM + MEBIBYTE) });
    expect(plan).toMatchObject({ psciConduit: "none", secondaries: "start", interruptsNonSecure: false });
    expect(plan.start).toEqual({
      pc: RAM + MEBIBYTE,
      arguments: [0n, 0n, 0n, 0n],
      level: 3,
      systemRegisters: [],
    });
    expect(addressOf(plan, "device tree")).toBe(RAM);
  });

  test("leaves the device tree out where the program lies", async () => {
    const plan = planBoot({ machine: MACHINE, kernel: await program(RAM) });
    expect(addressOf(plan, "device tree")).toBeUndefined();
    expect(plan).toMatchObject({ psciConduit: "hvc", secondaries: "wait" });
  });

  test("may use Secure memory only on a Secure machine", async () => {
    const kernelInSecureMemory = await program(0x0e00_0000);
    expect(planBoot({ machine: BOTH, kernel: kernelInSecureMemory }).start.pc).toBe(0x0e00_0000);
    expect(() => planBoot({ machine: MACHINE, kernel: kernelInSecureMemory })).toThrow(/outside the memory/);
  });
});

describe("planBoot() of firmware", () => {
  const firmware = { name: "u-boot.bin", bytes: Uint8Array.of(1, 2, 3, 4) };

  test("starts in flash and hands the kernel over through fw_cfg", async () => {
    const inputs: BootInputs = {
      machine: BOTH,
      firmware,
      kernel: await kernel(),
      initrd: INITRD,
      commandLine: "a=b",
    };
    const plan = planBoot(inputs);
    expect(plan.flash).toBe(firmware.bytes);
    expect(plan.start).toMatchObject({ pc: 0, level: 3 });
    expect(plan.firmwareConfiguration).toEqual({
      kernel: linuxImage(),
      initrd: INITRD.bytes,
      commandLine: "a=b",
    });
    expect(plan.loads.map(({ what, address }) => [what, address])).toEqual([["device tree", RAM]]);
  });

  test.each<[string, BootMachine, string, string]>([
    ["Secure firmware brings its own PSCI", BOTH, "none", "start"],
    ["firmware at EL2 calls ours by SMC", { ...MACHINE, virtualization: true }, "smc", "wait"],
    ["firmware at EL1 calls ours by HVC", MACHINE, "hvc", "wait"],
  ])("%s", (_, machine, psciConduit, secondaries) => {
    expect(planBoot({ machine, firmware })).toMatchObject({ psciConduit, secondaries });
  });
});

describe("planBoot() refuses", () => {
  const tree = (bytes: Uint8Array) => ({ name: "my.dtb", bytes });
  const good = virtDeviceTreeBlob(MACHINE);
  const huge = linuxImage({ imageSize: 1n << 40n });
  const far = linuxImage({ textOffset: 1n << 63n });
  test.each<[string, () => Promise<Partial<BootInputs>>, RegExp]>([
    ["nothing to boot", async () => ({ kernel: undefined }), /nothing to boot; give a kernel with --kernel/],
    [
      "too many CPUs",
      async () => ({ machine: { ...MACHINE, cpus: 999 } }),
      /cannot have 999 CPUs; give a number from 1/,
    ],
    ["half a CPU", async () => ({ machine: { ...MACHINE, cpus: 0.5 } }), /cannot have 0.5 CPUs/],
    ["no memory", async () => ({ machine: { ...MACHINE, memoryBytes: 0 } }), /cannot have 0 bytes of memory/],
    [
      "memory that is no number",
      async () => ({ machine: { ...MACHINE, memoryBytes: Number.NaN } }),
      /cannot have NaN/,
    ],
    [
      "odd memory",
      async () => ({ machine: { ...MACHINE, memoryBytes: 5_000_001 } }),
      /5000001 bytes.*multiple of 4 KiB/,
    ],
    [
      "memory too small for the kernel",
      async () => ({ machine: { ...MACHINE, memoryBytes: MEBIBYTE } }),
      /vmlinuz does not fit.*1 MiB; give --memory 64M or more/,
    ],
    [
      "a kernel that wants more than there can be",
      async () => ({ kernel: await kernel(huge) }),
      /does not fit.*damaged/,
    ],
    [
      "a kernel that wants to be far away",
      async () => ({ kernel: await kernel(far) }),
      /does not fit.*damaged/,
    ],
    [
      "an initrd that does not fit",
      async () => ({ initrd: { ...INITRD, bytes: new Uint8Array(400 * MEBIBYTE) } }),
      /initrd.img does not fit.*give --memory 1024M/,
    ],
    [
      "an empty initrd",
      async () => ({ initrd: { ...INITRD, bytes: new Uint8Array(0) } }),
      /initrd.img is empty/,
    ],
    [
      "a kernel as initrd",
      async () => ({ initrd: { ...INITRD, bytes: linuxImage() } }),
      /initrd.img is an arm64 kernel; give it to --kernel/,
    ],
    [
      "an initrd for a program",
      async () => ({ kernel: await program(RAM), initrd: INITRD }),
      /initrd.img has no use/,
    ],
    [
      "a program outside of memory",
      async () => ({ kernel: await program(0x1000) }),
      /0x1000, outside the memory/,
    ],
    [
      "a program larger than memory",
      async () => ({ kernel: await program(RAM, new Uint8Array(4), 2 ** 40) }),
      /outside the memory/,
    ],
    [
      "a long command line",
      async () => ({ commandLine: "x".repeat(2048) }),
      /has 2048 bytes, of which a kernel takes 2047/,
    ],
    ["a zero in the command line", async () => ({ commandLine: "a\0b" }), /zero byte/],
    [
      "a device tree that is none",
      async () => ({ deviceTree: tree(new Uint8Array(100)) }),
      /my.dtb is no device tree blob/,
    ],
    [
      "an empty device tree",
      async () => ({ deviceTree: tree(new Uint8Array(0)) }),
      /my.dtb is no device tree blob/,
    ],
    [
      "a truncated device tree",
      async () => ({ deviceTree: tree(good.subarray(0, 1000)) }),
      /my.dtb is truncated: it has 1000 bytes of/,
    ],
    [
      "empty firmware",
      async () => ({ firmware: { name: "b", bytes: new Uint8Array(0) } }),
      /firmware b is empty/,
    ],
    [
      "oversized firmware",
      async () => ({ firmware: { name: "b", bytes: new Uint8Array(64 * MEBIBYTE + 1) } }),
      /more than the 64 MiB/,
    ],
    [
      "an ELF program as firmware",
      async () => ({ firmware: { name: "b", bytes: elfProgram(0n, []) } }),
      /firmware b is an ELF/,
    ],
    [
      "a program for firmware to start",
      async () => ({ firmware: { name: "b", bytes: new Uint8Array(4) }, kernel: await program(RAM) }),
      /which firmware cannot start/,
    ],
  ])("%s", async (_, inputs, message) => {
    const complete = { machine: MACHINE, kernel: await kernel(), ...(await inputs()) };
    expect(() => planBoot(complete)).toThrow(message);
    expect(() => planBoot(complete)).toThrow(UserError);
  });
});
