import { join } from "node:path";
import { Bug, UserError } from "../../base/errors.ts";
import type { BootFile } from "../../machine/boot/boot-file.ts";
import type { CachedImage } from "../images/cache.ts";
import { describeImage } from "../images/catalogue.ts";
import { buildInitramfs, type GuestSession, readModuleFiles } from "../images/initramfs.ts";
import { ensureImages, type PullSettings } from "../images/pull.ts";
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
}

/** The kernel's own messages go to the serial port. Later arguments override. */
const BASE_COMMAND_LINE = "console=ttyAMA0";

/** Reads, and pulls where missing, everything that `choice` names. */
export async function prepareGuest(
  choice: GuestChoice,
  session: GuestSession,
  settings: PullSettings,
): Promise<Guest> {
  checkChoice(choice);
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
  if (describeImage(name).kind === "firmware") {
    return {
      ...given,
      ...(await firmwareFiles(name, settings)),
      deviceTree,
      commandLine: given.kernel && commandLine,
      ours: false,
    };
  }
  if (describeImage(name).kind === "installer") {
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

/** A file of an image, by its place in the catalogue, where the kernel, the firmware or the program is first. */
async function fileOf(image: CachedImage, index: number): Promise<BootFile> {
  const path = Object.keys(describeImage(image.name).files)[index];
  if (path === undefined) throw new Bug(`the image ${image.name} has no file number ${index}`);
  return await readInputFile(join(image.directory, path), image.name);
}

function checkChoice(choice: GuestChoice): void {
  const { image, kernel, initrd, bios, exec, append, uefi } = choice;
  const firmwareImage = (image ?? "").startsWith("firmware:");
  if (uefi === true && (bios !== undefined || firmwareImage)) {
    throw misuse(`Both --uefi and ${firmwareImage ? image : `--bios ${bios}`} name firmware; leave one out.`);
  }
  if (image !== undefined) {
    const { kind } = describeImage(image);
    if (kind === "program")
      throw misuse(`The image ${image} is a program for a guest, not something to boot; leave it out.`);
    if ((kind === "kernel" || kind === "installer") && kernel !== undefined) {
      throw misuse(`Both ${image} and --kernel ${kernel} name a kernel; leave one out.`);
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
