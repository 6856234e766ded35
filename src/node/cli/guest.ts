import { join } from "node:path";
import { Bug, UserError } from "../../base/errors.ts";
import type { BootFile } from "../../machine/boot/boot-file.ts";
import type { CachedImage, ImageCache } from "../images/cache.ts";
import { type AnyDescription, BUSYBOX, describeImage } from "../images/catalogue.ts";
import { SYSTEM_DISK } from "../images/debian/system-image.ts";
import { buildInitramfs, type GuestSession, readModuleFiles } from "../images/initramfs.ts";
import { ensureImages, type PullSettings } from "../images/pull.ts";
import { checkedName, MachineStore, machinesDirectory } from "../machines/machine-store.ts";
import { prepareSystem } from "../machines/system-guest.ts";
import { DEFAULT_KERNEL } from "./defaults.ts";
import { readInputFile } from "./user-files.ts";

/** Which guest to boot, in the words of the command line. */
export interface GuestChoice {
  /** A name that `elvisor pull` knows. */
  readonly image?: string | undefined;
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly append?: string | undefined;
  readonly dtb?: string | undefined;
  readonly bios?: string | undefined;
  /** Start EDK2. */
  readonly uefi?: boolean | undefined;
  /** Where EDK2's variables are kept. */
  readonly uefiVars?: string | undefined;
  readonly exec?: string | undefined;
  /** What a machine with a disk of its own is called. */
  readonly name?: string | undefined;
  /** Forget what it writes. */
  readonly rm?: boolean | undefined;
  readonly console?: "virtio" | "serial" | undefined;
}

/** The files to boot. */
export interface Guest {
  readonly kernel: BootFile | undefined;
  readonly initrd: BootFile | undefined;
  readonly firmware: BootFile | undefined;
  /** What the firmware's flash for variables holds at first. */
  readonly variables: BootFile | undefined;
  readonly deviceTree: BootFile | undefined;
  readonly commandLine: string | undefined;
  /** Whether the initial file system is ours: its session is on the virtio console, or runs one command. */
  readonly ours: boolean;
  /** The disk of a system, which comes before all others. */
  /** What a machine with a disk of its own is called. */
  readonly name?: string;
  readonly disk?: { readonly path: string; readonly overlay: "temporary" | { readonly path: string } };
}

/** The kernel's own messages go to the serial port. Later arguments override. */
const BASE_COMMAND_LINE = "console=ttyAMA0";

/** Reads, and pulls where missing, everything that `choice` names. */
export async function prepareGuest(
  choice: GuestChoice,
  session: GuestSession,
  settings: PullSettings,
): Promise<Guest> {
  const chosenKind = choice.image === undefined ? undefined : await kindOf(choice.image, settings.cache);
  checkChoice(choice, chosenKind);
  const read = async (path: string | undefined, what: string): Promise<BootFile | undefined> =>
    path === undefined ? undefined : await readInputFile(path, what);
  // What the user names is looked at before anything is fetched.
  const deviceTree = await read(choice.dtb, "device tree");
  const named = {
    kernel: await read(choice.kernel, "kernel"),
    initrd: await read(choice.initrd, "initrd"),
    firmware: await read(choice.bios, "firmware"),
  };
  const uefi = choice.uefi === true ? await firmwareFiles("firmware:edk2", settings) : undefined;
  const given = { ...named, firmware: named.firmware ?? uefi?.firmware, variables: uefi?.variables };
  const name = choice.image ?? ((given.kernel ?? given.firmware) ? undefined : DEFAULT_KERNEL);
  const added = choice.append === undefined ? "" : ` ${choice.append}`;
  const commandLine = BASE_COMMAND_LINE + (choice.exec === undefined ? "" : " quiet") + added;
  if (name === undefined) {
    return { ...given, deviceTree, commandLine: given.kernel && commandLine, ours: false };
  }
  const kind = chosenKind ?? describeImage(name).kind;
  if (kind === "system")
    return await prepareSystemGuest(
      name,
      choice,
      { firmware: given.firmware, variables: given.variables, deviceTree },
      commandLine,
      session,
      settings,
    );
  if (kind === "firmware") {
    return {
      ...given,
      ...(await firmwareFiles(name, settings)),
      deviceTree,
      commandLine: given.kernel && commandLine,
      ours: false,
    };
  }
  if (kind === "installer") {
    const { [name]: image } = await ensureImages([name], settings);
    const [kernel, initrd] = [await fileOf(image!, 0), given.initrd ?? (await fileOf(image!, 1))];
    return { ...given, kernel, initrd, deviceTree, commandLine, ours: false };
  }
  const needed = given.initrd === undefined ? [name, "busybox"] : [name];
  const images = await ensureImages(needed, settings);
  const kernel = await fileOf(images[name]!, 0);
  if (given.initrd !== undefined) return { ...given, kernel, deviceTree, commandLine, ours: false };
  const busybox = await fileOf(images["busybox"]!, 0);
  const bytes = buildInitramfs(busybox.bytes, await readModuleFiles(images[name]!), session);
  const initrd = { name: "the default initial file system", bytes };
  return { ...given, kernel, initrd, deviceTree, commandLine, ours: true };
}

/** Firmware, and what its flash for variables holds at first. */
async function firmwareFiles(
  name: string,
  settings: PullSettings,
): Promise<{ firmware: BootFile; variables: BootFile | undefined }> {
  const { [name]: image } = await ensureImages([name], settings);
  const variables = image!.files.length > 1 ? await fileOf(image!, 1) : undefined;
  return { firmware: await fileOf(image!, 0), variables };
}

async function prepareSystemGuest(
  name: string,
  choice: GuestChoice,
  described: Pick<Guest, "firmware" | "variables" | "deviceTree">,
  commandLine: string,
  session: GuestSession,
  settings: PullSettings,
): Promise<Guest> {
  const store = new MachineStore(machinesDirectory(settings.environment));
  const called = checkedName(choice.name ?? name.replace(":", "-"));
  const stored = choice.rm ? undefined : await store.find(called);
  if (stored !== undefined && stored.image !== name) {
    throw misuse(`The machine ${called} is made from ${stored.image}, not ${name}; give another --name.`);
  }
  const images = await ensureImages(stored === undefined ? [name, BUSYBOX] : [BUSYBOX], settings);
  const busybox = await fileOf(images[BUSYBOX]!, 0);
  const console = choice.console ?? "virtio";
  const common = { ...described, ours: true };
  const boot = async (base: string) => {
    const system = await prepareSystem(base, session, console, busybox);
    return { ...common, ...system, commandLine: `${commandLine} ${system.commandLine}` };
  };
  if (choice.rm) {
    const base = join(images[name]!.directory, SYSTEM_DISK);
    return { ...(await boot(base)), disk: { path: base, overlay: "temporary" } };
  }
  const machine = stored ?? (await store.create(called, images[name]!));
  return {
    ...(await boot(machine.base)),
    name: called,
    disk: { path: machine.base, overlay: { path: machine.overlay } },
  };
}

/** A file of an image, by its place in the catalogue, where the kernel, the firmware or the program is first. */
async function fileOf(image: CachedImage, index: number): Promise<BootFile> {
  const description = describeImage(image.name);
  const path = description.kind === "system" ? undefined : Object.keys(description.files)[index];
  if (path === undefined) throw new Bug(`the image ${image.name} has no file number ${index}`);
  return await readInputFile(join(image.directory, path), image.name);
}

/** What an image is; one that elvisor build made is a system. */
async function kindOf(name: string, cache: ImageCache): Promise<AnyDescription["kind"]> {
  const image = await cache.find(name);
  return image?.base === undefined ? describeImage(name).kind : "system";
}

/** `kind` is that of the image, where one is named. */
function checkChoice(choice: GuestChoice, kind: AnyDescription["kind"] | undefined): void {
  const { image, kernel, initrd, bios, exec, append, uefi, uefiVars } = choice;
  const firmwareImage = (image ?? "").startsWith("firmware:");
  if (uefiVars !== undefined && uefi !== true && image !== "firmware:edk2") {
    throw misuse(`Only EDK2 keeps variables for --uefi-vars ${uefiVars}; add --uefi, or leave it out.`);
  }
  if (uefi === true && (bios !== undefined || firmwareImage)) {
    throw misuse(`Both --uefi and ${firmwareImage ? image : `--bios ${bios}`} name firmware; leave one out.`);
  }
  if (image !== undefined) {
    if (kind === "program")
      throw misuse(`The image ${image} is a program for a guest, not something to boot; leave it out.`);
    if ((kind === "kernel" || kind === "installer" || kind === "system") && kernel !== undefined) {
      throw misuse(`Both ${image} and --kernel ${kernel} name a kernel; leave one out.`);
    }
    if (kind === "system" && (initrd ?? bios) !== undefined) {
      throw misuse(
        `The image ${image} brings its own start; leave out ${initrd === undefined ? "--bios" : "--initrd"}.`,
      );
    }
    if (kind === "firmware" && bios !== undefined) {
      throw misuse(`Both ${image} and --bios ${bios} name firmware; leave one out.`);
    }
  }
  const ownSystem = [
    ...(kernel === undefined ? [] : ["--kernel"]),
    ...(initrd === undefined ? [] : ["--initrd"]),
    ...(bios === undefined ? [] : ["--bios"]),
    ...(uefi === true && image === undefined ? ["--uefi"] : []),
    ...(firmwareImage || (image ?? "").startsWith("installer:") ? [image] : []),
  ];
  if (exec !== undefined && ownSystem.length > 0) {
    const [what] = ownSystem;
    throw misuse(`--exec needs the default guest, whose shell runs the command; leave out ${what}.`);
  }
  const firmware = bios !== undefined || firmwareImage || (uefi === true && image === undefined);
  const kernelless = kernel === undefined && firmware;
  if (kernelless && initrd !== undefined)
    throw misuse(`--initrd ${initrd} needs a kernel; add --kernel FILE.`);
  if (kernelless && append !== undefined) throw misuse(`--append needs a kernel; add --kernel FILE.`);
}

function misuse(sentence: string): UserError {
  return new UserError(sentence, { exitStatus: 2 });
}
