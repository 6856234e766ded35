import { bareProgram, vectorTable } from "./runtime.ts";

/** One experiment: how the machine is set up at EL3, and what runs then at a lower level. */
export interface ExceptionCase {
  readonly name: string;
  readonly level: 0 | 1 | 2 | 3;
  /** System registers that differ from {@link BASELINE}. */
  readonly registers?: Readonly<Record<string, bigint>>;
  /** SPSR bits on top of the mode, 0x3c0 (all masked) unless given. */
  readonly status?: number;
  /** Use SP_EL0 (t) instead of the level's own (h). */
  readonly threadStack?: boolean;
  /** More code at EL3, before the ERET. */
  readonly prepare?: string;
  /** Runs at `level` and raises one exception. Must leave X26 to X29 alone. */
  readonly code: string;
}

/** State before each case. Names are as in MSR. */
export const BASELINE: Readonly<Record<string, bigint>> = {
  scr_el3: 0x501n,
  mdcr_el3: 0n,
  cptr_el3: 0n,
  sctlr_el3: 0x30c5_0830n,
  hcr_el2: 1n << 31n,
  mdcr_el2: 6n,
  cptr_el2: 0x33ffn,
  cnthctl_el2: 3n,
  sctlr_el2: 0x30c5_0830n,
  vtcr_el2: 0x8000_0000n,
  vttbr_el2: 0n,
  tcr_el2: 0x8080_0000n,
  tcr_el3: 0x8080_0000n,
  cntkctl_el1: 0x303n,
  cpacr_el1: 3n << 20n,
  pmuserenr_el0: 0n,
  mdscr_el1: 0n,
  sctlr_el1: 0x30d0_0980n,
  tcr_el1: 0n,
  ...Object.fromEntries(
    [1, 2, 3].flatMap((level) => ["esr", "far", "ttbr0", "mair"].map((name) => [`${name}_el${level}`, 0n])),
  ),
  ttbr1_el1: 0n,
  hpfar_el2: 0n,
  osdlr_el1: 0n,
  dbgbcr0_el1: 0n,
  dbgwcr0_el1: 0n,
  cntp_ctl_el0: 0n,
  cntv_ctl_el0: 0n,
  sp_el0: 0x4030_0000n,
  sp_el1: 0x4031_0000n,
  sp_el2: 0x4032_0000n,
};

/** Addresses of the translation tables that cases may use; see {@link TABLES}. */
export const MAPPED = {
  /** Normal, writable at EL1 only. */
  privileged: 0x4040_0000n,
  /** Translation faults at levels 1 to 3. */
  level1: 0x8000_0000n,
  level2: 0xc000_0000n,
  level3: 0xc080_0000n,
  /** Access flag clear, at levels 2 and 3. */
  unused2: 0xc020_0000n,
  unused3: 0xc080_1000n,
  /** Read-only at levels 2 and 3, for EL1. */
  readOnly2: 0xc040_0000n,
  readOnly3: 0xc080_2000n,
  /** Never executable. */
  noExecute2: 0xc060_0000n,
  noExecute3: 0xc080_3000n,
  /** Output address above IPS. */
  tooFar: 0xc080_4000n,
  /** Device memory. */
  device: 0xc080_5000n,
  /** Readable and writable at EL0. */
  user: 0xc080_6000n,
  /** Read-only at EL0 and above. */
  userReadOnly: 0xc080_7000n,
  /** Nothing answers at the physical address. */
  nothing: 0xc080_8000n,
  /** Execute-only page for EL1, code of the program's first page. */
  code: 0xc080_9000n,
} as const;

const AF = 1 << 10;
const INNER = 3 << 8;
const NORMAL = 1 << 2;
const USER = 1 << 6;
const READ_ONLY = 1 << 7;
const [BLOCK, TABLE, PAGE] = [1, 3, 3];
const NEVER_EXECUTE = "(3 << 53)";

/**
 * Tables of 4 KiB pages from level 1 (T0SZ 25) for every regime, and the same for stage 2. MAIR attribute 0
 * is Device-nGnRnE, 1 Normal write-back.
 */
const TABLES = `
  .balign 4096
level1_table:
  .quad 0x0 + ${BLOCK | AF} + ${NEVER_EXECUTE}
  .quad ram_table + ${TABLE}
  .quad 0
  .quad level2_table + ${TABLE}
  .space 4064
ram_table:
  .quad 0x40000000 + ${BLOCK | AF | INNER | NORMAL}
  .quad 0x40200000 + ${BLOCK | AF | INNER | NORMAL | USER | READ_ONLY}
  .quad 0x40400000 + ${BLOCK | AF | INNER | NORMAL}
  .space 4072
level2_table:
  .quad 0
  .quad 0x40400000 + ${BLOCK | INNER | NORMAL}
  .quad 0x40400000 + ${BLOCK | AF | INNER | NORMAL | READ_ONLY}
  .quad 0x40400000 + ${BLOCK | AF | INNER | NORMAL} + ${NEVER_EXECUTE}
  .quad level3_table + ${TABLE}
  .space 4056
level3_table:
  .quad 0
  .quad 0x40400000 + ${PAGE | INNER | NORMAL}
  .quad 0x40400000 + ${PAGE | AF | INNER | NORMAL | READ_ONLY}
  .quad 0x40400000 + ${PAGE | AF | INNER | NORMAL} + ${NEVER_EXECUTE}
  .quad 0x4000000000 + ${PAGE | AF | INNER | NORMAL}
  .quad 0x40400000 + ${PAGE | AF}
  .quad 0x40400000 + ${PAGE | AF | INNER | NORMAL | USER}
  .quad 0x40400000 + ${PAGE | AF | INNER | NORMAL | USER | READ_ONLY}
  .quad 0x0c800000 + ${PAGE | AF | INNER | NORMAL | USER}
  .quad 0x40200000 + ${PAGE | AF | INNER | NORMAL | READ_ONLY}
  .space 4016
// Stage 2: S2AP in bits 7:6, MemAttr in bits 5:2.
stage2_table:
  .quad 0x0 + ${BLOCK | AF | (3 << 6) | (1 << 2)}
  .quad 0x40000000 + ${BLOCK | AF | INNER | (3 << 6) | (15 << 2)}
  .quad 0
  .quad stage2_level2 + ${TABLE}
  .space 4064
stage2_level2:
  .quad 0
  .quad 0x40400000 + ${BLOCK | INNER | (3 << 6) | (15 << 2)}
  .quad 0x40400000 + ${BLOCK | AF | INNER | (1 << 6) | (15 << 2)}
  .quad 0x40400000 + ${BLOCK | AF | INNER | (3 << 6) | (15 << 2)} + (1 << 54)
  .quad stage2_level3 + ${TABLE}
  .space 4056
stage2_level3:
  .quad 0
  .quad 0x40400000 + ${PAGE | INNER | (3 << 6) | (15 << 2)}
  .quad 0x40400000 + ${PAGE | AF | INNER | (1 << 6) | (15 << 2)}
  .quad 0x40400000 + ${PAGE | AF | INNER | (2 << 6) | (15 << 2)}
  .space 4064
`;

function setting(name: string, value: bigint): string {
  return `  ldr x0, =0x${value.toString(16)}\n  msr ${name}, x0`;
}

function caseCode(each: ExceptionCase, index: number): string {
  const mode = (each.level << 2) | (each.level === 0 || each.threadStack ? 0 : 1);
  const status = ((each.status ?? 0x3c0) | mode) >>> 0;
  return `
case_${index}:
  bl baseline
${Object.entries(each.registers ?? {})
  .map(([name, value]) => setting(name, value))
  .join("\n")}
  ldr x27, =${index}
  mov x29, #0
${each.prepare ?? ""}
  ldr x0, =0x${status.toString(16)}
  msr spsr_el3, x0
  adr x0, code_${index}
  msr elr_el3, x0
  isb
  eret
  .ltorg
code_${index}:
${each.code}
  svc #0xdead
  .ltorg
`;
}

/** Prints "case, level, vector offset, ESR, FAR, ELR, SPSR, HPFAR", then asks EL3 for the next case. */
function handler(target: 1 | 2 | 3, offset: number): string {
  return `  movz x28, #0x${offset.toString(16)}\n  b report_el${target}`;
}

function reporter(target: 1 | 2 | 3): string {
  const next = target === 3 ? "  b next_case" : "  smc #0xbeef";
  const registers = [`esr_el${target}`, `far_el${target}`, `elr_el${target}`, `spsr_el${target}`];
  if (target === 2) registers.push("hpfar_el2");
  // X29 is set while a handler below is on its way to EL3.
  return `
report_el${target}:
  cbnz x29, on_the_way_el${target}
  mov x29, #1
  mov x9, x27
  bl hex
  mrs x9, currentel
  lsr x9, x9, #2
  orr x9, x9, x28, lsl #4
  bl hex
${registers.map((name) => `  mrs x9, ${name}\n  bl hex`).join("\n")}
  bl newline
on_the_way_el${target}:
${next}
`;
}

/** The program that runs all cases, in their order. */
export function exceptionProgram(cases: readonly ExceptionCase[]): Uint8Array {
  return bareProgram(`
  b start
${cases.map(caseCode).join("\n")}
start:
  adr x0, vectors3
  msr vbar_el3, x0
  adr x0, vectors2
  msr vbar_el2, x0
  adr x0, vectors1
  msr vbar_el1, x0
  msr oslar_el1, xzr
  mov x27, #-1
next_case:
  // EL3 may have been left with its MMU on.
  ldr x0, =0x${(BASELINE["sctlr_el3"] ?? 0n).toString(16)}
  msr sctlr_el3, x0
  isb
  msr spsel, #1
  add x27, x27, #1
  cmp x27, #${cases.length}
  b.eq finish
  adr x0, case_table
  ldr x0, [x0, x27, lsl #3]
  br x0
baseline:
${Object.entries(BASELINE)
  .map(([name, value]) => setting(name, value))
  .join("\n")}
  msr daifset, #15
  ic iallu
  tlbi alle1
  tlbi alle2
  tlbi alle3
  dsb sy
  isb
  ret
  .ltorg
  .balign 8
case_table:
${cases.map((_, index) => `  .quad case_${index}`).join("\n")}
${[1, 2, 3].map((target) => vectorTable(`vectors${target}`, (offset) => handler(target as 1 | 2 | 3, offset))).join("\n")}
${[1, 2, 3].map((target) => reporter(target as 1 | 2 | 3)).join("\n")}
${TABLES}
`);
}
