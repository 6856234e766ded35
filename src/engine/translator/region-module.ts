import { ModuleWriter } from "../../wasm/module-writer.ts";
import { importRuntimeFunctions, REGION_SIGNATURE, translatorImports } from "../interpreter/core-module.ts";
import type { HandlerImports } from "../interpreter/handler-frame.ts";
import type { Handler } from "../interpreter/handler-set.ts";
import type { EntryWords } from "./entry-tables.ts";
import type { Region } from "./region.ts";
import { RegionEmitter, usesFloatingPointControl } from "./region-emitter.ts";

/** Regions that are to become one module. */
export interface RegionJob {
  /** Of linear memory, 64 KiB each. */
  readonly memoryPages: number;
  /** Guest registers stay in locals from block to block (row P1). */
  readonly tracksRegisters: boolean;
  readonly regions: readonly RegionOrder[];
}

export interface RegionOrder {
  readonly region: Region;
  /** The base of the one processing element that will ever run it; undefined where there are several. */
  readonly element: number | undefined;
}

/** For each region in its order: the entries that it needs a table of, undefined where it has one only. */
export type EntriesOfRegions = readonly (EntryWords | undefined)[];

/** The name under which a module exports the region at a position of its job. */
export function regionName(position: number): string {
  return `r${position}`;
}

/**
 * What a region needs to know of the machine that it runs in, as globals that its module exports: they are set before
 * the region is entered. So one module serves wherever the same code lies.
 */
export const REGION_VARIABLES = {
  /** The address of the region's table of entries, minus its first word. */
  entryTable: (position: number): string => `r${position} entries`,
  /** The address of the records of the page that lies `delta` bytes from the beginning's. */
  pageRecords: (position: number, delta: number): string => `r${position} page ${delta}`,
} as const;

/** One WebAssembly module with a function for each region. */
export function writeRegionModule(job: RegionJob): { bytes: Uint8Array; entries: EntriesOfRegions } {
  const module = new ModuleWriter();
  const imports = translatorImports(module, job.memoryPages);
  importRuntimeFunctions(imports, handlersOf(job));
  const entries = job.regions.map((order, position) => writeRegion(module, imports, job, order, position));
  return { bytes: module.finish(), entries };
}

function handlersOf({ regions }: RegionJob): ReadonlySet<Handler> {
  const handlers = new Set<Handler>();
  for (const { region } of regions) {
    for (const { instructions } of region.blocks.values()) {
      for (const { known } of instructions) handlers.add(known.handler);
    }
  }
  return handlers;
}

/** Adds the region's function to the module, and where that leaves cases to another one that function. */
function writeRegion(
  module: ModuleWriter,
  imports: HandlerImports,
  { tracksRegisters }: RegionJob,
  { region, element }: RegionOrder,
  position: number,
): EntryWords | undefined {
  const usual = module.function(REGION_SIGNATURE, regionName(position));
  const unusual = usesFloatingPointControl(region) ? module.function(REGION_SIGNATURE) : undefined;
  const variables = new Map<string, number>();
  const variable = (name: string): number => {
    const index = variables.get(name) ?? module.variable(name);
    variables.set(name, index);
    return index;
  };
  const common = {
    tracksRegisters,
    element,
    entryTable: () => variable(REGION_VARIABLES.entryTable(position)),
    pageRecords: (delta: number) => variable(REGION_VARIABLES.pageRecords(position, delta)),
  };
  const emitter = new RegionEmitter(usual.body, imports, region, { ...common, unusual: unusual?.index });
  emitter.emit();
  if (unusual !== undefined) {
    new RegionEmitter(unusual.body, imports, region, { ...common, unusual: undefined }).emit();
  }
  return emitter.entryWords;
}
