import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assemble } from "../../src/isa/assembler.ts";
import { writeElf } from "./elf-writer.ts";
import { runHostProgram } from "./host-program.ts";
import { READ_ALL, WRITE_ALL } from "./linux-calls.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

/** Words tried in one go: each stands before a word that is always UNDEFINED. */
const BATCH = 32 * 1024;
const ENTRY_SIZE = 8;
const BATCH_BYTES = BATCH * ENTRY_SIZE;

/** Far from everything else, so that a branch out of it goes nowhere. */
const WORDS = 0x5000_0000n;
const CODE = 0x40_0000n;
const DATA = 0x1000_0000n;
const STACK_SIZE = 0x1_0000;
const RESULTS = 0x100;
const SIGNALS = { ILL: 4, TRAP: 5, BUS: 7, FPE: 8, SEGV: 11 } as const;

/** Offset of the PC in the frame that a handler gets (Linux's struct ucontext on AArch64). */
const CONTEXT_PC = 440;

/**
 * Executes words one after the other with all registers 0 and no memory there. Each ends in a signal: its own, or
 * that of the word behind it. A handler notes whether it was SIGILL at the word itself and starts the next;
 * it never returns, and finds its own stack fresh each time because the words run with SP 0.
 */
const PROGRAM = `
        mov x8, #132            // sigaltstack
        ldr x0, =stack
        mov x1, #0
        svc #0
        ${Object.values(SIGNALS)
          .map((signal) => `mov x0, #${signal}\nbl install`)
          .join("\n")}
batch:  mov x2, #3              // readable, writable
        bl protect
        ldr x20, =words
        ldr x21, =${BATCH_BYTES}
${READ_ALL}
        mov x2, #5              // readable, executable
        bl protect
        ldr x20, =current
        ldr x21, =words
        str x21, [x20]
execute:
        ldr x30, =current
        ldr x30, [x30]
        ${Array.from({ length: 30 }, (_, index) => `mov x${index}, #0`).join("\n")}
        mov sp, x0
        msr fpcr, x0
        br x30

handler:
        ldr x3, =current
        ldr x4, [x3]
        ldr x5, [x2, #${CONTEXT_PC}]
        cmp x5, x4
        ccmp x0, #${SIGNALS.ILL}, #0, eq
        cset w6, eq
        ldr x7, =words
        sub x7, x4, x7
        ldr x9, =results
        add x9, x9, x7, lsr #3
        strb w6, [x9]
        add x4, x4, #${ENTRY_SIZE}
        str x4, [x3]
        add x7, x7, #${ENTRY_SIZE}
        ldr x9, =${BATCH_BYTES}
        cmp x7, x9
        b.ne execute
        ldr x20, =results
        ldr x21, =${BATCH}
${WRITE_ALL}
        b batch

install:
        ldr x1, =action
        mov x2, #0
        mov x3, #8
        mov x8, #134            // rt_sigaction
        svc #0
        ret
protect:
        ldr x0, =words
        ldr x1, =${BATCH_BYTES}
        mov x8, #226            // mprotect
        svc #0
        ret
finished:
        mov x8, #94             // exit_group
        svc #0
        .balign 8
        // SA_SIGINFO | SA_ONSTACK | SA_NODEFER
action: .quad handler, 0x48000004, 0, 0
stack:  .quad data + 0x10000, 0, ${STACK_SIZE}
`;

/** Tells for each word whether qemu-aarch64 raises SIGILL for it at EL0. */
export function undefinedInQemu(words: readonly number[], cpu: string): boolean[] {
  const symbols = { words: WORDS, data: DATA, current: DATA, results: DATA + 0x10_0000n };
  const code = assemble(PROGRAM, { origin: CODE, symbols });
  const nothing = new Uint8Array(0);
  const program = writeElf(CODE, [
    { address: CODE, bytes: code.bytes, executable: true },
    { address: DATA, bytes: nothing, memorySize: 0x10_0000 + BATCH + RESULTS },
    { address: WORDS, bytes: nothing, memorySize: BATCH_BYTES },
  ]);
  const batches = Math.ceil(words.length / BATCH);
  const input = Buffer.alloc(batches * BATCH_BYTES);
  words.forEach((word, index) => {
    input.writeUInt32LE(word >>> 0, index * ENTRY_SIZE);
  });
  return withTemporaryDirectory((folder) => {
    const path = join(folder, "undefined");
    writeFileSync(path, program);
    chmodSync(path, 0o755);
    const { status, stdout, stderr } = runHostProgram("qemu-aarch64", ["-cpu", cpu, path], {
      input,
      seconds: 600,
    });
    if (stdout.length !== batches * BATCH) {
      throw new Error(
        `qemu-aarch64 answered ${stdout.length} of ${words.length} words, status ${status}: ${stderr}`,
      );
    }
    return words.map((_, index) => stdout[index] === 1);
  });
}
