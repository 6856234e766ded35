import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { deserialize, serialize } from "node:v8";
import { Bug } from "../../base/errors.ts";
import { makeCompileService } from "../../engine/instruction-set.ts";
import { keptRegion } from "../../engine/translator/cached-region.ts";
import type { CodeParameters } from "../../engine/translator/code-cache.ts";
import type { JobDescription, RegionDescription } from "../../engine/translator/region-description.ts";
import { tryLock } from "../file-lock.ts";
import { readCacheFile, writeCacheFile } from "./cache-file.ts";
import {
  filesOf,
  limitSize,
  MOST_DIRECTORY_BYTES,
  NOTES_NAME,
  type Notes,
  newName,
  PACK_NAME,
  type Pack,
  type PackedModule,
} from "./code-directory.ts";
import { compileOptimized, nativeCode } from "./native-code.ts";

/** Regions of one module. */
const MODULE_REGIONS = 64;
/** Held by the process that makes a pack. */
export const LOCK = "packing.lock";

/** What a module of regions is made from. */
export function packJob(parameters: CodeParameters, regions: readonly RegionDescription[]): JobDescription {
  const { memoryPages, tracksRegisters, element } = parameters;
  return { memoryPages, tracksRegisters, regions: regions.map((region) => ({ region, element })) };
}

/**
 * Makes modules of what machines noted in a directory of the cache. `native`: with the host's code, which takes seconds and
 * needs a process of its own. One process at a time does so; false where another does.
 */
export function makePack(directory: string, options: { readonly native: boolean }): boolean {
  const lock = tryLock(join(directory, LOCK));
  if ("heldBy" in lock) return false;
  try {
    const files = filesOf(directory, NOTES_NAME);
    const notes = files.flatMap((path) => {
      // Only files with our own digest are read; what is in them was written by Notes' writer.
      const content = readCacheFile(path) as Notes | undefined;
      return content === undefined ? [] : [content];
    });
    const known = new Set<string>();
    for (const path of filesOf(directory, PACK_NAME)) {
      const pack = readCacheFile(path) as Pack | undefined;
      for (const module of pack?.modules ?? []) {
        for (const region of sourcesOf(module)) known.add(nameOf(region));
      }
    }
    const [first] = notes;
    const regions = notes.flatMap((content) => content.regions.filter((region) => isNew(known, region)));
    if (first !== undefined && regions.length > 0) {
      const { parameters } = first;
      const modules = packedModules(parameters, regions);
      const path = join(directory, newName(PACK_NAME));
      writeCacheFile(path, { parameters, modules } satisfies Pack);
      for (const file of files) rmSync(file, { force: true });
      // What comes now takes long, and V8 may end the process: what there is can be used meanwhile.
      if (options.native)
        writeCacheFile(path, { parameters, modules: modules.map(withNative) } satisfies Pack);
    }
    for (const file of files) rmSync(file, { force: true });
    limitSize(directory, MOST_DIRECTORY_BYTES);
    return true;
  } finally {
    lock.release();
  }
}

/** What a module was made from. */
export function sourcesOf({ sources }: PackedModule): readonly RegionDescription[] {
  // Its own digest is the file's.
  return deserialize(sources) as readonly RegionDescription[];
}

/** Throws a Bug where a module is not what would be written today. */
export function checkPack({ parameters, modules }: Pack): void {
  const service = makeCompileService();
  for (const module of modules) {
    const sources = sourcesOf(module);
    const { bytes, entries } = service.write(packJob(parameters, sources));
    const regions = sources.map((region, position) => keptRegion(region, entries[position]));
    const isSame = Buffer.compare(bytes, module.bytes) === 0 && isDeepStrictEqual(regions, module.regions);
    if (!isSame) throw new Bug("the code cache has a module that would be written otherwise today");
  }
}

function isNew(known: Set<string>, region: RegionDescription): boolean {
  const name = nameOf(region);
  if (known.has(name)) return false;
  known.add(name);
  return true;
}

/** Where the code lay in some machine is no part of what it is. */
function nameOf({ entry, entries, pages, blocks, words }: RegionDescription): string {
  const deltas = pages.map(({ delta }) => delta);
  return createHash("sha256").update(serialize({ entry, entries, deltas, blocks, words })).digest("base64");
}

function packedModules(parameters: CodeParameters, regions: readonly RegionDescription[]): PackedModule[] {
  const service = makeCompileService();
  const modules: PackedModule[] = [];
  for (let at = 0; at < regions.length; at += MODULE_REGIONS) {
    const part = regions.slice(at, at + MODULE_REGIONS);
    const { bytes, entries } = service.write(packJob(parameters, part));
    modules.push({
      bytes: bytes.slice(),
      native: undefined,
      regions: part.map((region, position) => keptRegion(region, entries[position])),
      sources: serialize(part),
    });
  }
  return modules;
}

function withNative(module: PackedModule): PackedModule {
  return { ...module, native: nativeCode()?.take(compileOptimized(module.bytes)) };
}
