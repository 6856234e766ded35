import { describe, expect, test } from "vitest";
import {
  type BootInputs,
  type BootMachine,
  type BootPlan,
  planBoot,
} from "../../src/machine/boot/boot-plan.ts";
import { type KernelImage, readKernelImage } from "../../src/machine/boot/kernel-image.ts";
import { MEBIBYTE } from "../../src/platform/units.ts";
import { elfProgram, TEST_DECOMPRESSORS } from "../support/boot-images.ts";
import { BOOT_PROBE, parseProbe } from "../support/boot-probe.ts";
import { runHostProgram } from "../support/host-program.ts";
import { type QemuMachine, qemuArguments } from "../support/qemu-device-tree.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

/** `b . + 0x1000`: the first instruction of an image whose header leaves room for nothing else. */
const BRANCH = 0x14000400;

/** The probe behind a Linux Image header that asks for `textOffset`. */
function probeKernel(textOffset: bigint, imageSize: bigint): Uint8Array {
  const bytes = new Uint8Array(0x1000 + BOOT_PROBE.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, BRANCH, true);
  view.setBigUint64(8, textOffset, true);
  view.setBigUint64(16, imageSize, true);
  view.setUint32(56, 0x644d5241, true);
  bytes.set(BOOT_PROBE, 0x1000);
  return bytes;
}

const PROBE_PROGRAM = elfProgram(0x4040_0000n, [{ physicalAddress: 0x4040_0000n, bytes: BOOT_PROBE }]);
const INITRD = { name: "initrd", bytes: new TextEncoder().encode("070701".padEnd(3 * MEBIBYTE)) };

interface Case {
  readonly kernel?: Uint8Array;
  readonly firmware?: Uint8Array;
  readonly initrd?: boolean;
  readonly memoryMebibytes: number;
  /** Where the probe is, behind where the machine starts. */
  readonly probeOffset: number;
}

const CASES: Record<string, Case> = {
  "a flat binary": { kernel: BOOT_PROBE, memoryMebibytes: 512, probeOffset: 0 },
  "a flat binary and an initrd": { kernel: BOOT_PROBE, initrd: true, memoryMebibytes: 512, probeOffset: 0 },
  "a program": { kernel: PROBE_PROGRAM, memoryMebibytes: 512, probeOffset: 0 },
  firmware: { firmware: BOOT_PROBE, memoryMebibytes: 512, probeOffset: 0 },
  "a kernel": { kernel: probeKernel(0n, 0x20_0000n), memoryMebibytes: 512, probeOffset: 0x1000 },
  "a kernel with a text offset": {
    kernel: probeKernel(0x8_0000n, 0x20_0000n),
    memoryMebibytes: 64,
    probeOffset: 0x1000,
  },
  "a large kernel in a small memory": {
    kernel: probeKernel(0n, 0x258_1001n),
    initrd: true,
    memoryMebibytes: 64,
    probeOffset: 0x1000,
  },
  "a kernel without an image size": {
    kernel: probeKernel(0n, 0n),
    memoryMebibytes: 128,
    probeOffset: 0x1000,
  },
};

/** The magic number of a blob, as a little-endian load sees it. */
const DEVICE_TREE_START = 0xedfe0dd0n;

const flags = [false, true];
const levels = flags.flatMap((secure) => flags.map((virtualization) => ({ secure, virtualization })));

async function ourPlan(machine: BootMachine, { kernel, firmware, initrd }: Case): Promise<BootPlan> {
  const image: KernelImage | undefined =
    kernel && (await readKernelImage({ name: "probe", bytes: kernel }, TEST_DECOMPRESSORS));
  const inputs: BootInputs = {
    machine,
    kernel: image,
    initrd: initrd === true ? INITRD : undefined,
    firmware: firmware && { name: "probe", bytes: firmware },
  };
  return planBoot(inputs);
}

function runOnQemu(machine: QemuMachine): ReturnType<typeof parseProbe> {
  return withTemporaryDirectory((folder) => {
    const { stdout, stderr } = runHostProgram("qemu-system-aarch64", [
      ...qemuArguments(machine, folder, ""),
      ...["-serial", "stdio", "-semihosting"],
    ]);
    if (stderr !== "") throw new Error(`QEMU does not run the boot probe: ${stderr}`);
    return parseProbe(stdout.toString());
  });
}

describe.each(levels)("secure=$secure virtualization=$virtualization", (level) => {
  test.each(Object.entries(CASES))("%s starts as on QEMU", async (_, given) => {
    const { memoryMebibytes, kernel, firmware, probeOffset } = given;
    const plan = await ourPlan({ ...level, cpus: 1, memoryBytes: memoryMebibytes * MEBIBYTE }, given);
    const theirs = runOnQemu({
      ...level,
      ...{ cpus: 1, memoryMebibytes },
      ...(kernel && { kernel }),
      ...(firmware && { firmware }),
      ...(given.initrd === true && { initrd: INITRD.bytes }),
    });
    const [x0, x1, x2, x3] = plan.start.arguments;
    expect(theirs).toEqual({
      ...{ x0, x1, x2, x3 },
      pc: BigInt(plan.start.pc + probeOffset),
      level: BigInt(plan.start.level),
      daif: 0x3c0n,
      spsel: 1n,
      wordAtX0: x0 === 0n ? 0n : DEVICE_TREE_START,
    });
  });
});
