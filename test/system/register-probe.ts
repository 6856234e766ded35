import { bareProgram, vectorTable } from "./runtime.ts";

/** How the registers that decide about traps are set while encodings are tried. */
export interface ProbeSetting {
  readonly name: string;
  /** Values by register; what is not named keeps the values below. */
  readonly registers: Readonly<Record<string, bigint>>;
}

/** Everything open that can be opened, at every level. */
const OPEN: Readonly<Record<string, bigint>> = {
  SCR_EL3: 0x0200_0d31n, // EnSCXT, ST, RW, HCE, NS
  MDCR_EL3: 0n,
  CPTR_EL3: 0n,
  HCR_EL2: (1n << 31n) | (1n << 53n), // RW, EnSCXT
  MDCR_EL2: 6n,
  CPTR_EL2: 0x33ffn,
  CNTHCTL_EL2: 3n,
  CNTKCTL_EL1: 0x303n,
  CPACR_EL1: 3n << 20n,
  PMUSERENR_EL0: 15n,
  MDSCR_EL1: 0n,
  SCTLR_EL1: 0x30d0_0980n | (1n << 26n) | (1n << 15n) | (1n << 14n) | (1n << 9n), // UCI, UCT, DZE, UMA
};

const bits = (...positions: number[]): bigint =>
  positions.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
const HCR_OPEN = OPEN["HCR_EL2"] ?? 0n;
const SCR_OPEN = OPEN["SCR_EL3"] ?? 0n;

/** The settings that are compared with QEMU: each group of traps on its own. */
export const PROBE_SETTINGS: readonly ProbeSetting[] = [
  { name: "open", registers: {} },
  { name: "secure", registers: { SCR_EL3: SCR_OPEN & ~1n } },
  {
    name: "EL0 closed",
    registers: {
      CNTKCTL_EL1: 0n,
      PMUSERENR_EL0: 0n,
      MDSCR_EL1: 1n << 12n,
      SCTLR_EL1: 0x30d0_0980n,
      CPACR_EL1: 0n,
    },
  },
  {
    name: "EL0 closed, TGE",
    registers: {
      CNTKCTL_EL1: 0n,
      PMUSERENR_EL0: 0n,
      MDSCR_EL1: 1n << 12n,
      SCTLR_EL1: 0x30d0_0980n,
      CPACR_EL1: 0n,
      HCR_EL2: HCR_OPEN | bits(27),
    },
  },
  { name: "PMU by ER", registers: { PMUSERENR_EL0: 8n } },
  { name: "PMU by CR and SW", registers: { PMUSERENR_EL0: 6n } },
  // TVM, TRVM, TID1-3, TACR, TSW, TPCP, TPU, TTLB, TDZ, TLOR.
  {
    name: "HCR_EL2 traps",
    registers: { HCR_EL2: HCR_OPEN | bits(26, 30, 16, 17, 18, 21, 22, 23, 24, 25, 28, 35) },
  },
  { name: "HCR_EL2.TVM alone", registers: { HCR_EL2: HCR_OPEN | bits(26) } },
  { name: "HCR_EL2.TRVM alone", registers: { HCR_EL2: HCR_OPEN | bits(30) } },
  { name: "HCR_EL2 routing", registers: { HCR_EL2: HCR_OPEN | bits(3, 4, 5) } },
  { name: "MDCR_EL2.TDA", registers: { MDCR_EL2: 6n | bits(11, 9) } },
  { name: "MDCR_EL2.TDOSA", registers: { MDCR_EL2: 6n | bits(11, 10) } },
  { name: "MDCR_EL2.TDRA", registers: { MDCR_EL2: 6n | bits(11) } },
  { name: "MDCR_EL2.TDE", registers: { MDCR_EL2: 6n | bits(8) } },
  { name: "MDCR_EL2.TPM", registers: { MDCR_EL2: 6n | bits(6) } },
  { name: "MDCR_EL2.TPMCR", registers: { MDCR_EL2: 6n | bits(5) } },
  { name: "CPTR_EL2", registers: { CPTR_EL2: 0x33ffn | bits(31, 10) } },
  { name: "CNTHCTL_EL2", registers: { CNTHCTL_EL2: 0n } },
  { name: "EL3 traps", registers: { MDCR_EL3: bits(6, 9, 10), CPTR_EL3: bits(31, 10) } },
  { name: "SCR_EL3 interrupts", registers: { SCR_EL3: SCR_OPEN | bits(1, 2) } },
  { name: "SCR_EL3.IRQ", registers: { SCR_EL3: SCR_OPEN | bits(1) } },
  { name: "SCR_EL3.FIQ", registers: { SCR_EL3: SCR_OPEN | bits(2) } },
  { name: "SCR_EL3 closed", registers: { SCR_EL3: (SCR_OPEN & ~bits(11)) | bits(14) } },
  { name: "SCR_EL3 closed, Secure", registers: { SCR_EL3: (SCR_OPEN & ~bits(11, 0)) | bits(14) } },
  { name: "E2H", registers: { HCR_EL2: HCR_OPEN | bits(34), CNTHCTL_EL2: 0xc03n, CPTR_EL2: 3n << 20n } },
  { name: "E2H, closed", registers: { HCR_EL2: HCR_OPEN | bits(34), CNTHCTL_EL2: 0n, CPTR_EL2: bits(31) } },
  {
    name: "host",
    registers: { HCR_EL2: HCR_OPEN | bits(34, 27), CNTHCTL_EL2: 0xf03n, CPTR_EL2: 3n << 20n },
  },
  {
    name: "host, closed",
    registers: { HCR_EL2: HCR_OPEN | bits(34, 27), CNTHCTL_EL2: 0n, CPTR_EL2: 1n << 20n },
  },
];

/** Whether EL3 can enter a level in this setting: not EL1 under TGE, nor EL2 when it is disabled. */
export function isPossible({ registers }: ProbeSetting, level: number): boolean {
  const value = (name: string): bigint => registers[name] ?? OPEN[name] ?? 0n;
  if (level === 1) return (value("HCR_EL2") & bits(27)) === 0n || (value("SCR_EL3") & 1n) === 0n;
  return level !== 2 || (value("SCR_EL3") & 1n) === 1n;
}

/** Encodings of one direction: op0 from 1 (SYS) to 3, all others. */
export const FIRST_ENCODING = 1 << 14;
export const LAST_ENCODING = (1 << 16) - 1;

/** Registers in the order in which they are set, at EL3. */
const SETTING_ORDER = Object.keys(OPEN);

function literal(register: string, value: bigint): string {
  return `  ldr x0, =0x${value.toString(16)}\n  msr ${register.toLowerCase()}, x0`;
}

/**
 * A program that tries every MRS (op0 2 and 3) or every SYS and MSR (op0 1 to 3) encoding at one level, and prints
 * a line for each that is not UNDEFINED: "R" or "W", the encoding, the level that the exception went to or
 * "-", and its syndrome. What is read is written back; what only can be written gets zero (SYS: an address).
 */
export function registerProbe(setting: ProbeSetting, level: 0 | 1 | 2 | 3): Uint8Array {
  const registers = { ...OPEN, ...setting.registers };
  // EL0 runs with EL1 (or the host at EL2) above it; at EL3 no return is needed.
  const mode = [0x3c0, 0x3c5, 0x3c9, 0x3cd][level]!;
  const body = `
  mrs x0, scr_el3
  mov x1, #0x401
  orr x0, x0, x1
  msr scr_el3, x0
  isb
  adr x0, vectors3
  msr vbar_el3, x0
  adr x0, vectors2
  msr vbar_el2, x0
  adr x0, vectors1
  msr vbar_el1, x0
  msr oslar_el1, xzr
  mov x26, #0
${SETTING_ORDER.map((name) => literal(name, registers[name] ?? 0n)).join("\n")}
  isb
  ldr x0, =0x${mode.toString(16)}
  msr spsr_el3, x0
  adr x0, probe
  msr elr_el3, x0
  eret
probe:
  ldr x19, =0x${(FIRST_ENCODING << 5).toString(16)}
each:
  // Reading. X0 keeps the value, X20 the syndrome, X21 the level of the exception.
  ldr x22, =0xd5200000
  orr x22, x22, x19
  tbz w19, #20, write_only
  adr x23, slot
  str w22, [x23]
  bl synchronize
  movz x0, #0x4021, lsl #16
  mov x20, #0
  mov x21, #0
  bl slot
  mov x24, #82
  bl report
  cbz x20, write
write_only:
  mov x0, #0
  tbnz w19, #20, write
  movz x0, #0x4030, lsl #16
write:
  ldr x22, =0xd5000000
  orr x22, x22, x19
  adr x23, slot
  str w22, [x23]
  bl synchronize
  mov x20, #0
  mov x21, #0
  bl slot
  mov x24, #87
  bl report
  add x19, x19, #32
  ldr x22, =0x${((LAST_ENCODING + 1) << 5).toString(16)}
  cmp x19, x22
  b.ne each
  b finish

synchronize:
  ${level > 0 ? "dc cvau, x23\n  dsb sy\n  ic ivau, x23\n  dsb sy" : "dsb sy"}
  isb
  ret

  .balign 64
slot:
  nop
  ret

report:
  // An UNDEFINED encoding (class 0) is not worth a line.
  cbz x21, 1f
  lsr x9, x20, #26
  cbz x9, 2f
1: mov x25, x30
  movz x10, #0x900, lsl #16
  str w24, [x10]
  mov w11, #32
  str w11, [x10]
  lsr x9, x19, #5
  bl hex
  mov x9, x21
  bl hex
  mov x9, x20
  bl hex
  bl newline
  mov x30, x25
2: ret
  .ltorg

${[1, 2, 3].map((target) => vectorTable(`vectors${target}`, (offset) => handler(target, offset))).join("\n")}
`;
  return bareProgram(body);
}

/**
 * Notes the syndrome and goes on behind the instruction. Anything but a synchronous exception ends the program.
 * HCR_EL2.TRVM traps EL1's reading of ESR_EL1, too: X26 tells EL2 to read it for EL1.
 */
function handler(target: number, offset: number): string {
  if ((offset & 0x180) !== 0) return "  b finish";
  const next = `  mrs x27, elr_el${target}
  add x27, x27, #4
  msr elr_el${target}, x27
  eret`;
  const own = `  mov x26, #${target === 1 ? 1 : 0}
  mrs x20, esr_el${target}
  mov x26, #0
  mov x21, #${target}
${next}`;
  if (target !== 2) return own;
  return `  cbnz x26, 1f
${own}
1: mrs x20, esr_el1
${next}`;
}
