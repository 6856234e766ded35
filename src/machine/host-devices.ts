import { EFI_GUID } from "../firmware/efi/guid.ts";
import { findConfigurationTable } from "../firmware/efi/system-table.ts";
import { readAcpiDevices } from "../kernel/devices/acpi-devices.ts";
import { DeviceManager } from "../kernel/devices/device-manager.ts";
import type { Enumeration, PhysicalMemory } from "../kernel/devices/device-structure.ts";
import type { RegisterAccess } from "../kernel/devices/host-drivers.ts";
import { readTreeDevices } from "../kernel/devices/tree-devices.ts";
import { joinCells } from "../platform/conversion/addresses.ts";
import { TreeIndex } from "../platform/conversion/tree-index.ts";
import { readDeviceTree } from "../platform/device-tree/reader.ts";
import { type BootInputs, type BootPlan, planBoot } from "./boot/boot-plan.ts";
import { InstructionTime } from "./instruction-time.ts";
import { Machine } from "./machine.ts";
import { MachineClock } from "./machine-clock.ts";
import { OutputQueue } from "./output-queue.ts";
import { Peripherals } from "./peripherals.ts";
import type { ByteOutput } from "./virtual-machine-interface.ts";

/** The machine to be looked at, and where its serial port leads. */
export type HostDevicesOptions = Omit<BootInputs, "kernel" | "initrd" | "firmware" | "variables"> & {
  readonly serial: ByteOutput;
};

/** A machine in which the hypervisor's own software runs, and no guest. */
export interface HostDevices {
  readonly manager: DeviceManager;
  /** Hands on what drivers have written to the serial port. */
  drain(): Promise<void>;
}

/** A branch to itself: what the machine would execute. */
const IDLE_PROGRAM = Uint8Array.of(0x00, 0x00, 0x00, 0x14);
const START = 1_704_067_200;

/**
 * Puts a machine together and binds the hypervisor's own drivers to its devices. Which devices there are is read from
 * the description in the machine's memory (device tree or ACPI tables), the same that a guest reads; nothing is taken
 * from the board's own objects, so that a wrong description shows.
 */
export function openHostDevices({ serial, ...inputs }: HostDevicesOptions): HostDevices {
  const plan = planBoot({ ...inputs, kernel: { kind: "flat", name: "idle", bytes: IDLE_PROGRAM } });
  const { memoryBytes, cpus, secure, virtualization } = inputs.machine;
  const output = new OutputQueue();
  const time = new InstructionTime(START);
  const machine = new Machine({
    ...{ memoryBytes, cpus, secure, virtualization, plan },
    clock: new MachineClock(time),
    instructionTime: time,
    serial: output.sink(serial),
  });
  const console = { output: () => {}, columns: 80, rows: 24 };
  new Peripherals(machine, { memoryBytes, cpus, serial, console, deterministic: true }, output, () => {});
  machine.start();
  const manager = new DeviceManager(enumerate(plan, memoryOf(machine)), registersOf(machine));
  return { manager, drain: () => output.drain() };
}

/** By ACPI where the device tree leads to it, else by the device tree. */
function enumerate(plan: BootPlan, memory: PhysicalMemory): Enumeration {
  const tree = readDeviceTree(plan.deviceTree, "of this machine");
  const systemTable = new TreeIndex(tree).byPath("/chosen")?.cells("linux,uefi-system-table");
  if (systemTable === undefined) return readTreeDevices(tree);
  const read = (address: number, length: number) => memory.read(address, length);
  const rsdp = findConfigurationTable(read, Number(joinCells(systemTable)), EFI_GUID.ACPI_20_TABLE);
  return rsdp === undefined ? readTreeDevices(tree) : readAcpiDevices(memory, rsdp);
}

function memoryOf({ guest }: Machine): PhysicalMemory {
  const normal = guest.inWorld(false);
  return {
    read(address, length) {
      if (!Number.isSafeInteger(address) || !normal.isMemory(address, length)) return undefined;
      const bytes = new Uint8Array(length);
      return normal.readInto(address, bytes) ? bytes : undefined;
    },
  };
}

function registersOf({ bus }: Machine): RegisterAccess {
  const at = (address: number, width: number) =>
    bus
      .list()
      .find(
        (each) =>
          !each.secure && address >= each.address && address + width <= each.address + each.device.size,
      );
  return {
    read(address, width) {
      const found = at(address, width);
      return found === undefined ? undefined : found.device.read(address - found.address, width);
    },
    write(address, width, value) {
      const found = at(address, width);
      found?.device.write(address - found.address, width, value);
      return found !== undefined;
    },
  };
}
