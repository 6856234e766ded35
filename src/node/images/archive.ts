import { createReadStream } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { ImageDescription } from "./catalogue.ts";
import { compressionOf, decompress } from "./compression.ts";
import { PackageUniverse } from "./debian/package-universe.ts";
import { download, type Progress } from "./download.ts";
import { httpGetBytes, NetworkError } from "./http.ts";
import type { ArchiveSuite, Mirror } from "./mirror.ts";
import { newest, type PackageRecord, selectPackages } from "./packages-index.ts";
import { parseRelease, type Release } from "./release.ts";
import { type SignatureSettings, signedText } from "./signature.ts";

/** The guest's architecture, whatever the host's is. */
const ARCHITECTURE = "arm64";
const RELEASE_LIMIT = 4 * 2 ** 20;

/** A package and where it lies. */
export interface FoundPackage extends PackageRecord {
  readonly url: string;
}

/** A Debian archive as one run of the program sees it: each suite's signed index is fetched once. */
export class Archive {
  readonly #mirror: Mirror;
  readonly #signatures: SignatureSettings;
  readonly #listDirectory: string;
  readonly #progress: Progress;
  readonly #lists = new Set<string>();
  readonly #releases = new Map<ArchiveSuite, Promise<Release | undefined>>();

  /** `listDirectory` keeps the lists of packages between runs. */
  constructor(mirror: Mirror, signatures: SignatureSettings, listDirectory: string, progress: Progress) {
    this.#mirror = mirror;
    this.#signatures = signatures;
    this.#listDirectory = listDirectory;
    this.#progress = progress;
  }

  /** The newest package for `image`: in what is configured, else in the releases that are known to have it. */
  async find(image: ImageDescription): Promise<FoundPackage> {
    const { suites, namedBy } = this.#mirror;
    const stages = [
      suites.filter((suite) => !suite.optional),
      ...image.releases.map((release) =>
        suites.filter((suite) => suite.optional && suite.suite.replace(/-.*/, "") === release),
      ),
    ];
    let reached = 0;
    let firstError: unknown;
    for (const stage of stages) {
      const found: FoundPackage[] = [];
      for (const suite of stage) {
        try {
          const packages = await this.#search(suite, image);
          if (packages === undefined) continue;
          reached++;
          found.push(...packages);
        } catch (error) {
          if (!suite.optional || !(error instanceof NetworkError)) throw error;
          firstError ??= error;
        }
      }
      const best = newest(found);
      if (best !== undefined) return best;
    }
    if (reached === 0 && firstError !== undefined) throw firstError;
    throw new UserError(
      `No package for ${image.name} is in the Debian mirror that ${namedBy} names; name another one with --mirror URL.`,
    );
  }

  /** All packages of a release, from its own suite and those beside it; backports stay out. */
  async universe(release: string): Promise<PackageUniverse> {
    const universe = new PackageUniverse();
    let firstError: unknown;
    for (const suite of this.#mirror.suites) {
      if (suite.suite.replace(/-.*/, "") !== release || suite.suite.endsWith("-backports")) continue;
      try {
        const list = await this.#list(suite);
        if (list === undefined) continue;
        await universe.add(decompress(createReadStream(list), compressionOf(list)), suite.url);
      } catch (error) {
        if (!suite.optional || !(error instanceof NetworkError)) throw error;
        firstError ??= error;
      }
    }
    if (universe.size > 0) return universe;
    throw (
      firstError ??
      new UserError(
        `Debian's release ${release} is not in the mirror that ${this.#mirror.namedBy} names; name another one with --mirror URL.`,
      )
    );
  }

  /** Removes the lists that this run did not need: newer ones have taken their places. */
  async forgetOtherLists(): Promise<void> {
    for (const name of await readdir(this.#listDirectory)) {
      if (!this.#lists.has(name)) await rm(join(this.#listDirectory, name), { force: true });
    }
  }

  async #search(suite: ArchiveSuite, image: ImageDescription): Promise<FoundPackage[] | undefined> {
    const list = await this.#list(suite);
    if (list === undefined) return undefined;
    const records = await selectPackages(decompress(createReadStream(list), compressionOf(list)), (name) =>
      image.packageName.test(name),
    );
    return records.map((record) => ({ ...record, url: `${suite.url}/${record.path}` }));
  }

  /** The suite's list of packages as a file; undefined where the mirror does not have an optional suite. */
  async #list(suite: ArchiveSuite): Promise<string | undefined> {
    let pending = this.#releases.get(suite);
    if (pending === undefined) {
      pending = this.#fetchRelease(suite);
      this.#releases.set(suite, pending);
    }
    const release = await pending;
    if (release === undefined) return undefined;
    const list = await this.#fetchList(suite, release);
    this.#lists.add(basename(list));
    return list;
  }

  /** undefined where the mirror does not have an optional suite. */
  async #fetchRelease(suite: ArchiveSuite): Promise<Release | undefined> {
    const address = `${suite.url}/dists/${suite.suite}/InRelease`;
    let signed: Uint8Array;
    try {
      signed = await httpGetBytes(address, RELEASE_LIMIT);
    } catch (error) {
      if (suite.optional && error instanceof NetworkError && error.status === 404) return undefined;
      throw error;
    }
    const release = parseRelease(await signedText(signed, address, this.#signatures), address);
    if (release.validUntil !== undefined && release.validUntil < Date.now()) {
      this.#progress.say(
        `${address} should not be used after ${new Date(release.validUntil).toISOString()}; the mirror may be old.`,
      );
    }
    return release;
  }

  async #fetchList(suite: ArchiveSuite, release: Release): Promise<string> {
    const directory = `main/binary-${ARCHITECTURE}`;
    for (const name of ["Packages.xz", "Packages.gz", "Packages"]) {
      const file = release.files.get(`${directory}/${name}`);
      if (file === undefined) continue;
      const base = `${suite.url}/dists/${suite.suite}/${directory}`;
      const target = join(this.#listDirectory, `${file.sha256}-${name}`);
      const request = { ...file, target, label: `list of packages of ${suite.suite}` };
      if (release.byHash) {
        try {
          await download({ ...request, url: `${base}/by-hash/SHA256/${file.sha256}` }, this.#progress);
          return target;
        } catch (error) {
          if (!(error instanceof NetworkError) || error.status !== 404) throw error;
        }
      }
      await download({ ...request, url: `${base}/${name}` }, this.#progress);
      return target;
    }
    throw new UserError(
      `${suite.url} lists no packages for ${ARCHITECTURE} in ${suite.suite}; name another mirror with --mirror URL.`,
    );
  }
}
