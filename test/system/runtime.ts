import { assemble } from "../../src/isa/assembler.ts";

/** Where bare programs are loaded and start, at the highest exception level, MMU off. */
export const PROGRAM_ADDRESS = 0x4020_0000n;

/** What a program prints last. */
export const END_OF_OUTPUT = "== end ==";

/**
 * Subroutines that every program has. They use X9 to X15 and X30 only, and the PL011 at its place on `virt`.
 * - `print`: the NUL-terminated text at X9.
 * - `hex`: X9 as 16 digits and a blank.
 * - `newline`, `finish` (prints the end mark and stays).
 */
const SUBROUTINES = `
print:
  movz x10, #0x900, lsl #16
1: ldrb w11, [x9], #1
  cbz w11, 2f
  str w11, [x10]
  b 1b
2: ret
hex:
  movz x10, #0x900, lsl #16
  mov x12, #60
1: lsr x11, x9, x12
  and x11, x11, #15
  add x13, x11, #48
  add x14, x11, #87
  cmp x11, #10
  csel x11, x13, x14, lt
  str w11, [x10]
  subs x12, x12, #4
  b.pl 1b
  mov w11, #32
  str w11, [x10]
  ret
newline:
  movz x10, #0x900, lsl #16
  mov w11, #10
  str w11, [x10]
  ret
finish:
  adr x9, end_mark
  bl print
1: b 1b
end_mark:
  .asciz "${END_OF_OUTPUT}\\n"
  .balign 8
`;

/** A program as bytes: `body` runs first. */
export function bareProgram(body: string): Uint8Array {
  return assemble(`${body}\n${SUBROUTINES}`, { origin: PROGRAM_ADDRESS }).bytes;
}

/** The 16 entries of a vector table: `entry` gives each one's code from its offset. At most 32 words each. */
export function vectorTable(label: string, entry: (offset: number) => string): string {
  const entries = Array.from({ length: 16 }, (_, index) => `  .balign 128\n${entry(index * 128)}`);
  return `  .balign 2048\n${label}:\n${entries.join("\n")}\n`;
}
