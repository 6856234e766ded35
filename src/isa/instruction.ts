import type { Operand } from "./operands.ts";
import type { Semantics } from "./semantics.ts";

/** Field names of an encoding pattern such as `"sf:1 0 S:1 100010 imm12:12 Rn:5 Rd:5"`. */
export type FieldNames<P extends string> = P extends `${infer Head} ${infer Rest}`
  ? FieldName<Head> | FieldNames<Rest>
  : FieldName<P>;
type FieldName<T extends string> = T extends `${infer Name}:${string}` ? Name : never;

/** The unsigned value of each named field. */
export type Fields<P extends string> = { readonly [K in FieldNames<P>]: number };

/** The architecture features a row may need; rows without one are Armv8.0-A. */
export type Feature = `FEAT_${string}`;

/**
 * One row of the instruction table. Decoder, assembler, disassembler, interpreter, translator, fuzzer and
 * reference all read it; nothing about an instruction is written anywhere else.
 */
export interface InstructionDefinition<P extends string = string, O extends object = object> {
  /** Unique, Arm's encoding name where it has one: "ADD_addsub_imm". */
  readonly name: string;
  /**
   * The 32 bits from 31 down to 0, separated by blanks: literal bits, `x` for ignored bits, and `name:width`.
   * Widths sum to 32. The same name may not occur twice.
   */
  readonly encoding: P;
  /**
   * Assembly in GNU syntax without aliases (see assembly.ts for the language). Where the form depends on
   * fields in a way the language cannot say, give several templates with a `when`.
   */
  readonly assembly: string | readonly { when: (fields: Fields<P>) => boolean; template: string }[];
  /** Section of the Arm Architecture Reference Manual (DDI 0487), for instance "C6.2.4 ADD (immediate)". */
  readonly manual: string;
  /** Feature that must be implemented, else the row is UNDEFINED. */
  readonly feature?: Feature;
  /** True for rows that touch SIMD and floating-point state: they trap when CPACR_EL1 and siblings say so. */
  readonly simd?: boolean;
  /** Further condition for this row to match at all; otherwise the decoder looks at later rows. */
  readonly where?: (fields: Fields<P>) => boolean;
  /** Names the operands. `undefined` means that this encoding is unallocated: UNDEFINED. */
  readonly operands?: (fields: Fields<P>) => O | undefined;
  /** The meaning. A row without it is a later extension, not implemented: UNDEFINED. */
  readonly execute?: (operands: O, s: Semantics) => void;
}

/** The same with its type parameters hidden, as the table keeps it. */
export interface Instruction {
  readonly name: string;
  readonly encoding: string;
  readonly assembly: string | readonly { when: (fields: FieldValues) => boolean; template: string }[];
  readonly manual: string;
  readonly feature: Feature | undefined;
  readonly simd: boolean;
  readonly where: ((fields: FieldValues) => boolean) | undefined;
  readonly operands: ((fields: FieldValues) => OperandValues | undefined) | undefined;
  readonly execute: ((operands: OperandValues, s: Semantics) => void) | undefined;
}

/** Unsigned field values by name. */
export type FieldValues = Readonly<Record<string, number>>;
/** Operands by name. */
export type OperandValues = Readonly<Record<string, Operand>>;

/** Declares one row; field names and operand names are checked by the compiler. */
export function instruction<const P extends string, O extends { readonly [K in keyof O]: Operand }>(
  definition: InstructionDefinition<P, O>,
): Instruction {
  // The table forgets which fields and operands each row has; the row itself was checked just here.
  const row = definition as unknown as Instruction;
  return { ...row, simd: definition.simd ?? false };
}
