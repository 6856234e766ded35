import { bareProgram } from "./bare-program.ts";

/** What the probe prints, in its order, each as 16 hexadecimal digits. */
export const PROBE_VALUES = ["pc", "x0", "x1", "x2", "x3", "level", "daif", "spsel", "wordAtX0"] as const;

/**
 * A program that prints how it was started: its own address, X0 to X3, CurrentEL's EL field, DAIF, SPSel, and
 * the word that X0 points to (0 when X0 is 0).
 */
export const BOOT_PROBE: Uint8Array = bareProgram(`
        adr x10, . - 4
        mov x11, x0
        mrs x16, CurrentEL
        mrs x17, DAIF
        mrs x18, SPSel
        mov x9, x10
        bl print
        mov x9, x11
        bl print
        mov x9, x1
        bl print
        mov x9, x2
        bl print
        mov x9, x3
        bl print
        lsr x9, x16, #2
        bl print
        mov x9, x17
        bl print
        mov x9, x18
        bl print
        mov x9, xzr
        cbz x11, 1f
        ldr w9, [x11]
1:      bl print
        b finish
`);

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
