import { UserError } from "../../base/errors.ts";
import { stubDeviceTree } from "../../firmware/efi/stub-device-tree.ts";
import type { AcpiTables } from "../../platform/acpi/table-layout.ts";
import type { LoaderFile } from "../../platform/acpi/table-loader.ts";
import type { DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import { generateDeviceTreeBlob } from "../../platform/device-tree-generator.ts";
import type { AddressRange, PlatformSpec, PsciConduit } from "../../platform/platform-spec.ts";
import { type BootLevel, highestLevel, kernelLevel, psciConduit } from "../../platform/psci-conduit.ts";
import type { SmbiosIdentity } from "../../platform/smbios/identity.ts";
import { formatBytes } from "../../platform/units.ts";
import { checkBoardOptions, type VirtBoardOptions, virtBoard } from "../../platform/virt-board.ts";
import { VIRT_MAP } from "../../platform/virt-map.ts";
import type { BootFile } from "./boot-file.ts";
import type { ElfImage } from "./elf.ts";
import { recogniseForeignInitrd } from "./file-signatures.ts";
import type { FlatImage, KernelImage, LinuxImage } from "./kernel-image.ts";
import { aliasDeviceTree, patchDeviceTree } from "./patch-device-tree.ts";
import {
  checkSegments,
  placeDeviceTree,
  placeDeviceTreeBeside,
  placeInitrd,
  placeKernel,
} from "./placement.ts";
import { type FoundTables, findTables } from "./root-pointer.ts";
import { type StartState, startState } from "./start-state.ts";
import { type AcpiChoice, chooseTables, firmwareFiles, placeEfiTables } from "./system-description.ts";

/** The board without what booting decides. */
export type BootMachine = Omit<VirtBoardOptions, "psciConduit" | "commandLine" | "initrd" | "firmware">;

/** What is to be booted, and on what machine. */
export interface BootInputs {
  readonly machine: BootMachine;
  readonly kernel?: KernelImage | undefined;
  readonly initrd?: BootFile | undefined;
  readonly commandLine?: string | undefined;
  /** A device tree instead of our own. */
  readonly deviceTree?: BootFile | undefined;
  /** Contents of flash 0; the kernel, if any, is then handed over through fw_cfg. */
  readonly firmware?: BootFile | undefined;
  /** Contents of flash 1, where firmware keeps its variables. */
  readonly variables?: BootFile | undefined;
  /** Unless given: "on" for firmware, "off" for kernels that are started directly. */
  readonly acpi?: AcpiChoice | undefined;
  /** Ids under which system software knows drivers; they go into the tree and into tables made from it. */
  readonly aliases?: readonly DeviceAlias[] | undefined;
  /** What else is put into memory. */
  readonly files?: readonly PlacedFile[] | undefined;
  /** What the machine says that it is. */
  readonly identity?: SmbiosIdentity | undefined;
}

/** A file for a place in memory that its user names. */
export interface PlacedFile {
  readonly file: BootFile;
  /** Physical address, in RAM. */
  readonly address: number;
}

/** Bytes for one place in guest memory. */
export interface Load {
  /** For messages and listings: "kernel", "initrd", "device tree", "segment 0". */
  readonly what: string;
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Bytes of memory; what `bytes` does not fill is zero. */
  readonly size: number;
}

/** What firmware finds in fw_cfg's classic kernel entries. */
export interface FirmwareConfiguration {
  readonly kernel: Uint8Array | undefined;
  readonly initrd: Uint8Array | undefined;
  readonly commandLine: string | undefined;
}

/** Everything that happens before the first instruction, as a value. Power-on and reset apply it alike. */
export interface BootPlan {
  readonly platform: PlatformSpec;
  readonly deviceTree: Uint8Array;
  readonly loads: readonly Load[];
  /** Contents of flash 0; the rest of the device is erased (0xff). */
  readonly flash: Uint8Array | undefined;
  /** Contents of flash 1. */
  readonly variables: Uint8Array | undefined;
  /** Named files for fw_cfg. */
  readonly firmwareFiles: readonly LoaderFile[];
  readonly firmwareConfiguration: FirmwareConfiguration | undefined;
  readonly start: StartState;
  /** Whether the other processing elements wait for CPU_ON or start like the first. */
  readonly secondaries: "wait" | "start";
  readonly psciConduit: PsciConduit;
  /** True when interrupts must come out of reset in Non-secure Group 1, since no Secure software sets them up. */
  readonly interruptsNonSecure: boolean;
}

/** The most that Linux takes (COMMAND_LINE_SIZE), with the terminating zero. */
const COMMAND_LINE_LIMIT = 2048;

/** Decides the whole boot, as QEMU's `virt` does for the same options. Unfit inputs are {@link UserError}s. */
export function planBoot(inputs: BootInputs): BootPlan {
  checkBoardOptions(inputs.machine);
  checkCommandLine(inputs.commandLine);
  checkInitrd(inputs);
  checkAcpi(inputs);
  return withFiles(planKind(inputs), inputs);
}

function planKind(inputs: BootInputs): BootPlan {
  const { firmware, kernel } = inputs;
  if (firmware !== undefined) return planFirmware(inputs, firmware);
  if (kernel === undefined) {
    throw new UserError("There is nothing to boot; give a kernel with --kernel or firmware with --bios.");
  }
  return kernel.kind === "elf" ? planProgram(inputs, kernel) : planKernel(inputs, kernel);
}

/** Linux's protocol, also spoken to headerless images: Non-secure, X0 = device tree. */
function planKernel(inputs: BootInputs, kernel: LinuxImage | FlatImage): BootPlan {
  const level = kernelLevel(inputs.machine);
  const ram = ramOf(inputs.machine);
  const place = placeKernel(kernel, ram);
  const initrdFile = inputs.initrd;
  const initrd = placeInitrd(
    initrdFile?.name ?? "",
    initrdFile?.bytes.length ?? 0,
    place.base + place.size,
    ram,
  );
  const described = describe(inputs, level, initrdFile === undefined ? undefined : initrd);
  const acpi = tablesInMemory(inputs) ?? tablesFor(inputs, described, "off");
  const efi =
    acpi === undefined
      ? undefined
      : placeEfiTables(acpi, described.platform, inputs.identity, initrd.base + initrd.size, ram);
  const deviceTree =
    efi === undefined ? described.deviceTree : stubDeviceTree(described.platform.chosen, efi);
  const loaded = efi === undefined ? initrd.base + initrd.size : efi.base + efi.bytes.length;
  const tree = placeDeviceTree(deviceTree.length, loaded, ram);
  return {
    ...described,
    deviceTree,
    loads: [
      load("kernel", place.base, kernel.bytes),
      ...(initrdFile === undefined ? [] : [load("initrd", initrd.base, initrdFile.bytes)]),
      ...(efi === undefined ? [] : [load("EFI tables", efi.base, efi.bytes)]),
      load("device tree", tree.base, deviceTree),
    ],
    start: startState(inputs.machine, level, place.base, BigInt(tree.base)),
    interruptsNonSecure: inputs.machine.secure,
  };
}

/** A bare program: highest level, no arguments, the device tree at the start of RAM if there is room. */
function planProgram(inputs: BootInputs, program: ElfImage): BootPlan {
  if (inputs.initrd !== undefined) {
    throw new UserError(
      `The initrd ${inputs.initrd.name} has no use: ${program.name} is an ELF program, and only a Linux Image ` +
        "takes an initrd; leave out --initrd.",
    );
  }
  if (inputs.acpi === "on" || inputs.acpi === "auto") {
    throw new UserError(
      `ACPI tables have no use: ${program.name} is an ELF program, and only a Linux Image finds them; leave out ` +
        "--acpi.",
    );
  }
  const { machine } = inputs;
  const level = highestLevel(machine);
  const ram = ramOf(machine);
  checkSegments(program, machine.secure ? [ram, VIRT_MAP.secureRam] : [ram]);
  const described = describe(inputs, level, undefined);
  const tree = placeDeviceTreeBeside(described.deviceTree.length, program, ram);
  return {
    ...described,
    loads: [
      ...(tree === undefined ? [] : [load("device tree", tree.base, described.deviceTree)]),
      ...program.segments.map(({ address, bytes, memorySize }, index) =>
        load(`segment ${index}`, Number(address), bytes, Number(memorySize)),
      ),
    ],
    start: startState(machine, level, Number(program.entry)),
  };
}

/** Firmware: the reset vector in flash 0, the device tree at the start of RAM, the kernel in fw_cfg. */
function planFirmware(inputs: BootInputs, firmware: BootFile): BootPlan {
  const flash = checkFirmware(firmware);
  const { machine, kernel, initrd, commandLine } = inputs;
  const level = highestLevel(machine);
  const described = describe(inputs, level, undefined);
  const acpi = tablesFor(inputs, described, inputs.deviceTree === undefined ? "on" : "off");
  const tree = placeDeviceTree(described.deviceTree.length, ramOf(machine).base, ramOf(machine));
  if (kernel?.kind === "elf") {
    throw new UserError(
      `The kernel ${kernel.name} is an ELF program, which firmware cannot start; give an Image.`,
    );
  }
  return {
    ...described,
    loads: [load("device tree", tree.base, described.deviceTree)],
    flash,
    variables: inputs.variables?.bytes,
    firmwareFiles: firmwareFiles(acpi, described.platform, inputs.identity),
    firmwareConfiguration: { kernel: kernel?.bytes, initrd: initrd?.bytes, commandLine },
    start: startState(machine, level, VIRT_MAP.flash0.base),
  };
}

/** The parts of a plan that follow from the level software starts at. */
function describe(
  { machine, firmware, commandLine, deviceTree, aliases }: BootInputs,
  level: BootLevel,
  initrd: AddressRange | undefined,
): Omit<BootPlan, "loads" | "start"> {
  const conduit = psciConduit(machine, level);
  const platform = virtBoard({
    ...machine,
    psciConduit: conduit,
    commandLine,
    initrd,
    firmware: firmware !== undefined,
  });
  const facts = { memory: platform.memory, psciConduit: conduit, commandLine, initrd };
  const tree =
    deviceTree === undefined ? generateDeviceTreeBlob(platform) : patchDeviceTree(deviceTree, facts);
  return {
    platform,
    deviceTree: aliases === undefined ? tree : aliasDeviceTree(tree, aliases),
    flash: undefined,
    variables: undefined,
    firmwareFiles: [],
    firmwareConfiguration: undefined,
    secondaries: conduit === "none" ? "start" : "wait",
    psciConduit: conduit,
    interruptsNonSecure: false,
  };
}

function tablesFor(
  { acpi, deviceTree, aliases }: BootInputs,
  described: Pick<BootPlan, "platform" | "deviceTree">,
  byDefault: AcpiChoice,
): AcpiTables | undefined {
  const name = deviceTree?.name ?? "The machine's device tree";
  return chooseTables(acpi ?? byDefault, described.platform, { name, bytes: described.deviceTree }, aliases);
}

/** Where tables are only to be made when there are none: those that a file has put into memory. */
function tablesInMemory({ acpi, aliases, files = [] }: BootInputs): FoundTables | undefined {
  if (acpi !== "auto") return undefined;
  const found = findTables(files.map(({ address, file }) => ({ address, bytes: file.bytes })));
  if (found !== undefined && aliases !== undefined) {
    throw new UserError(
      `Aliases go into tables that are made, and there are some in memory, at 0x${found.rsdp.toString(16)}; leave out ` +
        "--aliases, or the file with the tables.",
      { exitStatus: 2 },
    );
  }
  return found;
}

/** The plan with the user's files, which must lie in RAM, where nothing else does. */
function withFiles(plan: BootPlan, { files = [], machine }: BootInputs): BootPlan {
  if (files.length === 0) return plan;
  const ram = ramOf(machine);
  const loads = [...plan.loads];
  for (const { file, address } of files) {
    const { name, bytes } = file;
    const place = `The file ${name} cannot be put at 0x${address.toString(16)}`;
    const end = address + bytes.length;
    if (address < ram.base || end > ram.base + ram.size) {
      throw new UserError(
        `${place}: its ${bytes.length} bytes do not lie in the ${formatBytes(ram.size)} of memory at ` +
          `0x${ram.base.toString(16)}; give another address.`,
      );
    }
    const other = loads.find((taken) => address < taken.address + taken.size && taken.address < end);
    if (other !== undefined) {
      const [from, to] = [other.address, other.address + other.size - 1].map((at) => `0x${at.toString(16)}`);
      throw new UserError(`${place}, where ${other.what} is, from ${from} to ${to}; give another address.`);
    }
    loads.push(load(name, address, bytes));
  }
  return { ...plan, loads };
}

function ramOf(machine: BootMachine): AddressRange {
  return { base: VIRT_MAP.ram.base, size: machine.memoryBytes };
}

function load(what: string, address: number, bytes: Uint8Array, size = bytes.length): Load {
  return { what, address, bytes, size };
}

function checkFirmware({ name, bytes }: BootFile): Uint8Array {
  const limit = VIRT_MAP.flash0.size;
  if (bytes.length === 0) throw new UserError(`The firmware ${name} is empty; fetch it again.`);
  if (bytes.length > limit) {
    throw new UserError(
      `The firmware ${name} has ${formatBytes(bytes.length)}, more than the ${formatBytes(limit)} of the flash; ` +
        "give an image made for QEMU's virt machine.",
    );
  }
  if (bytes[0] === 0x7f && String.fromCharCode(...bytes.subarray(1, 4)) === "ELF") {
    throw new UserError(
      `The firmware ${name} is an ELF program; give it to --kernel, or its raw image to --bios.`,
    );
  }
  return bytes;
}

function checkInitrd({ initrd }: BootInputs): void {
  if (initrd === undefined) return;
  if (initrd.bytes.length === 0)
    throw new UserError(`The initrd ${initrd.name} is empty; make or fetch it again.`);
  const foreign = recogniseForeignInitrd(initrd.bytes);
  if (foreign !== undefined) {
    throw new UserError(`The initrd ${initrd.name} is ${foreign.what}; ${foreign.remedy}.`);
  }
}

function checkAcpi({ acpi, deviceTree, aliases, firmware, machine }: BootInputs): void {
  const ownTables =
    acpi === "on" || (acpi === undefined && firmware !== undefined && deviceTree === undefined);
  if (aliases !== undefined && ownTables) {
    throw new UserError(
      "Aliases go into tables that are made from a device tree, and these are the machine's own; add --acpi auto.",
      { exitStatus: 2 },
    );
  }
  if (deviceTree !== undefined && (machine.numaDomains ?? 1) > 1) {
    throw new UserError(
      `NUMA domains are part of the machine's own device tree, and ${deviceTree.name} takes its place; leave out ` +
        "--numa or --dtb.",
      { exitStatus: 2 },
    );
  }
  if (acpi !== "on" || deviceTree === undefined) return;
  throw new UserError(
    `ACPI tables describe this machine's own devices, and ${deviceTree.name} may describe others; leave out ` +
      "--dtb, or convert it with --acpi auto.",
    { exitStatus: 2 },
  );
}

function checkCommandLine(commandLine: string | undefined): void {
  if (commandLine === undefined) return;
  const length = new TextEncoder().encode(commandLine).length + 1;
  if (length > COMMAND_LINE_LIMIT) {
    throw new UserError(
      `The kernel's command line has ${length - 1} bytes, of which a kernel takes ${COMMAND_LINE_LIMIT - 1}; ` +
        "give less with --append.",
      { exitStatus: 2 },
    );
  }
  if (commandLine.includes("\0")) {
    throw new UserError("The kernel's command line contains a zero byte; give --append without it.", {
      exitStatus: 2,
    });
  }
}
