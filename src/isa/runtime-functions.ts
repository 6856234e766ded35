import type { ValueType } from "../wasm/opcodes.ts";
import { CHECKSUM_FUNCTIONS } from "./runtime/checksum-functions.ts";
import { FLOATING_POINT_FUNCTIONS } from "./runtime/floating-point-functions.ts";

/** Floating-point control and status, as a runtime function sees them. */
export interface FloatingPointContext {
  /** FPCR as written by the guest. */
  readonly control: number;
  /** Sets cumulative bits of FPSR (IOC 1, DZC 2, OFC 4, UFC 8, IXC 16, IDC 128, QC 1 << 27). */
  raise(flags: number): void;
}

/**
 * A function that meanings may call: too long for generated code, executed in TypeScript. It knows only its
 * arguments and the floating-point context. i64 values are bigints (any representative modulo 2^64 is
 * accepted, results are taken modulo 2^64), i32 and floats are numbers.
 */
export interface RuntimeFunction {
  readonly operands: readonly ValueType[];
  readonly result: ValueType;
  readonly run: (context: FloatingPointContext, ...operands: never[]) => number | bigint;
}

/** All of them, by name. */
export const RUNTIME_FUNCTIONS = {
  ...FLOATING_POINT_FUNCTIONS,
  ...CHECKSUM_FUNCTIONS,
} as const satisfies Record<string, RuntimeFunction>;

export type RuntimeFunctions = typeof RUNTIME_FUNCTIONS;
export type RuntimeFunctionName = keyof RuntimeFunctions;
