/**
 * A position-independent program that makes the calls of the table behind it by HVC, prints X0 after each,
 * and leaves QEMU by semihosting. The table is a count and, for each call, X0 to X3, all 64-bit.
 */
// biome-ignore format: one instruction a line, with its listing
const CALLER_WORDS = [
  0x10000413, // adr x19, 80
  0xd2a12014, // mov x20, #0x9000000
  0xf8408675, // ldr x21, [x19], #8
  0xb4000115, // cbz x21, 2c
  0xa8c10660, // ldp x0, x1, [x19], #16
  0xa8c10e62, // ldp x2, x3, [x19], #16
  0xd4000002, // hvc #0x0
  0xaa0003e9, // mov x9, x0
  0x94000006, // bl 38
  0xd10006b5, // sub x21, x21, #0x1
  0x17fffff9, // b c
  0xd2800300, // mov x0, #0x18
  0x10000201, // adr x1, 70
  0xd45e0000, // hlt #0xf000
  0x52800796, // mov w22, #0x3c
  0x9ad62537, // lsr x23, x9, x22
  0x12000ef7, // and w23, w23, #0xf
  0x1100c2f8, // add w24, w23, #0x30
  0x71002aff, // cmp w23, #0xa
  0x5400004b, // b.lt 54
  0x11015ef8, // add w24, w23, #0x57
  0xb9000298, // str w24, [x20]
  0x710012d6, // subs w22, w22, #0x4
  0x54ffff05, // b.pl 3c
  0x52800418, // mov w24, #0x20
  0xb9000298, // str w24, [x20]
  0xd65f03c0, // ret
  0xd503201f, // nop
  0x00020026,
  0x00000000,
  0x00000000,
  0x00000000,
];

/** X0 to X3 of one call. */
export type HypervisorCall = readonly [bigint, bigint, bigint, bigint];

/** The program with its table. */
export function hypervisorCaller(calls: readonly HypervisorCall[]): Uint8Array {
  const table = BigUint64Array.from([BigInt(calls.length), ...calls.flat()]);
  const code = Uint32Array.from(CALLER_WORDS);
  const program = new Uint8Array(code.byteLength + table.byteLength);
  program.set(new Uint8Array(code.buffer));
  program.set(new Uint8Array(table.buffer), code.byteLength);
  return program;
}
