import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
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
import { buildSystemInitramfs } from "../system-initramfs.ts";
import { unpackKernel } from "../unpack-kernel.ts";
import { configureInGuest } from "./configure-guest.ts";
import { CONFIGURE_BUSYBOX, CONFIGURE_SCRIPT, configureScript } from "./configure-script.ts";
import type { SystemPackage } from "./package-universe.ts";
import { systemPackages } from "./packages.ts";
import { resolvePackages } from "./resolve.ts";
import { formatUuid, makeRootFileSystem } from "./root-file-system.ts";

/** Bytes of the disk that a system gets; a sparse file, so what is not used takes no room. */
export const SYSTEM_DISK_SIZE = 16 * 2 ** 30;
/** Names of a system image's files. */
export const SYSTEM_DISK = "disk.raw";
export const SYSTEM_ROOT = "root";
/** To be raised when images are made differently from the same packages. */
const RECIPE = 1;
/** Downloads under way at once. */
const CONNECTIONS = 4;

export interface SystemSettings {
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
  const { archive, cache, progress } = settings;
  progress.say(`Looking up the packages of ${description.title}.`);
  const universe = await archive.universe(description.release);
  const packages = resolvePackages(universe, systemPackages(universe), settings.mirror.namedBy);
  const contents = createHash("sha256")
    .update(JSON.stringify([RECIPE, packages.map(({ sha256 }) => sha256)]))
    .digest("hex");
  if (present?.packageSha256 === contents) return present;
  const paths = await fetchPackages(packages, settings);
  const draft = await cache.draft(description.name);
  const uuid = randomUuid();
  const kernelPackage = packages.findIndex(({ name }) => /^linux-image-\d/.test(name));
  progress.say("Unpacking the kernel.");
  const kernel = await unpackKernel(paths[kernelPackage]!, KEPT_MODULES);
  const disk = join(draft, SYSTEM_DISK);
  const unpacked = await unpackOnto(disk, packages, paths, uuid, description, settings);
  const initrd = buildSystemInitramfs(settings.busybox.bytes, modulesIn(kernel), {
    root: `UUID=${formatUuid(uuid)}`,
    init: `/run/${CONFIGURE_SCRIPT}`,
    runFiles: new Map([
      [CONFIGURE_SCRIPT, { content: configureScript(unpacked.preinst), mode: 0o755 }],
      [CONFIGURE_BUSYBOX, { content: settings.busybox.bytes, mode: 0o755 }],
    ]),
  });
  const drive = await openDrive(disk, { format: "raw" });
  try {
    const label = `Configuring ${description.title}`;
    await configureInGuest(
      {
        createMachine: settings.createMachine,
        kernel: { name: "the kernel", bytes: kernel.get("Image")! },
        initrd: { name: "the initial file system", bytes: initrd },
        drive,
        packages: unpacked.packages,
        label,
      },
      progress,
    );
  } finally {
    await drive.close();
  }
  const base = packages.find(({ name }) => name === "base-files")!;
  const manifest = {
    name: description.name,
    package: `${packages.length} packages`,
    version: `${base.version}+${contents.slice(0, 12)}`,
    packageSha256: contents,
  };
  const small = new Map([...kernel, [SYSTEM_ROOT, Buffer.from(formatUuid(uuid))]]);
  const image = await cache.publish(manifest, small, { draft, files: [SYSTEM_DISK] });
  await cache.forgetDownloads(packages.map(({ sha256 }) => `${sha256}.deb`));
  return image;
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
  { mirror, progress }: SystemSettings,
): ReturnType<typeof makeRootFileSystem> {
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
    progress.say(`Unpacking ${packages.length} packages.`);
    progress.start(`Unpacking`, total, 0);
    return await makeRootFileSystem(
      target,
      { release, mirror, packages: files, size: SYSTEM_DISK_SIZE, uuid },
      (bytes) => progress.advance(bytes),
    );
  } finally {
    progress.stop();
    await file.close();
  }
}
