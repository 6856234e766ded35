import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readDeviceTree } from "../../src/platform/device-tree/reader.ts";
import type { DeviceTree } from "../../src/platform/device-tree/tree.ts";
import { runHostProgram } from "./host-program.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

export interface QemuMachine {
  readonly memoryMebibytes: number;
  readonly cpus: number;
  readonly secure: boolean;
  readonly virtualization: boolean;
  readonly kernel?: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly deviceTree?: Uint8Array;
  readonly firmware?: Uint8Array;
  readonly commandLine?: string;
}

/** QEMU's command line for a machine; files are written to `folder`. */
export function qemuArguments(machine: QemuMachine, folder: string, machineProperties: string): string[] {
  const files = {
    kernel: machine.kernel,
    initrd: machine.initrd,
    dtb: machine.deviceTree,
    bios: machine.firmware,
  };
  const fileArguments = Object.entries(files).flatMap(([option, bytes]) => {
    if (bytes === undefined) return [];
    const path = join(folder, option);
    writeFileSync(path, bytes);
    return [`-${option}`, path];
  });
  const onOff = (on: boolean) => (on ? "on" : "off");
  return [
    "-M",
    `virt,gic-version=3,acpi=off,dtb-randomness=off,secure=${onOff(machine.secure)},` +
      `virtualization=${onOff(machine.virtualization)}${machineProperties}`,
    ...["-cpu", "cortex-a57", "-m", `${machine.memoryMebibytes}`, "-smp", `${machine.cpus}`],
    ...["-nodefaults", "-display", "none"],
    ...fileArguments,
    ...(machine.commandLine === undefined ? [] : ["-append", machine.commandLine]),
  ];
}

/** The device tree that QEMU would give to what it boots. */
export function qemuDeviceTree(machine: QemuMachine): { blob: Uint8Array; tree: DeviceTree } {
  return withTemporaryDirectory((folder) => {
    const dump = join(folder, "dump.dtb");
    const { status, stderr } = runHostProgram(
      "qemu-system-aarch64",
      qemuArguments(machine, folder, `,dumpdtb=${dump}`),
    );
    if (status !== 0) throw new Error(`QEMU does not write its device tree: ${stderr}`);
    const blob = readFileSync(dump);
    return { blob, tree: readDeviceTree(blob, "QEMU's dump") };
  });
}
