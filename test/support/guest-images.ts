import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BootFile } from "../../src/machine/boot/boot-file.ts";
import { type CachedImage, cacheDirectory, ImageCache } from "../../src/node/images/cache.ts";
import { SYSTEM_DISK, SYSTEM_DISK_SIZE, SYSTEM_ROOT } from "../../src/node/images/debian/system-image.ts";
import { SILENT_PROGRESS } from "../../src/node/images/download.ts";
import { buildInitramfs, readModuleFiles } from "../../src/node/images/initramfs.ts";
import { ensureImages } from "../../src/node/images/pull.ts";

/** Debian's kernels that the tests boot. */
export const GUEST_KERNELS = [
  "kernel:6.1-cloud",
  "kernel:6.1-generic",
  "kernel:6.12-cloud",
  "kernel:6.12-generic",
  "kernel:6.12-16k",
] as const;

export type GuestKernel = (typeof GUEST_KERNELS)[number];

/** A kernel and the initial file system of the default guest, whose shell is on the first console there is. */
export async function guestFiles(
  name: GuestKernel,
  { network = false }: { readonly network?: boolean } = {},
): Promise<{ kernel: BootFile; initrd: BootFile }> {
  const images = await cachedImages([name]);
  const busybox = await busyboxFile();
  const session = { kind: "shell", terminal: "dumb", size: undefined, network } as const;
  const initrd = buildInitramfs(busybox.bytes, await readModuleFiles(images[name]!), session);
  return {
    kernel: await firstFile(images[name]!),
    initrd: { name: "the default initial file system", bytes: initrd },
  };
}

/** The static busybox that the default guest uses. */
export async function busyboxFile(): Promise<BootFile> {
  return await firstFile((await cachedImages(["busybox"]))["busybox"]!);
}

/** What `elvisor pull` would fetch as `name`: the contents for flash 0. */
export async function firmwareFile(name: "firmware:uboot" | "firmware:edk2"): Promise<BootFile> {
  return await firstFile((await cachedImages([name]))[name]!);
}

/** Contents of the second flash with which EDK2 begins: no variables. */
export async function firmwareVariables(): Promise<BootFile> {
  const image = (await cachedImages(["firmware:edk2"]))["firmware:edk2"]!;
  return await fileOf(image, "AAVMF_VARS.fd");
}

/** GRUB as an EFI program; its configuration is EFI/debian/grub.cfg on the volume that it comes from. */
export async function grubFile(): Promise<BootFile> {
  return await firstFile((await cachedImages(["grub"]))["grub"]!);
}

/** Kernel and initial file system of Debian's installer. */
export async function installerFiles(): Promise<{ kernel: BootFile; initrd: BootFile }> {
  const image = (await cachedImages(["installer:12"]))["installer:12"]!;
  return { kernel: await fileOf(image, "linux"), initrd: await fileOf(image, "initrd.gz") };
}

/** What `elvisor pull debian:12` makes: the root file system's image, its size and its UUID. */
export async function debianSystem(): Promise<{ image: string; bytes: number; uuid: string }> {
  const found = (await cachedImages(["debian:12"]))["debian:12"]!;
  const image = join(found.directory, SYSTEM_DISK);
  const uuid = (await readFile(join(found.directory, SYSTEM_ROOT), "utf8")).trim();
  return { image, bytes: SYSTEM_DISK_SIZE, uuid };
}

async function fileOf(image: CachedImage, path: string): Promise<BootFile> {
  return { name: path, bytes: new Uint8Array(await readFile(join(image.directory, path))) };
}

/** A board of Debian's kernel package. */
export interface BoardTree {
  /** Below its maker's directory: "arm/juno.dtb". */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The device trees of real boards that come with Debian's kernels, by name; with `every`, only each so many-th. */
export async function boardTrees(series: "6.1" | "6.12", every = 1): Promise<BoardTree[]> {
  const image = (await cachedImages([`boards:${series}`]))[`boards:${series}`]!;
  const names = image.files.map(({ path }) => path).sort();
  const chosen = names.filter((_, index) => index % every === 0);
  return await Promise.all(
    chosen.map(async (name) => ({
      name,
      bytes: new Uint8Array(await readFile(join(image.directory, name))),
    })),
  );
}

/** From the user's cache; what is missing there is pulled, as the command would. */
async function cachedImages(names: readonly string[]): Promise<Record<string, CachedImage>> {
  return await ensureImages(names, {
    cache: new ImageCache(cacheDirectory(process.env)),
    progress: SILENT_PROGRESS,
    environment: process.env,
  });
}

async function firstFile(image: CachedImage): Promise<BootFile> {
  const path = image.files[0]!.path;
  return { name: image.name, bytes: new Uint8Array(await readFile(join(image.directory, path))) };
}
