import { hex } from "../base/bits.ts";
import type { ElementView, GuestView } from "./kernel/guest-view.ts";
import type { LinuxKernel } from "./kernel/linux-kernel.ts";
import { type GuestProcess, listModules, listProcesses } from "./kernel/linux-lists.ts";

/** An address in JSON: "0x" and hexadecimal digits. */
export type Address = string;

/** What a look into a guest from outside found, ready for JSON. */
export interface Inspection {
  readonly kernel: { readonly banner: string; readonly base: Address; readonly symbols: number };
  readonly elements: readonly InspectedElement[];
  readonly processes: readonly InspectedProcess[];
  readonly modules: readonly { readonly name: string; readonly base: Address; readonly size: number }[];
  readonly addressSpaces: readonly InspectedSpace[];
}

export interface InspectedElement {
  readonly index: number;
  /** Exception level. */
  readonly level: number;
  readonly pc: Address;
  /** Name and distance, where the kernel's symbols know the place. */
  readonly symbol: string | undefined;
}

export interface InspectedProcess extends Omit<GuestProcess, "tables"> {
  /** Guest-physical address of its translation tables. */
  readonly tables: Address | undefined;
}

/** Translation tables that are in use: of a process, or held in an element's soft TLB. */
export interface InspectedSpace {
  readonly tables: Address;
  readonly processes: readonly string[];
  /** Elements that translate through it at present. */
  readonly elements: readonly number[];
  /** ASIDs by which soft TLBs know it; only with shadow tables. */
  readonly asids: readonly number[];
}

/** Looks into a guest. It is not touched by that. */
export function inspectGuest(view: GuestView, kernel: LinuxKernel): Inspection {
  const processes = listProcesses(kernel);
  return {
    kernel: { banner: kernel.banner, base: hex(kernel.base), symbols: kernel.symbols.length },
    elements: view.elements.map(({ index, level, pc }) => ({
      ...{ index, level, pc: hex(pc) },
      symbol: level === 0 ? undefined : kernel.symbolise(pc),
    })),
    processes: processes.map((process) => ({
      ...process,
      tables: process.tables === undefined ? undefined : hex(process.tables),
    })),
    modules: listModules(kernel).map((module) => ({ ...module, base: hex(module.base) })),
    addressSpaces: addressSpaces(view, processes),
  };
}

const TABLE_ADDRESS = 0xffff_ffff_f000n;

function addressSpaces({ elements }: GuestView, processes: readonly GuestProcess[]): InspectedSpace[] {
  const spaces = new Map<number, { processes: string[]; elements: number[]; asids: Set<number> }>();
  const at = (tables: number) => {
    let space = spaces.get(tables);
    if (space === undefined) {
      space = { processes: [], elements: [], asids: new Set() };
      spaces.set(tables, space);
    }
    return space;
  };
  for (const { pid, name, tables } of processes) {
    if (tables !== undefined) at(tables).processes.push(`${name} (${pid})`);
  }
  for (const element of elements) {
    at(tablesOf(element)).elements.push(element.index);
    for (const { lowerTables, asid } of element.addressSpaces()) {
      if (lowerTables !== 0) at(lowerTables).asids.add(asid);
    }
  }
  return [...spaces].map(([tables, { asids, ...space }]) => ({
    tables: hex(tables),
    ...space,
    asids: [...asids].sort((one, other) => one - other),
  }));
}

function tablesOf({ lowerTables }: ElementView): number {
  return Number(lowerTables & TABLE_ADDRESS);
}
