import { assemble } from "../../src/isa/assembler.ts";

/** What bare programs share. They are position-independent, print on the PL011 at X20, and end by semihosting. */
const ROUTINES = `
/* Leaves QEMU with status 0: SYS_EXIT. */
finish: mov x0, #0x18
        adr x1, reason
        hlt #0xf000

/* Prints X9 as 16 hexadecimal digits and a blank. Changes X22 to X24. */
print:  mov w22, #60
1:      lsr x23, x9, x22
        and w23, w23, #0xf
        add w24, w23, #0x30
        cmp w23, #10
        b.lt 2f
        add w24, w23, #0x57
2:      str w24, [x20]
        subs w22, w22, #4
        b.pl 1b
        mov w24, #0x20
        str w24, [x20]
        ret

        .balign 8
reason: .quad 0x20026            // ADP_Stopped_ApplicationExit
        .quad 0
`;

/** A program that begins with `body` and may use `print` and `finish`; data behind it is 8-byte aligned. */
export function bareProgram(body: string, data = ""): Uint8Array {
  return assemble(`        mov x20, #0x9000000\n${body}\n${ROUTINES}\n${data}`).bytes;
}
