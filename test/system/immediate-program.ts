import { bareProgram, vectorTable } from "./runtime.ts";

/**
 * A program that executes BRK with all 65,536 immediates at EL1 and EL0, then HLT with all of them, and prints for each
 * of the four a hash over level, syndrome and return address of every exception, in order.
 */
export function immediateProgram(): Uint8Array {
  return bareProgram(`
  adr x0, vectors1
  msr vbar_el1, x0
  msr vbar_el3, x0
  mov x0, #0x401
  msr scr_el3, x0
  movz x0, #0x8000, lsl #16
  msr hcr_el2, x0
  ldr x0, =0x30d00980
  msr sctlr_el1, x0
  isb
${[
  ["0xd4200000", 1],
  ["0xd4200000", 0],
  ["0xd4400000", 1],
  ["0xd4400000", 0],
]
  .map(([word, level], index) => run(String(word), Number(level), index))
  .join("\n")}
  b finish
  .ltorg
hash:
  // X20 = (X20 rotated + X9) * an odd constant.
  ror x20, x20, #23
  add x20, x20, x9
  ldr x10, =0x9e3779b97f4a7c15
  mul x20, x20, x10
  ret
  .ltorg
  .balign 64
slot:
  nop
  ret
${vectorTable("vectors1", (offset) => ((offset & 0x180) === 0 ? "  b taken" : "  b finish"))}
taken:
  mrs x15, currentel
  cmp x15, #12
  b.eq from_below
  mov x16, x30
  mrs x9, esr_el1
  bl hash
  mrs x9, elr_el1
  bl hash
  mrs x9, spsr_el1
  bl hash
  mov x30, x16
  // Each run ends by SMC, which is told apart by X21.
  mrs x9, elr_el1
  add x9, x9, #4
  msr elr_el1, x9
  lsr x9, x21, #16
  cbnz x9, up
  eret
up:
  smc #0
from_below:
  br x22
`);
}

function run(word: string, level: number, index: number): string {
  return `
  mov x20, #0
  mov x21, #0
  adr x22, done_${index}
  mov x0, #0x3c0 + ${level === 1 ? 5 : 0}
  msr spsr_el3, x0
  adr x0, loop_${index}
  msr elr_el3, x0
  isb
  eret
loop_${index}:
  ldr w2, =${word}
  orr w2, w2, w21, lsl #5
  adr x3, slot
  str w2, [x3]
  dsb sy
  isb
  bl slot
  add x21, x21, #1
  lsr x2, x21, #16
  cbz x2, loop_${index}
  // One more, which the handler takes to EL3.
  brk #0
done_${index}:
  mov x9, x20
  bl hex
  bl newline
`;
}
