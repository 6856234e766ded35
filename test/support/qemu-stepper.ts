import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assemble } from "../../src/isa/assembler.ts";
import { writeElf } from "./elf-writer.ts";
import { runHostProgram } from "./host-program.ts";
import { READ_ALL, WRITE_ALL } from "./linux-calls.ts";
import type { ProcessorState } from "./machine-under-test.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

/** Where the instruction under test stands; the one before it stands in the word below. */
export const SLOT = 0x3000_0000n;
const PAD_STRIDE = 32;
/** Landing pads for branches on either side of the slot, {@link PAD_STRIDE} bytes apart. */
export const PADS = 0x7f0;

/** Address of landing pad `index` (-PADS to PADS - 1). Number 0 follows the slot. */
export function padAddress(index: number): bigint {
  return SLOT + BigInt(index * PAD_STRIDE) + (index >= 0 ? 4n : -32n);
}

/** Memory that instructions may access, near enough for PC-relative loads. */
export const REGION = 0x3004_0000n;
export const REGION_SIZE = 0x4_0000;
/** Bytes of the region that a case sets and compares. */
export const WINDOW = 128;

/** One step: the word, the state, memory. */
export interface StepCase {
  readonly word: number;
  /** Executed just before, in the same state: arms the monitor for a store exclusive. */
  readonly before: number | undefined;
  /** Its PC is {@link SLOT}. */
  readonly state: ProcessorState;
  /** Start of the window, a multiple of 16 within the region. */
  readonly windowAddress: bigint;
  readonly window: Uint8Array;
}

/** The same afterwards; undefined where the instruction ended the program by a signal. */
export type StepAnswer = { readonly state: ProcessorState; readonly window: Uint8Array } | undefined;

/** Offsets in a record, which goes to the program and comes back changed. */
const RECORD = {
  WORD: 0,
  BEFORE: 4,
  NZCV: 8,
  FPCR: 16,
  FPSR: 24,
  SP: 32,
  X: 40,
  V: 288,
  PC: 800,
  ADDRESS: 808,
  WINDOW: 816,
} as const;
const RECORD_SIZE = RECORD.WINDOW + WINDOW;
const RECORD_ADDRESS = 0x3020_0000n;
const CODE = 0x3010_0000n;
const NOP = 0xd503201f;

function pairs(count: number, line: (n: number) => string): string {
  return Array.from({ length: count / 2 }, (_, index) => line(index * 2)).join("\n");
}

/** Reads a record, brings the processor into its state, executes, writes the record back; and so on. */
const PROGRAM = `
next:   ldr x20, =record
        mov x21, #${RECORD_SIZE}
${READ_ALL}
        ldr x20, =record
        ldr x0, [x20, #${RECORD.ADDRESS}]
        add x1, x20, #${RECORD.WINDOW}
        mov x2, #${WINDOW / 16}
1:      ldp x3, x4, [x1], #16
        stp x3, x4, [x0], #16
        subs x2, x2, #1
        b.ne 1b
        ldr x0, =slot - 4
        ldr w1, [x20, #${RECORD.BEFORE}]
        ldr w2, [x20, #${RECORD.WORD}]
        stp w1, w2, [x0]
        add x1, x0, #4
        dc cvau, x0
        dc cvau, x1
        dsb ish
        ic ivau, x0
        ic ivau, x1
        dsb ish
        isb
        clrex
        ldp x1, x2, [x20, #${RECORD.NZCV}]
        ldp x3, x4, [x20, #${RECORD.FPSR}]
        msr nzcv, x1
        msr fpcr, x2
        msr fpsr, x3
        mov sp, x4
        add x0, x20, #${RECORD.V}
        ${pairs(32, (n) => `ldp q${n}, q${n + 1}, [x0, #${n * 16}]`)}
        mov x30, x20
        ${pairs(30, (n) => `ldp x${n}, x${n + 1}, [x30, #${RECORD.X + n * 8}]`)}
        ldr x30, [x30, #${RECORD.X + 30 * 8}]
        b slot - 4

        // X30 is the record, X29 the landing pad; their values are in TPIDR_EL0 and in place.
saved:  ${pairs(28, (n) => `stp x${n}, x${n + 1}, [x30, #${RECORD.X + n * 8}]`)}
        str x28, [x30, #${RECORD.X + 28 * 8}]
        mrs x0, tpidr_el0
        str x0, [x30, #${RECORD.X + 30 * 8}]
        str x29, [x30, #${RECORD.PC}]
        mrs x1, nzcv
        mrs x2, fpcr
        mrs x3, fpsr
        mov x4, sp
        stp x1, x2, [x30, #${RECORD.NZCV}]
        stp x3, x4, [x30, #${RECORD.FPSR}]
        msr fpcr, xzr
        add x0, x30, #${RECORD.V}
        ${pairs(32, (n) => `stp q${n}, q${n + 1}, [x0, #${n * 16}]`)}
        ldr x0, [x30, #${RECORD.ADDRESS}]
        add x1, x30, #${RECORD.WINDOW}
        mov x2, #${WINDOW / 16}
1:      ldp x3, x4, [x0], #16
        stp x3, x4, [x1], #16
        subs x2, x2, #1
        b.ne 1b
        mov x20, x30
        mov x21, #${RECORD_SIZE}
${WRITE_ALL}
        b next
finished:
        mov x8, #94             // exit_group
        svc #0
`;

/** The slot and its landing pads. */
function padProgram(origin: bigint): string {
  const pad = (index: number): string => `.org 0x${(padAddress(index) - origin).toString(16)}
        msr tpidr_el0, x30
        ldr x30, literal
        str x29, [x30, #${RECORD.X + 29 * 8}]
        adr x29, . - 12
        b saved`;
  const indices = Array.from({ length: PADS }, (_, index) => index);
  const below = indices.map((index) => pad(index - PADS));
  // The gap between pads -1 and 0 holds the literal and the two instructions.
  const gap = `.org 0x${(SLOT - 12n - origin).toString(16)}\nliteral: .quad record\nnop\nnop`;
  return [...below, gap, ...indices.map(pad)].join("\n");
}

/** Runs steps under qemu-aarch64, many in one process. */
export class QemuStepper {
  readonly #cpu: string;
  readonly #program: Uint8Array;

  constructor(cpu: string) {
    this.#cpu = cpu;
    const symbols = { slot: SLOT, record: RECORD_ADDRESS };
    const code = assemble(PROGRAM, { origin: CODE, symbols });
    const padsOrigin = SLOT - 0x1_0000n;
    const pads = assemble(padProgram(padsOrigin), {
      origin: padsOrigin,
      symbols: { record: RECORD_ADDRESS, saved: code.symbols.get("saved")! },
    });
    const nothing = new Uint8Array(0);
    this.#program = writeElf(CODE, [
      { address: padsOrigin, bytes: pads.bytes, executable: true },
      { address: REGION, bytes: nothing, memorySize: REGION_SIZE },
      { address: CODE, bytes: code.bytes, executable: true },
      { address: RECORD_ADDRESS, bytes: nothing, memorySize: RECORD_SIZE },
    ]);
  }

  run(cases: readonly StepCase[]): StepAnswer[] {
    return withTemporaryDirectory((folder) => {
      const path = join(folder, "stepper");
      writeFileSync(path, this.#program);
      chmodSync(path, 0o755);
      const answers: StepAnswer[] = [];
      while (answers.length < cases.length) {
        const input = Buffer.concat(cases.slice(answers.length).map(writeRecord));
        const { status, stdout, stderr } = runHostProgram("qemu-aarch64", ["-cpu", this.#cpu, path], {
          input,
          seconds: 600,
        });
        for (let at = 0; at + RECORD_SIZE <= stdout.length; at += RECORD_SIZE) {
          answers.push(readRecord(stdout.subarray(at, at + RECORD_SIZE)));
        }
        if (status === 0 && stdout.length === input.length) break;
        if (answers.length >= cases.length || !stderr.includes("uncaught target signal")) {
          throw new Error(`qemu-aarch64 failed: ${stderr}`);
        }
        // The next case ended the program.
        answers.push(undefined);
      }
      return answers;
    });
  }
}

function writeRecord({ word, before, state, windowAddress, window }: StepCase): Buffer {
  const record = Buffer.alloc(RECORD_SIZE);
  record.writeUInt32LE(word >>> 0, RECORD.WORD);
  record.writeUInt32LE(before ?? NOP, RECORD.BEFORE);
  record.writeBigUInt64LE(BigInt(state.nzcv) << 28n, RECORD.NZCV);
  record.writeBigUInt64LE(BigInt(state.fpcr), RECORD.FPCR);
  record.writeBigUInt64LE(BigInt(state.fpsr), RECORD.FPSR);
  record.writeBigUInt64LE(state.sp, RECORD.SP);
  state.x.forEach((value, index) => {
    record.writeBigUInt64LE(value, RECORD.X + index * 8);
  });
  state.v.forEach((value, index) => {
    record.writeBigUInt64LE(BigInt.asUintN(64, value), RECORD.V + index * 16);
    record.writeBigUInt64LE(value >> 64n, RECORD.V + index * 16 + 8);
  });
  record.writeBigUInt64LE(windowAddress, RECORD.ADDRESS);
  record.set(window, RECORD.WINDOW);
  return record;
}

function readRecord(record: Buffer): NonNullable<StepAnswer> {
  const u64 = (offset: number): bigint => record.readBigUInt64LE(offset);
  return {
    state: {
      x: Array.from({ length: 31 }, (_, index) => u64(RECORD.X + index * 8)),
      sp: u64(RECORD.SP),
      pc: u64(RECORD.PC),
      nzcv: Number(u64(RECORD.NZCV) >> 28n),
      v: Array.from(
        { length: 32 },
        (_, index) => u64(RECORD.V + index * 16) | (u64(RECORD.V + index * 16 + 8) << 64n),
      ),
      fpcr: Number(u64(RECORD.FPCR)),
      fpsr: Number(u64(RECORD.FPSR)),
    },
    window: Uint8Array.from(record.subarray(RECORD.WINDOW)),
  };
}
