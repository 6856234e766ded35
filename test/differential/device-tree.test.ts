import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { planBoot } from "../../src/machine/boot/boot-plan.ts";
import { patchDeviceTree } from "../../src/machine/boot/patch-device-tree.ts";
import { compareTrees, type TreeDifference } from "../../src/platform/device-tree/comparison.ts";
import { printDeviceTree } from "../../src/platform/device-tree/printer.ts";
import { readDeviceTree } from "../../src/platform/device-tree/reader.ts";
import { writeDeviceTree } from "../../src/platform/device-tree/writer.ts";
import { MEBIBYTE } from "../../src/platform/units.ts";
import { virtDeviceTreeBlob } from "../../src/platform/virt-device-tree.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { DEVICE_TREE_DIFFERENCES } from "../support/device-tree-differences.ts";
import { runHostProgram } from "../support/host-program.ts";
import { type QemuMachine, qemuDeviceTree } from "../support/qemu-device-tree.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const flags = [false, true];
const machines: QemuMachine[] = flags.flatMap((secure) =>
  flags.flatMap((virtualization) => [
    { secure, virtualization, cpus: 1, memoryMebibytes: 512 },
    { secure, virtualization, cpus: 4, memoryMebibytes: 6144 },
  ]),
);

/** A program of one instruction, a branch to itself: QEMU takes it for a kernel without a header. */
const TINY_KERNEL = Uint8Array.of(0x00, 0x00, 0x00, 0x14);
const TINY_INITRD = new TextEncoder().encode(`070701${"0".repeat(200)}`);
const COMMAND_LINE = 'console=ttyAMA0 name="two words"';

function title({ secure, virtualization, cpus, memoryMebibytes }: QemuMachine): string {
  return `secure=${secure} virtualization=${virtualization} cpus=${cpus} memory=${memoryMebibytes}M`;
}

function boardOf(machine: QemuMachine) {
  const { secure, virtualization, cpus, memoryMebibytes } = machine;
  return { secure, virtualization, cpus, memoryBytes: memoryMebibytes * MEBIBYTE };
}

function entriesFor(difference: TreeDifference) {
  return DEVICE_TREE_DIFFERENCES.filter(
    ({ path, property, only }) =>
      path.test(difference.path) &&
      property === difference.property &&
      (only === "QEMU") === (difference.ours === undefined),
  );
}

function unexpected(ours: Uint8Array, theirs: Uint8Array): TreeDifference[] {
  return compareTrees(readDeviceTree(ours, "ours"), readDeviceTree(theirs, "QEMU's")).filter(
    (difference) => entriesFor(difference).length === 0,
  );
}

describe("our device tree against QEMU's", () => {
  test.each(machines.map((machine) => [title(machine), machine] as const))("%s", (_, machine) => {
    const kernel = { kernel: TINY_KERNEL, initrd: TINY_INITRD, commandLine: COMMAND_LINE };
    const plan = planBoot({
      machine: boardOf(machine),
      kernel: { kind: "flat", name: "tiny", bytes: TINY_KERNEL },
      initrd: { name: "tiny", bytes: TINY_INITRD },
      commandLine: COMMAND_LINE,
    });
    expect(unexpected(plan.deviceTree, qemuDeviceTree({ ...machine, ...kernel }).blob)).toEqual([]);
  });

  test.each(machines.map((machine) => [title(machine), machine] as const))("firmware, %s", (_, machine) => {
    const firmware = { name: "tiny", bytes: TINY_KERNEL };
    const { deviceTree } = planBoot({ machine: boardOf(machine), firmware });
    const theirs = qemuDeviceTree({ ...machine, firmware: TINY_KERNEL });
    expect(unexpected(deviceTree, theirs.blob)).toEqual([]);
    expect(unexpected(virtDeviceTreeBlob(boardOf(machine), "firmware"), theirs.blob)).toEqual([]);
  });

  test("has every difference on the list", () => {
    const machine = {
      secure: true,
      virtualization: true,
      cpus: 1,
      memoryMebibytes: 512,
      kernel: TINY_KERNEL,
    };
    const ours = readDeviceTree(virtDeviceTreeBlob(boardOf(machine)), "ours");
    const found = compareTrees(ours, qemuDeviceTree(machine).tree).flatMap(entriesFor);
    expect(new Set(found)).toEqual(new Set(DEVICE_TREE_DIFFERENCES));
  });
});

describe("a given device tree", () => {
  const source = `/dts-v1/;
    / { #address-cells = <2>; #size-cells = <1>;
        memory { device_type = "memory"; reg = <0 0 0>; };
        memory@4 { device_type = "memory"; reg = <0 4 4>; };
        soc { compatible = "simple-bus"; };
        psci { method = "smc"; foo = <1>; }; };`;

  test("is patched as QEMU patches it", () => {
    const given = runHostProgram("dtc", ["-q", "-I", "dts", "-O", "dtb"], {
      input: Buffer.from(source),
    }).stdout;
    const machine = { secure: false, virtualization: false, cpus: 1, memoryMebibytes: 512 };
    const theirs = qemuDeviceTree({
      ...machine,
      deviceTree: given,
      kernel: TINY_KERNEL,
      initrd: TINY_INITRD,
      commandLine: COMMAND_LINE,
    });
    const initrd = { base: VIRT_MAP.ram.base + 128 * MEBIBYTE, size: TINY_INITRD.length };
    const memory = [{ base: VIRT_MAP.ram.base, size: 512 * MEBIBYTE }];
    const facts = { memory, psciConduit: "hvc", commandLine: COMMAND_LINE, initrd } as const;
    const ours = patchDeviceTree({ name: "given", bytes: given }, facts);
    expect(compareTrees(readDeviceTree(ours, "ours"), theirs.tree)).toEqual([]);
  });
});

describe("dtc", () => {
  test.each(machines.map((machine) => [title(machine), machine] as const))(
    "reads our blob: %s",
    (_, machine) => {
      const blob = virtDeviceTreeBlob({
        ...boardOf(machine),
        commandLine: COMMAND_LINE,
        randomSeed: new Uint8Array(32).fill(7),
        addressSeed: 0x1234_5678_9abc_def0n,
      });
      const { stdout, stderr, status } = runHostProgram("dtc", ["-I", "dtb", "-O", "dts"], { input: blob });
      expect(status).toBe(0);
      expect(stderr).toBe("");
      expect(printDeviceTree(readDeviceTree(blob, "ours"))).toBe(stdout.toString());
    },
  );

  test.each(machines.map((machine) => [title(machine), machine] as const))(
    "warns of nothing, with checks that it leaves out by itself: %s",
    (_, machine) => {
      const blob = virtDeviceTreeBlob({ ...boardOf(machine), numaDomains: machine.cpus > 1 ? 2 : 1 });
      const checks = ["unique_unit_address_if_enabled", "interrupts_property", "gpios_property"];
      const options = [...checks.flatMap((check) => ["-W", check]), "-I", "dtb", "-O", "dtb"];
      const { status, stderr } = runHostProgram("dtc", options, { input: blob });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    },
  );

  test("prints QEMU's blob as our printer does, and our writer writes it back", () => {
    const { blob, tree } = qemuDeviceTree({
      secure: true,
      virtualization: true,
      cpus: 2,
      memoryMebibytes: 256,
    });
    const { stdout } = runHostProgram("dtc", ["-q", "-I", "dtb", "-O", "dts"], { input: blob });
    expect(printDeviceTree(tree)).toBe(stdout.toString());
    expect(readDeviceTree(writeDeviceTree(tree), "ours")).toEqual(tree);
  });
});

test("dt-validate finds nothing in our tree against the schemas that come with it", () => {
  const machine = {
    cpus: 4,
    numaDomains: 2,
    secure: false,
    virtualization: true,
    memoryBytes: 512 * MEBIBYTE,
  };
  const blobs = {
    kernel: virtDeviceTreeBlob({ ...machine, commandLine: COMMAND_LINE, randomSeed: new Uint8Array(32) }),
    firmware: virtDeviceTreeBlob({ ...machine, secure: true }, "firmware"),
  };
  withTemporaryDirectory((folder) => {
    for (const [name, blob] of Object.entries(blobs)) {
      const path = join(folder, `${name}.dtb`);
      writeFileSync(path, blob);
      const { status, stdout, stderr } = runHostProgram("dt-validate", [path], { seconds: 120 });
      expect({ name, status, said: `${stdout.toString()}${stderr}` }).toEqual({ name, status: 0, said: "" });
    }
  });
});
