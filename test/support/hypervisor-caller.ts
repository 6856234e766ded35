import { bareProgram } from "./bare-program.ts";

/** X0 to X3 of one call. */
export type HypervisorCall = readonly [bigint, bigint, bigint, bigint];

/**
 * A program that makes these calls by HVC and prints X0 after each. Its table is a count and, for each call,
 * X0 to X3.
 */
export function hypervisorCaller(calls: readonly HypervisorCall[]): Uint8Array {
  const table = [BigInt(calls.length), ...calls.flat()];
  return bareProgram(
    `
        adr x19, table
        ldr x21, [x19], #8
1:      cbz x21, finish
        ldp x0, x1, [x19], #16
        ldp x2, x3, [x19], #16
        hvc #0
        mov x9, x0
        bl print
        sub x21, x21, #1
        b 1b
`,
    `table:\n${table.map((value) => `.quad 0x${BigInt.asUintN(64, value).toString(16)}`).join("\n")}`,
  );
}
