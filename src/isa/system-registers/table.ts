import { Bug } from "../../base/errors.ts";
import { CONTROL_REGISTERS } from "./control.ts";
import { DEBUG_REGISTERS } from "./debug.ts";
import type { FieldMap, SystemRegister } from "./definition.ts";
import { EXCEPTION_REGISTERS } from "./exceptions.ts";
import { IDENTIFICATION_REGISTERS, RESERVED_IDENTIFICATION_REGISTERS } from "./identification.ts";
import { IMPLEMENTATION_DEFINED_REGISTERS } from "./implementation-defined.ts";
import { INTERRUPT_CONTROLLER_REGISTERS } from "./interrupt-controller.ts";
import { PERFORMANCE_MONITOR_REGISTERS } from "./performance-monitors.ts";
import { TIMER_REGISTERS } from "./timers.ts";

const NAMED_ROWS = [
  ...CONTROL_REGISTERS,
  ...EXCEPTION_REGISTERS,
  ...IDENTIFICATION_REGISTERS,
  ...TIMER_REGISTERS,
  ...DEBUG_REGISTERS,
  ...PERFORMANCE_MONITOR_REGISTERS,
  ...INTERRUPT_CONTROLLER_REGISTERS,
  ...IMPLEMENTATION_DEFINED_REGISTERS,
] as const;

type NamedRow = (typeof NAMED_ROWS)[number];
/** Every system register that has a name of its own. */
export type SystemRegisterName = NamedRow["name"];
/** Those with a u64 in the processing element's block. */
export type StoredRegisterName = Extract<NamedRow, { storage: "slot" | "computed" }>["name"];
/** Those whose reading and writing the processor defines. */
export type ComputedRegisterName = Extract<NamedRow, { storage: "computed" }>["name"];

/** Every system register, each encoding once. */
export const SYSTEM_REGISTERS: readonly SystemRegister[] = [
  ...NAMED_ROWS,
  ...RESERVED_IDENTIFICATION_REGISTERS,
];

/** By encoding (16 bits: op0, op1, CRn, CRm, op2). */
export const REGISTER_BY_ENCODING: ReadonlyMap<number, SystemRegister> = indexBy((row) => row.encoding);

const BY_NAME: ReadonlyMap<string, SystemRegister> = indexBy((row) => row.name);

const STORED: readonly SystemRegister[] = SYSTEM_REGISTERS.filter(
  (row) => row.storage === "slot" || row.storage === "computed",
);

const INDICES: ReadonlyMap<string, number> = new Map(STORED.map((row, index) => [row.name, index]));

/** How many u64 slots the table needs. */
export const SYSTEM_REGISTER_SLOTS = STORED.length;

/** The row of a register. */
export function systemRegister(name: SystemRegisterName): SystemRegister {
  return registerNamed(name);
}

/** The same for a name found in data. */
export function registerNamed(name: string): SystemRegister {
  const row = BY_NAME.get(name);
  if (row === undefined) throw new Bug(`no system register is called ${name}`);
  return row;
}

/** Place of a register's u64: it is 8 * index bytes behind PE_LAYOUT.SYSTEM_REGISTERS. */
export function registerIndex(name: StoredRegisterName): number {
  return indexOf(BY_NAME.get(name)) ?? missingSlot(name);
}

/** The same for a row; undefined where the row has no storage of its own. */
export function indexOf(row: SystemRegister | undefined): number | undefined {
  return row && INDICES.get(row.name);
}

/** Highest and lowest bit of a register's field. */
export function fieldOf(name: string, field: string): readonly [high: number, low: number] {
  const fields: FieldMap = registerNamed(name).fields;
  const range = fields[field];
  if (range === undefined) throw new Bug(`${name} has no field ${field}`);
  return typeof range === "number" ? [range, range] : range;
}

function missingSlot(name: string): never {
  throw new Bug(`${name} has no storage`);
}

function indexBy<K>(key: (row: SystemRegister) => K): ReadonlyMap<K, SystemRegister> {
  const index = new Map<K, SystemRegister>();
  for (const row of SYSTEM_REGISTERS) {
    if (index.has(key(row))) throw new Bug(`the system registers repeat ${String(key(row))} (${row.name})`);
    index.set(key(row), row);
  }
  return index;
}
