import { bareProgram, vectorTable } from "./runtime.ts";

/** Something to do at a level, and a line about what came of it. */
export interface LevelStep {
  readonly name: string;
  readonly level: 0 | 1 | 2 | 3;
  /** Leaves its result in X0; may use X1 to X8. An instruction that raises an exception is left out. */
  readonly code: string;
}

/** Steps between two literal pools. */
const POOL = 60;

/** X = a constant of 64 bits. */
export function constant(register: string, value: bigint): string {
  return `  ldr ${register}, =0x${BigInt.asUintN(64, value).toString(16)}`;
}

/** MSR of a constant; uses X7. */
export function set(register: string, value: bigint): string {
  return `${constant("x7", value)}\n  msr ${register}, x7`;
}

/**
 * A program that does the steps, asynchronous exceptions masked, and prints for each X0, and the syndrome and the
 * target level of the last exception that was taken. It needs SMC: SCR_EL3.SMD and HCR_EL2.TSC stay clear. X16 to
 * X25 and X27 are its own, X26 is the steps'.
 */
export function stepProgram(setup: string, steps: readonly LevelStep[]): Uint8Array {
  const code = steps.map(({ level, code }, index) => {
    const pool = index % POOL === POOL - 1 ? "  b 3f\n  .ltorg\n3:\n" : "";
    if (level === 3) return `${code}\n  bl report\n${pool}`;
    const status = [0x3c0, 0x3c5, 0x3c9][level]!;
    const back = level === 0 ? "svc #0x77" : "smc #0x77";
    return `  adr x20, 1f\n  mov x21, #${status}\n  bl lower\n  b 2f\n1:\n${code}\n  ${back}\n2: bl report\n${pool}`;
  });
  return bareProgram(`
  adr x0, vectors3
  msr vbar_el3, x0
  adr x0, vectors2
  msr vbar_el2, x0
  adr x0, vectors1
  msr vbar_el1, x0
  mov x22, #0
  mov x23, #0
  b setup
${[1, 2, 3].map((level) => vectorTable(`vectors${level}`, (offset) => vector(level, offset))).join("\n")}
setup:
${setup}
  mov x0, #0
  isb
${code.join("\n")}
  b finish
  .ltorg

lower:
  mov x24, x30
  mov x0, #0
  msr spsr_el3, x21
  msr elr_el3, x20
  eret

report:
  mov x25, x30
  mov x9, x0
  bl hex
  mov x9, x22
  bl hex
  mov x9, x23
  bl hex
  bl newline
  mov x0, #0
  mov x22, #0
  mov x23, #0
  mov x30, x25
  ret
`);
}

function vector(level: number, offset: number): string {
  if (offset % 0x200 !== 0) return "  b .";
  const note = `  mov x22, x16
  mov x23, #${level}
  mrs x16, elr_el${level}
  add x16, x16, #4
  msr elr_el${level}, x16
  eret`;
  const isReturn = (syndrome: string) => `  mrs x16, esr_el${level}\n  ldr w17, =${syndrome}\n  cmp x16, x17`;
  if (level === 3) {
    return `${isReturn("0x5e000077")}\n  b.ne 9f\n  mov x30, x24\n  ret\n9:\n${note}\n  .ltorg`;
  }
  return `${isReturn("0x56000077")}\n  b.ne 9f\n  smc #0x77\n9:\n${note}\n  .ltorg`;
}
