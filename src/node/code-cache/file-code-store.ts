import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CodeParameters, CodeStore, KeptModule } from "../../engine/translator/code-cache.ts";
import { compileModule } from "../../engine/translator/region-compiler.ts";
import type { RegionDescription } from "../../engine/translator/region-description.ts";
import { readCacheFile, writeCacheFile } from "./cache-file.ts";
import {
  codeDirectory,
  filesOf,
  limitSize,
  MOST_CACHE_BYTES,
  NOTES_NAME,
  type Notes,
  newName,
  PACK_NAME,
  type Pack,
  type PackedModule,
  touch,
} from "./code-directory.ts";
import { checkPack } from "./make-pack.ts";
import { nativeCode } from "./native-code.ts";

/** With fewer new regions than this nothing is made yet. */
const WORTH_PACKING = 32;

/** Starts what makes modules of the notes in a directory. */
export type Packer = (directory: string) => void;

/** A process of low priority, which goes on when this one ends. */
export const startPackProcess: Packer = (directory) => {
  const built = import.meta.url.endsWith(".ts") ? "../../../dist/src/node/code-cache/" : "./";
  const program = fileURLToPath(new URL(`${built}pack-process.js`, import.meta.url));
  const child = spawn(process.execPath, [program, directory], { detached: true, stdio: "ignore" });
  child.on("error", () => {});
  child.unref();
};

/** The cache as files below a directory; any number of processes may use it. */
export class FileCodeStore implements CodeStore {
  readonly #root: string;
  readonly #pack: Packer;
  readonly #check: boolean;
  refused = 0;

  /** `check`: all modules are written again, and compared. */
  constructor(root: string, { pack, check = false }: { readonly pack: Packer; readonly check?: boolean }) {
    this.#root = root;
    this.#pack = pack;
    this.#check = check;
  }

  load(parameters: CodeParameters): KeptModule[] {
    return filesOf(codeDirectory(this.#root, parameters), PACK_NAME).flatMap((path) => {
      // The digest says that it is what Pack's writer wrote.
      const pack = readCacheFile(path) as Pack | undefined;
      if (pack === undefined) {
        this.refused++;
        return [];
      }
      if (this.#check) checkPack(pack);
      let isUsed = false;
      const onUse = (): void => {
        if (!isUsed) touch(path);
        isUsed = true;
      };
      return pack.modules.flatMap((module) => this.#module(module, onUse));
    });
  }

  #module({ bytes, native, regions }: PackedModule, onUse: () => void): KeptModule[] {
    try {
      const restored = native && nativeCode()?.restore(native, bytes);
      return [{ module: restored ?? compileModule(bytes), codeBytes: bytes.length, regions, onUse }];
    } catch {
      this.refused++;
      return [];
    }
  }

  save(parameters: CodeParameters, regions: readonly RegionDescription[]): void {
    const directory = codeDirectory(this.#root, parameters);
    try {
      writeCacheFile(join(directory, newName(NOTES_NAME)), { parameters, regions } satisfies Notes);
      limitSize(this.#root, MOST_CACHE_BYTES);
      if (regions.length >= WORTH_PACKING) this.#pack(directory);
    } catch {
      // A full disk or a directory that is not ours: the next machine starts cold.
    }
  }
}
