import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../../base/errors.ts";
import type { BootFile } from "../../../machine/boot/boot-file.ts";
import type { VirtualMachineFactory } from "../../../machine/virtual-machine-interface.ts";
import { openDrive } from "../../disks/drive-file.ts";
import type { Archive } from "../archive.ts";
import type { CachedImage, ImageCache } from "../cache.ts";
import type { SystemDescription } from "../catalogue.ts";
import { diskError } from "../disk-errors.ts";
import { download, type Progress } from "../download.ts";
import { randomUuid } from "../ext4/superblock.ts";
import type { Mirror } from "../mirror.ts";
import { KEPT_MODULES } from "../modules.ts";
import { buildSystemInitramfs, type RunFile } from "../system-initramfs.ts";
import { unpackKernel } from "../unpack-kernel.ts";
import { configureInGuest, type GuestCommand } from "./configure-guest.ts";
import {
  CONFIGURE_BUSYBOX,
  CONFIGURE_COMMANDS,
  CONFIGURE_SCRIPT,
  configureScript,
} from "./configure-script.ts";
import type { PackageUniverse, SystemPackage } from "./package-universe.ts";
import { systemPackages } from "./packages.ts";
import { resolvePackages } from "./resolve.ts";
import { type AddedFile, formatUuid, makeRootFileSystem, type UnpackedSystem } from "./root-file-system.ts";

/** Bytes of the disk that a system gets; a sparse file, so what is not used takes no room. */
export const SYSTEM_DISK_SIZE = 16 * 2 ** 30;
/** Names of a system image's files. */
export const SYSTEM_DISK = "disk.raw";
export const SYSTEM_ROOT = "root";
/** To be raised when images are made differently from the same packages. */
const RECIPE = 2;
/** Downloads under way at once. */
const CONNECTIONS = 4;
/** Names that are offered for one that does not exist. */
const MOST_SUGGESTIONS = 3;

/** What is added to a release to make another system of it. */
export interface SystemAdditions {
  /** Names; `where` says, for messages, who wants it. */
  readonly packages: readonly { readonly name: string; readonly where: string }[];
  /** Copied over what the packages brought, before the commands. */
  readonly files: readonly AddedFile[];
  /** Lines or scripts for /bin/sh, run in the system in their order. */
  readonly commands: readonly GuestCommand[];
  /** Differs where any of these, or the files' contents, do. */
  readonly sha256: string;
}

export interface SystemSettings {
  /** Does work while no other process changes lists and downloads. */
  readonly fetching: <Result>(work: () => Promise<Result>) => Promise<Result>;
  readonly additions?: SystemAdditions | undefined;
  readonly archive: Archive;
  readonly mirror: Mirror;
  readonly cache: ImageCache;
  readonly progress: Progress;
  readonly createMachine: VirtualMachineFactory;
  /** The static busybox with which the first start is made. */
  readonly busybox: BootFile;
}

/** Makes a system image from a release's newest packages; one that is there and still the newest stays. */
export async function makeSystemImage(
  description: SystemDescription,
  present: CachedImage | undefined,
  settings: SystemSettings,
): Promise<CachedImage> {
  const { archive, cache, progress, additions, fetching } = settings;
  const uuid = randomUuid();
  const prepared = await fetching(async () => {
    progress.say(`Looking up the packages of ${description.title}.`);
    const universe = await archive.universe(description.release);
    for (const { name, where } of additions?.packages ?? []) checkPackage(universe, name, where);
    const wanted = [...systemPackages(universe), ...(additions?.packages ?? []).map(({ name }) => name)];
    const packages = resolvePackages(universe, wanted, settings.mirror.namedBy);
    const contents = contentsHash(packages, additions);
    if (present?.packageSha256 === contents) return present;
    const paths = await fetchPackages(packages, settings);
    const draft = await cache.draft(description.name);
    const kernelPackage = packages.findIndex(({ name }) => /^linux-image-\d/.test(name));
    progress.say("Unpacking the kernel.");
    const kernel = await unpackKernel(paths[kernelPackage]!, KEPT_MODULES);
    const unpacked = await unpackOnto(join(draft, SYSTEM_DISK), packages, paths, uuid, description, settings);
    return { draft, packages, contents, kernel, unpacked };
  });
  if ("directory" in prepared) return prepared;
  const { draft, packages, contents, kernel } = prepared;
  await configure(join(draft, SYSTEM_DISK), uuid, kernel, prepared.unpacked, description, settings);
  const base = packages.find(({ name }) => name === "base-files")!;
  const manifest = {
    name: description.name,
    package: `${packages.length} packages`,
    version: `${base.version}+${contents.slice(0, 12)}`,
    packageSha256: contents,
    ...(description.base !== undefined && { base: description.base }),
  };
  const small = new Map([...kernel, [SYSTEM_ROOT, Buffer.from(formatUuid(uuid))]]);
  const image = await cache.publish(manifest, small, { draft, files: [SYSTEM_DISK] });
  await fetching(() => cache.forgetDownloads(packages.map(({ sha256 }) => `${sha256}.deb`)));
  return image;
}

function checkPackage(universe: PackageUniverse, name: string, where: string): void {
  if (universe.get(name) !== undefined || universe.providers(name).length > 0) return;
  const similar = similarNames(universe, name);
  const hint = similar.length === 0 ? "check its name" : `did you mean ${similar.join(" or ")}`;
  throw new UserError(`${where}: There is no package "${name}"; ${hint}${similar.length === 0 ? "." : "?"}`, {
    exitStatus: 2,
  });
}

/** Names that differ from `name` by an end, or by one letter. */
function similarNames(universe: PackageUniverse, name: string): string[] {
  const names = [...universe.all()].map((each) => each.name);
  const near = names.filter((other) => isNear(other, name));
  const longer = names.filter((other) => other.startsWith(`${name}-`) || other.startsWith(name));
  return [...new Set([...near, ...longer])].slice(0, MOST_SUGGESTIONS);
}

/** One letter more, less, or another. */
function isNear(one: string, other: string): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  if (long.length - short.length > 1) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at++;
  return short.slice(short.length === long.length ? at + 1 : at) === long.slice(at + 1);
}

function contentsHash(packages: readonly SystemPackage[], additions: SystemAdditions | undefined): string {
  const parts = [RECIPE, packages.map(({ sha256 }) => sha256), ...(additions ? [additions.sha256] : [])];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

async function configure(
  disk: string,
  uuid: Uint8Array,
  kernel: ReadonlyMap<string, Uint8Array>,
  unpacked: UnpackedSystem,
  description: SystemDescription,
  { busybox, createMachine, progress, additions }: SystemSettings,
): Promise<void> {
  const commands = additions?.commands ?? [];
  const script = configureScript(unpacked.preinst, {
    files: (additions?.files.length ?? 0) > 0,
    commands: commands.length,
  });
  const initrd = buildSystemInitramfs(busybox.bytes, modulesIn(kernel), {
    root: `UUID=${formatUuid(uuid)}`,
    init: `/run/${CONFIGURE_SCRIPT}`,
    runFiles: new Map([
      [CONFIGURE_SCRIPT, { content: script, mode: 0o755 }],
      [CONFIGURE_BUSYBOX, { content: busybox.bytes, mode: 0o755 }],
      ...commands.map(({ text }, index): [string, RunFile] => [
        `${CONFIGURE_COMMANDS}/${index + 1}`,
        { content: `${text}\n` },
      ]),
    ]),
  });
  // Half an image is thrown away, whatever its guest has flushed.
  const drive = await openDrive(disk, { format: "raw", durability: "at close" });
  try {
    await configureInGuest(
      {
        createMachine,
        kernel: { name: "the kernel", bytes: kernel.get("Image")! },
        initrd: { name: "the initial file system", bytes: initrd },
        drive,
        packages: unpacked.packages,
        commands,
        label: `Configuring ${description.title}`,
      },
      progress,
    );
  } finally {
    await drive.close();
  }
}

function modulesIn(kernel: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...kernel].filter(([path]) => path.startsWith("lib/modules/")));
}

/** The package files, fetched where they are not there yet, in the order of the packages. */
async function fetchPackages(
  packages: readonly SystemPackage[],
  { cache, progress }: SystemSettings,
): Promise<string[]> {
  const total = packages.reduce((sum, { size }) => sum + size, 0);
  const quiet: Progress = { ...progress, start() {}, stop() {}, advance: (bytes) => progress.advance(bytes) };
  const waiting = [...packages];
  const path = ({ sha256 }: SystemPackage): string => join(cache.downloads, `${sha256}.deb`);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { url, size, sha256, name, version } = next;
      await download({ url, size, sha256, target: path(next), label: `${name} ${version}` }, quiet);
    }
  };
  progress.start(`${packages.length} packages`, total, 0);
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, work));
  } finally {
    // Where one has failed, the others should not begin another.
    waiting.length = 0;
    progress.stop();
  }
  return packages.map(path);
}

async function unpackOnto(
  disk: string,
  packages: readonly SystemPackage[],
  paths: readonly string[],
  uuid: Uint8Array,
  { release }: SystemDescription,
  { mirror, progress, additions }: SystemSettings,
): Promise<UnpackedSystem> {
  const file = await open(disk, "w").catch((cause: unknown) => {
    throw diskError(disk, cause);
  });
  try {
    const target = {
      async write(offset: number, bytes: Uint8Array): Promise<void> {
        try {
          for (let done = 0; done < bytes.length; ) {
            done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
          }
        } catch (cause) {
          throw diskError(disk, cause);
        }
      },
    };
    const files = packages.map(({ size }, index) => ({ path: paths[index]!, size }));
    const total = packages.reduce((sum, { size }) => sum + size, 0);
    progress.start(`Unpacking ${packages.length} packages`, total, 0, "unpacked bytes");
    return await makeRootFileSystem(
      target,
      { release, mirror, packages: files, added: additions?.files ?? [], size: SYSTEM_DISK_SIZE, uuid },
      (bytes) => progress.advance(bytes),
    );
  } finally {
    progress.stop();
    await file.close();
  }
}
