import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Registers that an instruction under test may use: X0 to X7, V0 to V7. */
export const ORACLE_REGISTERS = 8;
const RECORD_BYTES = 16 + 8 * ORACLE_REGISTERS + 16 * ORACLE_REGISTERS;

/** State before and after one instruction. */
export interface OracleState {
  fpcr: number;
  fpsr: number;
  /** Bits 3 to 0. */
  nzcv: number;
  x: bigint[];
  v: bigint[];
}

export interface OracleCase extends OracleState {
  /** Index into the instructions the oracle was built with. */
  instruction: number;
}

const RUNNER = `
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
struct record { uint32_t stub, fpcr, fpsr, nzcv; uint64_t x[8]; uint64_t v[16]; };
extern const int32_t stub_offsets[];
void run(struct record *record, const void *stub);
__asm__(
".text\\n.global run\\nrun:\\n"
"stp x29,x30,[sp,#-160]!\\nstp x19,x20,[sp,#16]\\nstp d8,d9,[sp,#32]\\n"
"mov x19,x0\\nmov x20,x1\\n"
"ldr w9,[x19,#12]\\nlsl w9,w9,#28\\nmsr nzcv,x9\\n"
"ldr w9,[x19,#4]\\nmsr fpcr,x9\\nldr w9,[x19,#8]\\nmsr fpsr,x9\\n"
"add x9,x19,#80\\nldp q0,q1,[x9]\\nldp q2,q3,[x9,#32]\\nldp q4,q5,[x9,#64]\\nldp q6,q7,[x9,#96]\\n"
"ldp x0,x1,[x19,#16]\\nldp x2,x3,[x19,#32]\\nldp x4,x5,[x19,#48]\\nldp x6,x7,[x19,#64]\\n"
"blr x20\\n"
"stp x0,x1,[x19,#16]\\nstp x2,x3,[x19,#32]\\nstp x4,x5,[x19,#48]\\nstp x6,x7,[x19,#64]\\n"
"mrs x9,nzcv\\nlsr w9,w9,#28\\nstr w9,[x19,#12]\\nmrs x9,fpsr\\nstr w9,[x19,#8]\\n"
"mrs x9,fpcr\\nstr w9,[x19,#4]\\nmsr fpcr,xzr\\n"
"add x9,x19,#80\\nstp q0,q1,[x9]\\nstp q2,q3,[x9,#32]\\nstp q4,q5,[x9,#64]\\nstp q6,q7,[x9,#96]\\n"
"ldp d8,d9,[sp,#32]\\nldp x19,x20,[sp,#16]\\nldp x29,x30,[sp],#160\\nret\\n");
static struct record records[4096];
static int read_fully(void *to, int size) {
  int have = 0, got;
  while (have < size && (got = read(0, (char *)to + have, size - have)) > 0) have += got;
  return have;
}
int main(void) {
  int size;
  while ((size = read_fully(records, sizeof records)) > 0) {
    for (int i = 0; i < size / (int)sizeof records[0]; i++)
      run(&records[i], (const char *)stub_offsets + stub_offsets[records[i].stub]);
    for (int done = 0; done < size;) {
      int put = write(1, (char *)records + done, size - done);
      if (put <= 0) return 1;
      done += put;
    }
  }
  return 0;
}
`;

/**
 * Runs single instructions under qemu-aarch64, as the independent oracle for meanings. The instructions, as
 * assembly lines (or ".inst 0x..."), are compiled into one static program in a temporary folder.
 */
export class QemuOracle {
  readonly #folder: string;
  readonly #program: string;
  readonly #cpu: string;

  constructor(instructions: readonly string[], options: { cpu?: string } = {}) {
    this.#cpu = options.cpu ?? "neoverse-n1";
    this.#folder = mkdtempSync(join(tmpdir(), "elvisor-oracle-"));
    this.#program = join(this.#folder, "oracle");
    const stubs = instructions.map((line, index) => `stub${index}: ${line}\n ret\n`).join("");
    const offsets = instructions.map((_, index) => `.word stub${index} - stub_offsets\n`).join("");
    const assembly = `.arch armv8.5-a+fp16+crypto\n.text\n${stubs}.section .rodata\n.balign 8\n.global stub_offsets\nstub_offsets:\n${offsets}`;
    writeFileSync(join(this.#folder, "stubs.s"), assembly);
    writeFileSync(join(this.#folder, "runner.c"), RUNNER);
    execFileSync("aarch64-linux-gnu-gcc", ["-O1", "-static", "-o", "oracle", "runner.c", "stubs.s"], {
      cwd: this.#folder,
    });
  }

  /** The states after each case; the cases stay as they are. */
  run(cases: readonly OracleCase[]): OracleState[] {
    const input = Buffer.alloc(RECORD_BYTES * cases.length);
    cases.forEach((one, index) => {
      let at = index * RECORD_BYTES;
      for (const word of [one.instruction, one.fpcr, one.fpsr, one.nzcv]) {
        at = input.writeUInt32LE(word >>> 0, at);
      }
      for (let register = 0; register < ORACLE_REGISTERS; register++)
        at = input.writeBigUInt64LE(one.x[register]!, at);
      for (let register = 0; register < ORACLE_REGISTERS; register++) {
        at = input.writeBigUInt64LE(BigInt.asUintN(64, one.v[register]!), at);
        at = input.writeBigUInt64LE(one.v[register]! >> 64n, at);
      }
    });
    const result = spawnSync("qemu-aarch64", ["-cpu", this.#cpu, this.#program], {
      input,
      maxBuffer: input.length + 1024,
    });
    if (result.status !== 0 || result.stdout.length !== input.length) {
      const how = `status ${result.status}, signal ${result.signal}, ${result.stdout?.length} bytes`;
      throw new Error(`the oracle ended early: ${how}, ${result.stderr}`);
    }
    return cases.map((_, index) => readRecord(result.stdout, index * RECORD_BYTES));
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function readRecord(data: Buffer, start: number): OracleState {
  const x: bigint[] = [];
  const v: bigint[] = [];
  for (let register = 0; register < ORACLE_REGISTERS; register++) {
    x.push(data.readBigUInt64LE(start + 16 + 8 * register));
    const at = start + 16 + 8 * ORACLE_REGISTERS + 16 * register;
    v.push(data.readBigUInt64LE(at) | (data.readBigUInt64LE(at + 8) << 64n));
  }
  return {
    fpcr: data.readUInt32LE(start + 4),
    fpsr: data.readUInt32LE(start + 8),
    nzcv: data.readUInt32LE(start + 12),
    x,
    v,
  };
}
