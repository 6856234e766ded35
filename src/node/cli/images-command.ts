import { UserError } from "../../base/errors.ts";
import { buildImage } from "../images/build.ts";
import { type CachedImage, cacheDirectory, ImageCache } from "../images/cache.ts";
import { CATALOGUE } from "../images/catalogue.ts";
import { pullImages } from "../images/pull.ts";
import type { Host } from "./host.ts";
import { stderrProgress } from "./progress.ts";

/** `elvisor pull`: brings the newest versions, and says what came. */
export async function pullCommand(
  names: readonly string[],
  options: { readonly mirror?: string | undefined; readonly keyring?: string | undefined },
  host: Host,
): Promise<void> {
  const images = await pullImages(names, {
    ...options,
    cache: new ImageCache(cacheDirectory(host.environment)),
    progress: stderrProgress(host.stderr),
    environment: host.environment,
  });
  for (const image of images) host.stdout.write(`${image.name}  ${image.package} ${image.version}\n`);
}

/** `elvisor build`: makes the image that a recipe describes, and says what it is called. */
export async function buildCommand(
  path: string,
  options: {
    readonly name?: string | undefined;
    readonly mirror?: string | undefined;
    readonly keyring?: string | undefined;
  },
  host: Host,
): Promise<void> {
  const { name, ...others } = options;
  const image = await buildImage(path, name, {
    ...others,
    cache: new ImageCache(cacheDirectory(host.environment)),
    progress: stderrProgress(host.stderr),
    environment: host.environment,
  });
  host.stdout.write(`${image.name}  ${image.package} ${image.version}\n`);
}

/** `elvisor image remove`: gives the room of images free; all are looked for before one is removed. */
export async function removeImagesCommand(names: readonly string[], host: Host): Promise<void> {
  const cache = new ImageCache(cacheDirectory(host.environment));
  const images: CachedImage[] = [];
  for (const name of names) {
    const image = await cache.find(name);
    if (image === undefined)
      throw new UserError(`There is no image "${name}" in the cache; elvisor images lists those there are.`);
    images.push(image);
  }
  for (const { name } of images) {
    const lock = await cache.lock(name, (holder) =>
      host.stderr.write(`elvisor: Process ${holder} is making ${name}; waiting for it to finish.\n`),
    );
    try {
      await cache.remove(name);
    } finally {
      lock.release();
    }
    host.stdout.write(`${name}\n`);
  }
}

/** `elvisor image prune`: removes downloads and what interrupted runs have left. */
export async function pruneImagesCommand(host: Host): Promise<void> {
  const cache = new ImageCache(cacheDirectory(host.environment));
  const lock = await cache.lockDownloads((holder) =>
    host.stderr.write(`elvisor: Process ${holder} is fetching packages; waiting for it to finish.\n`),
  );
  try {
    host.stdout.write(`${((await cache.prune()) / 2 ** 20).toFixed(1)} MiB are free again.\n`);
  } finally {
    lock.release();
  }
}

/** `elvisor images`: the cache's images with their files, sizes and hashes, and the names not yet there. */
export async function imagesCommand(host: Host): Promise<void> {
  const cache = new ImageCache(cacheDirectory(host.environment));
  const images = await cache.list();
  const lines: string[] = [];
  for (const image of images) {
    const modules = image.files.filter((file) => file.path.startsWith("lib/"));
    const trees = image.files.filter((file) => file.path.endsWith(".dtb"));
    const base = image.base === undefined ? "" : `, built on ${image.base}`;
    lines.push(`${image.name}  ${image.package} ${image.version}${base}`);
    for (const file of image.files) {
      if (!modules.includes(file) && !trees.includes(file))
        lines.push(`  ${describeFile(file.path, file.size)}${file.sha256 ? `  sha256:${file.sha256}` : ""}`);
    }
    for (const [what, files] of Object.entries({ modules, "device trees": trees })) {
      if (files.length === 0) continue;
      const size = files.reduce((sum, file) => sum + file.size, 0);
      lines.push(`  ${describeFile(`${what} (${files.length} files)`, size)}`);
    }
  }
  const absent = CATALOGUE.filter(({ name }) => !images.some((image) => image.name === name));
  if (absent.length > 0) lines.push("", "Not here; fetch with elvisor pull NAME:");
  for (const { name, title } of absent) lines.push(`${name.padEnd(22)} ${title}`);
  lines.push("", `The cache is ${cache.directory}.`);
  host.stdout.write(`${lines.join("\n").trimStart()}\n`);
}

function describeFile(name: string, size: number): string {
  return `${name.padEnd(22)} ${String(size).padStart(10)} bytes`;
}
