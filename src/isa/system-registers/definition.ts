import { MASK64 } from "../../base/bits.ts";
import type { Feature } from "../instruction.ts";

/** A field's highest and lowest bit, or its only bit. */
export type BitRange = readonly [high: number, low: number] | number;
/** Fields by name. */
export type FieldMap = Readonly<Record<string, BitRange>>;

/** op0, op1, CRn, CRm, op2, as in MRS and MSR. */
export type Encoding = readonly [op0: number, op1: number, crn: number, crm: number, op2: number];

/**
 * Where a register's value lives.
 * - slot: a u64 in the processing element's block, at the register's place in the table.
 * - computed: the processor gives it a reader and a writer by name.
 * - alias: another name of a register, subject to its own access rules (`*_EL12`, `*_EL02`).
 * - interruptController: the GIC's CPU interface.
 * - zero: reads as zero, ignores writes.
 * - absent: the place is reserved for a facility of this product that is not implemented yet: UNDEFINED.
 */
export type Storage = "slot" | "computed" | "alias" | "interruptController" | "zero" | "absent";

/** What must be looked at again after a write. */
export type Affects =
  | "translation"
  | "interrupts"
  | "floatingPoint"
  | "debug"
  | "counters"
  | "timers"
  | "byteOrder";

export type ExceptionLevel = 0 | 1 | 2 | 3;

/** One row: everything there is to know about a system register, the traps of the trap table aside. */
export interface SystemRegister<N extends string = string, S extends Storage = Storage> {
  /** Arm's name. */
  readonly name: N;
  /** Bits 20:5 of the MRS or MSR word: op0, op1, CRn, CRm, op2. */
  readonly encoding: number;
  readonly storage: S;
  readonly access: "RW" | "RO" | "WO";
  /** Lowest exception level from which the register exists. */
  readonly level: ExceptionLevel;
  /** The same for writes, where that differs (TPIDRRO_EL0). */
  readonly writeLevel: ExceptionLevel;
  readonly fields: FieldMap;
  /** Bits that keep what is written; all others read as zero or, where in `ones`, as one. */
  readonly writable: bigint;
  /** RES1 bits. */
  readonly ones: bigint;
  /** Value after a cold reset (identification registers: computed from the features). */
  readonly reset: bigint;
  /** Implemented only together with this feature. */
  readonly feature: Feature | undefined;
  /** For aliases, the register meant. */
  readonly of: string | undefined;
  readonly affects: readonly Affects[];
}

/** What most registers leave at its default; see {@link SystemRegister}. */
export interface RegisterOptions {
  readonly access?: "RW" | "RO" | "WO";
  readonly level?: ExceptionLevel;
  readonly writeLevel?: ExceptionLevel;
  readonly fields?: FieldMap;
  /** When not given: the union of the fields or, without fields, all 64 bits. */
  readonly writable?: bigint;
  readonly ones?: bigint;
  readonly reset?: bigint;
  readonly feature?: Feature;
  readonly affects?: readonly Affects[];
}

/** op0, op1, CRn, CRm, op2 as bits 20:5 of the instruction word (op0's upper bit is always 1). */
export function encodeRegister([op0, op1, crn, crm, op2]: Encoding): number {
  return (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;
}

/** op0, op1, CRn, CRm and op2 of bits 20:5 of the instruction word. */
export function decodeRegister(encoding: number): Encoding {
  return [
    (encoding >> 14) & 3,
    (encoding >> 11) & 7,
    (encoding >> 7) & 15,
    (encoding >> 3) & 15,
    encoding & 7,
  ];
}

const LEVEL_OF_OP1 = [1, 1, 1, 0, 2, 2, 3, 1] as const satisfies readonly ExceptionLevel[];

/** The architecture's rule for the level from which an encoding may be reached, by op1. */
export function levelOf([, op1]: Encoding): ExceptionLevel {
  return LEVEL_OF_OP1[op1] ?? 1;
}

/** The bits that a field occupies. */
export function fieldMask(range: BitRange): bigint {
  const [high, low] = typeof range === "number" ? [range, range] : range;
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

/** A row; {@link slot}, {@link computed} and {@link alias} are shorter forms. */
export function register<const N extends string, S extends Storage>(
  name: N,
  storage: S,
  place: Encoding,
  options: RegisterOptions = {},
  of?: string,
): SystemRegister<N, S> {
  const fields = options.fields ?? {};
  const ranges = Object.values(fields);
  const ofFields = ranges.reduce<bigint>((mask, range) => mask | fieldMask(range), 0n);
  const level = options.level ?? levelOf(place);
  return {
    name,
    storage,
    encoding: encodeRegister(place),
    access: options.access ?? "RW",
    level,
    writeLevel: options.writeLevel ?? level,
    fields,
    writable: options.writable ?? (ranges.length > 0 ? ofFields : MASK64),
    ones: options.ones ?? 0n,
    reset: options.reset ?? 0n,
    feature: options.feature,
    of,
    affects: options.affects ?? [],
  };
}

/** A register with storage of its own. */
export function slot<const N extends string>(name: N, place: Encoding, options?: RegisterOptions) {
  return register(name, "slot", place, options);
}

/** A register that the processor computes. */
export function computed<const N extends string>(name: N, place: Encoding, options?: RegisterOptions) {
  return register(name, "computed", place, options);
}

/** A second name. */
export function alias<const N extends string>(
  name: N,
  place: Encoding,
  of: string,
  options?: RegisterOptions,
) {
  return register(name, "alias", place, options, of);
}

/** Bits as a mask: `mask(29, 28)`. */
export function mask(...bits: number[]): bigint {
  return bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
}
