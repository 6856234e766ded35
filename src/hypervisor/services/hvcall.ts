import { staticProgram } from "../../isa/static-program.ts";
import { BACKDOOR_IMMEDIATE, REGISTER_DOOR, SERVICE_MAGIC } from "./register-doors.ts";
import { SERVICE_STATUS, SERVICES, type Service, STATUS_TEXTS } from "./service-table.ts";

/**
 * hvcall, the guest's tool: each service is a command, generated from the table. A static program, so that it runs in
 * every arm64 Linux. It tries the debug channel's door first, then the breakpoint's, which is closed while a
 * debugger is at work (row H2).
 */

/** System calls by number (Linux, include/uapi/asm-generic/unistd.h). */
const CALL = { write: 64, exit: 94, rt_sigaction: 134 } as const;
const SIGILL = 4;
const SIGTRAP = 5;
/** SA_NODEFER: the handler never returns. */
const SIGNAL_FLAGS = 0x4000_0000;
/** Bytes of the largest answer, and of the stack besides. */
const ANSWER = 65_536;
const SCRATCH = 64;
/** Exit status for a service that says no, wrong usage, and no host that answers. */
const STATUS = { refused: 1, usage: 2, nobody: 3 } as const;
/** Kinds of arguments in the program's table. */
const KIND = { end: 0, number: 1, input: 2, output: 3 } as const;

let program: Uint8Array | undefined;

/** The tool as an executable for arm64 Linux. */
export function hvcallProgram(): Uint8Array {
  program ??= staticProgram(hvcallSource());
  return program;
}

/** One line for each service: its words and arguments, as users type them. */
export function usageLine({ name, arguments: list }: Service): string {
  const words = list.filter(({ kind }) => kind !== "output").map((argument) => argument.name.toUpperCase());
  return ["hvcall", name, ...words].join(" ");
}

function usage(): string {
  const width = Math.max(...SERVICES.map((service) => usageLine(service).length));
  const lines = SERVICES.map((service) => `  ${usageLine(service).padEnd(width)}  ${service.description}`);
  return `Asks the machine's hypervisor. Words of a command may be joined by a blank instead of "-".\n\nCommands:\n${lines.join("\n")}\n
Options, before the command:
  --door channel|breakpoint  use only this way to the host\n`;
}

/** Bytes as the assembler takes them. */
function bytes(text: string): string {
  const all = [...new TextEncoder().encode(text), 0];
  const lines: string[] = [];
  for (let at = 0; at < all.length; at += 32) lines.push(`.byte ${all.slice(at, at + 32).join(", ")}`);
  return lines.join("\n");
}

/** A record of 64 bytes for each service: number, name, kind and limit of four arguments, results. */
function serviceRecord({ number, arguments: list, results }: Service, index: number): string {
  const fields = Array.from({ length: 4 }, (_, at) => {
    const argument = list[at];
    if (argument === undefined) return [KIND.end, 0];
    return [KIND[argument.kind], argument.kind === "number" ? 0 : argument.most];
  });
  return `.quad ${number}, name${index} - services, ${results.length}, 0\n.word ${fields.flat().join(", ")}`;
}

function hvcallSource(): string {
  const statuses = Object.entries(SERVICE_STATUS).filter(([name]) => name !== "SUCCESS");
  const text = STATUS_TEXTS as Readonly<Record<string, string>>;
  return `
// x19 next argument's pointer, x20 doors (1: channel, 2: breakpoint), x21 service, x22 the answer's buffer, x23 where
// an output goes or 0, x24 registers' values, x25 the command's words.
_start: ldr x0, [sp]
        add x19, sp, #16
        sub sp, sp, #${SCRATCH}
        mov x24, sp
        mov x9, #${ANSWER}
        sub sp, sp, x9
        mov x22, sp
        mov x20, #3
        mov x23, #0
        ldr x0, [x19]
        cbz x0, help
        adr x1, door_option
        bl same
        cbz x0, find
        ldr x0, [x19, #8]!
        cbz x0, help
        adr x1, channel_word
        bl same
        cbnz x0, channel_only
        ldr x0, [x19]
        adr x1, breakpoint_word
        bl same
        cbz x0, help
        mov x20, #2
        b door_known
channel_only:
        mov x20, #1
door_known:
        add x19, x19, #8
        ldr x0, [x19]
        cbz x0, help

find:   adr x21, services
        mov x25, x19
1:      ldr x1, [x21, #8]
        cmn x1, #1
        b.eq help
        adr x2, services
        add x1, x1, x2
        mov x19, x25
        bl match
        cbnz x0, found
        add x21, x21, #64
        b 1b

found:  stp xzr, xzr, [x24]
        stp xzr, xzr, [x24, #16]
        add x10, x21, #32               // argument records
        mov x11, #0                     // registers' values so far
        mov x14, #4
next_argument:
        cbz x14, arguments_done
        ldr w12, [x10], #4
        ldr w13, [x10], #4
        sub x14, x14, #1
        cbz w12, arguments_done
        cmp w12, #${KIND.output}
        b.eq output_argument
        ldr x0, [x19], #8
        cbz x0, help
        cmp w12, #${KIND.number}
        b.eq number_argument
        str x0, [x24, x11, lsl #3]
        add x11, x11, #1
        bl length
        b store_value
output_argument:
        mov x23, x22
        str x22, [x24, x11, lsl #3]
        add x11, x11, #1
        mov w0, w13
        b store_value
number_argument:
        mov x1, x0
        mov x0, #0
        mov x3, #10
1:      ldrb w2, [x1], #1
        cbz w2, store_value
        sub w2, w2, #48
        cmp w2, #9
        b.hi help
        madd x0, x0, x3, x2
        b 1b
store_value:
        str x0, [x24, x11, lsl #3]
        add x11, x11, #1
        b next_argument
arguments_done:
        ldr x0, [x19]
        cbnz x0, help

        // A door that is closed answers with a signal, or with nothing at all.
        mov x0, #${SIGILL}
        adr x1, to_breakpoint
        bl catch
        mov x0, #${SIGTRAP}
        adr x1, nobody
        bl catch
        tbz x20, #0, to_breakpoint
        bl load_registers
        mrs xzr, mdccsr_el0
        bl is_answered
        cbnz x9, answered
to_breakpoint:
        tbz x20, #1, nobody
        mov x20, #0                     // once
        bl load_registers
        brk #${BACKDOOR_IMMEDIATE}
        bl is_answered
        cbz x9, nobody

answered:
        cbnz x0, refused
        cbnz x23, show_bytes
        ldr x2, [x21, #16]
        cbz x2, success
        bl decimal
        b success
show_bytes:
        mov x2, x1
        mov x9, #${ANSWER}
        cmp x2, x9
        csel x2, x2, x9, lo
        mov x1, x23
        mov x0, #1
        bl write_all
        adr x1, newline
        mov x2, #1
        mov x0, #1
        bl write_all
success:
        mov x0, #0
        b exit

refused:
        mov x25, x0
        adr x0, prefix
        bl complain
        adr x10, statuses
1:      ldp x2, x3, [x10], #16
        adr x0, statuses
        add x0, x0, x3
        cbz x2, 2f
        cmp x2, x25
        b.ne 1b
2:      bl complain
        adr x0, newline
        bl complain
        mov x0, #${STATUS.refused}
        b exit
nobody: adr x0, nobody_text
        bl complain
        mov x0, #${STATUS.nobody}
        b exit
help:   adr x0, usage
        bl complain
        mov x0, #${STATUS.usage}
exit:   mov x8, #${CALL.exit}
        svc #0

load_registers:
        ldr x0, =${SERVICE_MAGIC}
        ldr x2, [x21]
        mov x3, #0
        ldr x1, [x24]
        ldp x4, x5, [x24, #8]
        ldr x6, [x24, #24]
        ldr x7, =${REGISTER_DOOR.call}
        ret
// x9 is 0 where the registers are as they were.
is_answered:
        ldr x9, =${SERVICE_MAGIC}
        sub x9, x9, x0
        ret

// Signal x0 goes to x1.
catch:  sub sp, sp, #32
        ldr x9, =${SIGNAL_FLAGS}
        stp x1, x9, [sp]
        stp xzr, xzr, [sp, #16]
        mov x1, sp
        mov x2, #0
        mov x3, #8
        mov x8, #${CALL.rt_sigaction}
        svc #0
        add sp, sp, #32
        ret

// x0 is 1 where the strings at x0 and x1 are the same. Changes x2, x3.
same:   ldrb w2, [x0], #1
        ldrb w3, [x1], #1
        cmp w2, w3
        b.ne 1f
        cbnz w2, same
        mov x0, #1
        ret
1:      mov x0, #0
        ret

// The name at x1 against the words from x19 on, which stands behind them where x0 becomes 1.
match:  ldr x0, [x19], #8
        cbz x0, 3f
1:      ldrb w2, [x0], #1
        ldrb w3, [x1], #1
        cmp w2, w3
        b.ne 2f
        cbnz w2, 1b
        mov x0, #1
        ret
2:      cbnz w2, 3f
        cmp w3, #45                     // a dash may be the next word
        b.eq match
3:      mov x0, #0
        ret

// x0 becomes the length of the string there.
length: mov x9, x0
1:      ldrb w2, [x9], #1
        cbnz w2, 1b
        sub x0, x9, x0
        sub x0, x0, #1
        ret

// The string at x0 to standard error.
complain:
        mov x15, x30
        mov x1, x0
        bl length
        mov x2, x0
        mov x0, #2
        bl write_all
        mov x30, x15
        ret

// x2 bytes at x1 to x0.
write_all:
        mov x9, x0
        mov x10, x1
        mov x11, x2
1:      cbz x11, 2f
        mov x0, x9
        mov x1, x10
        mov x2, x11
        mov x8, #${CALL.write}
        svc #0
        cmp x0, #0
        b.le 2f
        add x10, x10, x0
        sub x11, x11, x0
        b 1b
2:      ret

// x1 as a decimal number and a line's end.
decimal:
        mov x15, x30
        add x9, x22, #64
        mov x10, x9
        mov w3, #10
        strb w3, [x9]
        mov x4, #10
1:      udiv x5, x1, x4
        msub x6, x5, x4, x1
        add w6, w6, #48
        strb w6, [x9, #-1]!
        mov x1, x5
        cbnz x1, 1b
        sub x2, x10, x9
        add x2, x2, #1
        mov x1, x9
        mov x0, #1
        bl write_all
        mov x30, x15
        ret

        .balign 8
        .ltorg
        .balign 8
services:
${SERVICES.map(serviceRecord).join("\n")}
        .quad 0, -1
${SERVICES.map(({ name }, index) => `name${index}:\n${bytes(name)}`).join("\n")}
        .balign 8
statuses:
${statuses.map(([name, value]) => `.quad ${value}, status_${name} - statuses`).join("\n")}
        .quad 0, status_other - statuses
${statuses.map(([name]) => `status_${name}:\n${bytes(text[name] ?? name)}`).join("\n")}
status_other:
${bytes("the host answers with a status that this program does not know")}
door_option:
${bytes("--door")}
channel_word:
${bytes("channel")}
breakpoint_word:
${bytes("breakpoint")}
prefix:
${bytes("hvcall: ")}
nobody_text:
${bytes("hvcall: no hypervisor of this kind answers here\n")}
newline:
${bytes("\n")}
usage:
${bytes(usage())}
        .balign 4
`;
}
