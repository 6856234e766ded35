/**
 * A position-independent program that prints how it was started and leaves QEMU by semihosting: its own
 * address, X0 to X3, CurrentEL's EL field, DAIF, SPSel, and the word that X0 points to (0 when X0 is 0).
 */
// biome-ignore format: one instruction a line, with its listing
const PROBE_WORDS = [
  0x1000000a, // adr x10, 0
  0xaa0003eb, // mov x11, x0
  0xd5384250, // mrs x16, currentel
  0xd53b4231, // mrs x17, daif
  0xd5384212, // mrs x18, spsel
  0xd2a12014, // mov x20, #0x9000000
  0xaa0a03e9, // mov x9, x10
  0x94000016, // bl 74
  0xaa0b03e9, // mov x9, x11
  0x94000014, // bl 74
  0xaa0103e9, // mov x9, x1
  0x94000012, // bl 74
  0xaa0203e9, // mov x9, x2
  0x94000010, // bl 74
  0xaa0303e9, // mov x9, x3
  0x9400000e, // bl 74
  0xd342fe09, // lsr x9, x16, #2
  0x9400000c, // bl 74
  0xaa1103e9, // mov x9, x17
  0x9400000a, // bl 74
  0xaa1203e9, // mov x9, x18
  0x94000008, // bl 74
  0xaa1f03e9, // mov x9, xzr
  0xb400004b, // cbz x11, 64
  0xb9400169, // ldr w9, [x11]
  0x94000004, // bl 74
  0xd2800300, // mov x0, #0x18
  0x100001e1, // adr x1, a8
  0xd45e0000, // hlt #0xf000
  0x52800796, // mov w22, #0x3c
  0x9ad62537, // lsr x23, x9, x22
  0x12000ef7, // and w23, w23, #0xf
  0x1100c2f8, // add w24, w23, #0x30
  0x71002aff, // cmp w23, #0xa
  0x5400004b, // b.lt 90
  0x11015ef8, // add w24, w23, #0x57
  0xb9000298, // str w24, [x20]
  0x710012d6, // subs w22, w22, #0x4
  0x54ffff05, // b.pl 78
  0x52800418, // mov w24, #0x20
  0xb9000298, // str w24, [x20]
  0xd65f03c0, // ret
  0x00020026, // the exit reason: ADP_Stopped_ApplicationExit
  0,
  0,
  0,
];

/** What the probe prints, in its order, each as 16 hexadecimal digits. */
export const PROBE_VALUES = ["pc", "x0", "x1", "x2", "x3", "level", "daif", "spsel", "wordAtX0"] as const;

export const BOOT_PROBE = new Uint8Array(Uint32Array.from(PROBE_WORDS).buffer);

/** The probe's output as numbers. */
export function parseProbe(output: string): Record<(typeof PROBE_VALUES)[number], bigint> {
  const values = output
    .trim()
    .split(/\s+/)
    .map((digits) => BigInt(`0x${digits}`));
  if (values.length !== PROBE_VALUES.length)
    throw new Error(`The boot probe printed ${JSON.stringify(output)}.`);
  return Object.fromEntries(PROBE_VALUES.map((name, index) => [name, values[index]])) as ReturnType<
    typeof parseProbe
  >;
}
