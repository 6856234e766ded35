import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { VirtualMachineFactory } from "../../machine/virtual-machine-interface.ts";
import { Archive, type FoundPackage } from "./archive.ts";
import type { CachedImage, ImageCache } from "./cache.ts";
import {
  type AnyDescription,
  BUSYBOX,
  describeImage,
  type ImageDescription,
  type SystemDescription,
} from "./catalogue.ts";
import { readPackage } from "./deb.ts";
import { makeSystemImage, type SystemAdditions } from "./debian/system-image.ts";
import { download, type Progress } from "./download.ts";
import { findMirror, type Mirror, type MirrorSettings } from "./mirror.ts";
import { KEPT_MODULES } from "./modules.ts";
import type { SignatureSettings } from "./signature.ts";
import { unpackKernel } from "./unpack-kernel.ts";

/** Everything on which pulling depends. */
export interface PullSettings extends MirrorSettings, SignatureSettings {
  readonly cache: ImageCache;
  readonly progress: Progress;
  /** Makes the machine in which a system configures itself; Node's own unless given. */
  readonly createMachine?: VirtualMachineFactory | undefined;
}

/** False for a kernel that was unpacked when fewer modules were kept. */
function isWhole(image: CachedImage): boolean {
  if (image.base !== undefined || describeImage(image.name).kind !== "kernel") return true;
  return KEPT_MODULES.every((name) => image.modules?.includes(name));
}

/**
 * The images called `names` from the cache; those that are missing are pulled first. So are kernels without all
 * modules, but where that fails they are used as they are.
 */
export async function ensureImages<Name extends string>(
  names: readonly Name[],
  settings: PullSettings,
): Promise<Record<Name, CachedImage>> {
  const images: Partial<Record<Name, CachedImage>> = {};
  for (const name of names) {
    const image = await settings.cache.find(name);
    if (image?.base === undefined) describeImage(name);
    if (image !== undefined) images[name] = image;
  }
  const take = (pulled: readonly CachedImage[]): void => {
    for (const image of pulled) images[image.name as Name] = image;
  };
  const missing = names.filter((name) => images[name] === undefined);
  if (missing.length > 0) take(await pullImages(missing, settings, "missing"));
  const partial = names.filter((name) => !isWhole(images[name]!));
  if (partial.length > 0) {
    try {
      take(await pullImages(partial, settings, "missing"));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const sentence = `${partial.join(" and ")} lacks modules of newer devices and stays as it is`;
      settings.progress.say(`${sentence}: ${error.message}`);
    }
  }
  return images as Record<Name, CachedImage>;
}

/**
 * Brings the newest version of each image into the cache; with "missing", only of those that nobody has
 * brought in the meantime.
 */
export async function pullImages(
  names: readonly string[],
  settings: PullSettings,
  which: "newest" | "missing" = "newest",
): Promise<CachedImage[]> {
  const descriptions = names.map(describeImage);
  const images: CachedImage[] = [];
  const run = new PullRun(settings);
  for (const description of descriptions) images.push(await run.pull(description, which));
  await run.end();
  return images;
}

/**
 * Pulls several images from one archive. Whoever holds an image's lock may wait for that of the downloads, never
 * the other way round.
 */
export class PullRun {
  readonly #settings: PullSettings;
  #source: { readonly archive: Archive; readonly mirror: Mirror } | undefined;

  constructor(settings: PullSettings) {
    this.#settings = settings;
  }

  async pull(description: AnyDescription, which: "newest" | "missing"): Promise<CachedImage> {
    const { cache } = this.#settings;
    const find = async (): Promise<CachedImage | undefined> => {
      const present = await cache.find(description.name);
      return present !== undefined && isWhole(present) && which === "missing" ? present : undefined;
    };
    const found = await find();
    if (found !== undefined) return found;
    if (description.kind === "system") return await this.makeSystem(description, which);
    return await this.#locked(description.name, async () => {
      return (await find()) ?? (await this.#fetching(() => this.#pullPackage(description)));
    });
  }

  /** Makes a system image, with what `additions` add to it; one that is there and the same stays. */
  async makeSystem(
    description: SystemDescription,
    which: "newest" | "missing",
    additions?: SystemAdditions,
  ): Promise<CachedImage> {
    const { cache, progress, createMachine } = this.#settings;
    const busybox = await this.pull(describeImage(BUSYBOX), "missing");
    return await this.#locked(description.name, async () => {
      const present = await cache.find(description.name);
      if (present !== undefined && which === "missing") return present;
      return await makeSystemImage(description, present, {
        ...(await this.#open()),
        cache,
        progress,
        fetching: (work) => this.#fetching(work),
        createMachine: createMachine ?? (await import("../create-machine.ts")).createMachine,
        busybox: {
          name: BUSYBOX,
          bytes: new Uint8Array(await readFile(join(busybox.directory, busybox.files[0]!.path))),
        },
        additions,
      });
    });
  }

  async end(): Promise<void> {
    const source = this.#source;
    if (source !== undefined) await this.#fetching(() => source.archive.forgetOtherLists());
  }

  async #pullPackage(description: ImageDescription): Promise<CachedImage> {
    const { archive } = await this.#open();
    const present = await this.#settings.cache.find(description.name);
    const found = await archive.find(description);
    if (present !== undefined && isWhole(present) && present.packageSha256 === found.sha256) return present;
    const modules =
      description.kind === "kernel"
        ? [...new Set([...(present?.modules ?? []), ...KEPT_MODULES])]
        : undefined;
    return await pullPackage(description, found, modules, this.#settings);
  }

  /** Does `work` while no other process makes the image. */
  async #locked<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const { cache, progress } = this.#settings;
    const lock = await cache.lock(name, (holder) =>
      progress.say(`Another elvisor (process ${holder}) is making ${name}; waiting for it to finish.`),
    );
    try {
      return await work();
    } finally {
      lock.release();
    }
  }

  /** Does `work` while no other process downloads. */
  async #fetching<Result>(work: () => Promise<Result>): Promise<Result> {
    const { cache, progress } = this.#settings;
    const lock = await cache.lockDownloads((holder) =>
      progress.say(`Another elvisor (process ${holder}) is fetching packages; waiting for it to finish.`),
    );
    try {
      return await work();
    } finally {
      lock.release();
    }
  }

  async #open(): Promise<{ readonly archive: Archive; readonly mirror: Mirror }> {
    if (this.#source === undefined) {
      const mirror = await findMirror(this.#settings);
      const { cache, progress } = this.#settings;
      this.#source = { mirror, archive: new Archive(mirror, this.#settings, cache.lists, progress) };
    }
    return this.#source;
  }
}

/** `modules` are those to keep of a kernel's. */
async function pullPackage(
  description: ImageDescription,
  found: FoundPackage,
  modules: readonly string[] | undefined,
  { cache, progress }: PullSettings,
): Promise<CachedImage> {
  const target = join(cache.downloads, `${found.sha256}.deb`);
  const label = `${found.name} ${found.version}`;
  await download({ url: found.url, size: found.size, sha256: found.sha256, target, label }, progress);
  progress.say(`Unpacking ${label}.`);
  const contents =
    modules !== undefined
      ? await unpackKernel(target, modules)
      : description.kind === "device-trees"
        ? await unpackDeviceTrees(description, target)
        : await unpackFiles(description, target);
  const image = await cache.publish(
    {
      ...{ name: description.name, package: found.name, version: found.version },
      packageSha256: found.sha256,
      ...(modules === undefined ? {} : { modules }),
    },
    contents,
  );
  await rm(target, { force: true });
  return image;
}

/** Keeps of a kernel package its device trees, under their makers' directories. */
async function unpackDeviceTrees(
  description: ImageDescription,
  path: string,
): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  const pattern = /^usr\/lib\/linux-image-[^/]+\/(.+\.dtb)$/;
  await readPackage(
    path,
    (file) => pattern.test(file),
    ({ path: file, content }) => {
      contents.set(pattern.exec(file)![1]!, content);
    },
  );
  if (contents.size === 0) {
    throw new UserError(
      `${path}, the package for ${description.name}, has no device trees; pull it from another mirror.`,
    );
  }
  return contents;
}

async function unpackFiles(description: ImageDescription, path: string): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  const wanted = Object.entries(description.files);
  const nameOf = (file: string): string | undefined => wanted.find(([, pattern]) => pattern.test(file))?.[0];
  await readPackage(
    path,
    (file) => nameOf(file) !== undefined,
    ({ path: file, content }) => {
      contents.set(nameOf(file)!, content);
    },
  );
  checkComplete(description, contents, path);
  return contents;
}

function checkComplete(
  description: ImageDescription,
  contents: ReadonlyMap<string, Uint8Array>,
  path: string,
): void {
  for (const name of Object.keys(description.files)) {
    if (!contents.has(name)) {
      throw new UserError(
        `${path}, the package for ${description.name}, has no ${name}; pull it from another mirror.`,
      );
    }
  }
}
