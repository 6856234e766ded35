import { type EntriesOfRegions, type RegionJob, writeRegionModule } from "./region-module.ts";

/** A module of regions, compiled. */
export interface CompiledRegions {
  readonly module: WebAssembly.Module;
  readonly codeBytes: number;
  readonly entries: EntriesOfRegions;
}

/** Writes and compiles modules of regions, on this thread or on another. */
export interface RegionCompiler {
  /** Where it does so, for statistics. */
  readonly place: string;
  /** It has enough to do. */
  readonly isBusy: boolean;
  /**
   * `done` is called once, at once or later, but never while guest code runs on this thread. Undefined: the host does
   * not compile the module, as it is out of memory for code, say.
   */
  compile(job: RegionJob, done: (made: CompiledRegions | undefined) => void): void;
}

/** For hosts' code, which has the host's types only. A module that the host does not compile is an error. */
export function compileModule(bytes: Uint8Array): WebAssembly.Module {
  return new WebAssembly.Module(bytes);
}

export function compileRegions(job: RegionJob): CompiledRegions | undefined {
  const { bytes, entries } = writeRegionModule(job);
  try {
    return { module: new WebAssembly.Module(bytes), codeBytes: bytes.length, entries };
  } catch {
    return undefined;
  }
}

/** Compiles at once, on this thread. */
export const INLINE_COMPILER: RegionCompiler = {
  place: "inline",
  isBusy: false,
  compile(job, done) {
    done(compileRegions(job));
  },
};
