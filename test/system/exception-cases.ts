import { BASELINE, type ExceptionCase, MAPPED } from "./exception-program.ts";

type Registers = Readonly<Record<string, bigint>>;
type Level = 0 | 1 | 2 | 3;

const LEVELS: readonly Level[] = [0, 1, 2, 3];
const at = (...positions: number[]): bigint => positions.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
const base = (name: string): bigint => BASELINE[name] ?? 0n;
const hcr = (...positions: number[]): Registers => ({ hcr_el2: base("hcr_el2") | at(...positions) });
const address = (value: bigint): string => `  ldr x1, =0x${value.toString(16)}`;
const [FMO, IMO, AMO, VF, VI, VSE, TWI, TWE, TSC, TGE, E2H] = [3, 4, 5, 6, 7, 8, 13, 14, 19, 27, 34];

const TCR = 25n | (25n << 16n) | at(7 + 16) | (2n << 30n) | (1n << 32n);
const MAIR = 0xff00n;
/** Stage 1 on, for each regime; IPS is 36 bits. */
const MMU: Record<Level, Registers> = {
  0: { sctlr_el1: base("sctlr_el1") | 1n, tcr_el1: TCR, mair_el1: MAIR },
  1: { sctlr_el1: base("sctlr_el1") | 1n, tcr_el1: TCR, mair_el1: MAIR },
  2: { sctlr_el2: base("sctlr_el2") | 1n, tcr_el2: 0x8081_0019n, mair_el2: MAIR },
  3: { sctlr_el3: base("sctlr_el3") | 1n, tcr_el3: 0x8081_0019n, mair_el3: MAIR },
};
const TABLE_REGISTER: Record<Level, string> = {
  0: "ttbr0_el1",
  1: "ttbr0_el1",
  2: "ttbr0_el2",
  3: "ttbr0_el3",
};

function withTables(level: Level): string {
  return `  adr x0, level1_table\n  msr ${TABLE_REGISTER[level]}, x0`;
}

/** The setup that turns on stage 1 for EL3 must come last: it is `prepare`. */
function translated(
  level: Level,
  name: string,
  code: string,
  more: Partial<ExceptionCase> = {},
): ExceptionCase {
  const { registers: _, prepare = "", ...rest } = more;
  const settings = { ...MMU[level], ...more.registers };
  const late = Object.entries(settings).map(
    ([register, value]) => `  ldr x0, =0x${value.toString(16)}\n  msr ${register}, x0`,
  );
  // SCTLR last, after the other registers.
  late.sort((a, b) => Number(a.includes("sctlr")) - Number(b.includes("sctlr")));
  return {
    name: `EL${level}: ${name}`,
    level,
    code,
    prepare: `${withTables(level)}\n${prepare}\n${late.join("\n")}`,
    ...rest,
  };
}

const VTCR = 25n | (1n << 6n) | (2n << 16n) | at(31);
function stage2(name: string, code: string, more: Partial<ExceptionCase> = {}): ExceptionCase {
  return {
    level: 1,
    ...more,
    name: `stage 2: ${name}`,
    code,
    registers: { vtcr_el2: VTCR, ...hcr(0), ...more.registers },
    prepare: `  adr x0, stage2_table\n  msr vttbr_el2, x0\n${more.prepare ?? ""}`,
  };
}

const calls: ExceptionCase[] = LEVELS.flatMap((level): ExceptionCase[] => [
  { name: `SVC at EL${level}`, level, code: "  svc #0x1234" },
  { name: `SVC at EL${level}, SP_EL0`, level, threadStack: true, code: "  svc #0xffff" },
  { name: `HVC at EL${level}`, level, code: "  hvc #0x4321" },
  { name: `HVC at EL${level}, HCE off`, level, registers: { scr_el3: 0x401n }, code: "  hvc #1" },
  { name: `SMC at EL${level}`, level, code: "  smc #0x5678" },
  { name: `SMC at EL${level}, TSC`, level, registers: hcr(TSC), code: "  smc #2" },
  { name: `BRK at EL${level}`, level, code: "  brk #0xabcd" },
  { name: `BRK at EL${level}, TDE`, level, registers: { mdcr_el2: 6n | at(8) }, code: "  brk #7" },
  { name: `HLT at EL${level}`, level, code: "  hlt #0x1111" },
  { name: `DCPS1 at EL${level}`, level, code: "  dcps1" },
  { name: `UDF at EL${level}`, level, code: "  udf #3" },
  { name: `unallocated at EL${level}`, level, code: "  .inst 0x00ff00ff" },
  { name: `flags at EL${level}`, level, status: 0xa000_03c0, code: "  svc #0" },
  { name: `DAIF clear at EL${level}`, level, status: 0, code: "  svc #0" },
  {
    name: `WFI at EL${level}, SCR_EL3.TWI`,
    level,
    registers: { scr_el3: base("scr_el3") | at(12) },
    code: "  wfi",
  },
  {
    name: `floating point at EL${level}, CPTR_EL3`,
    level,
    registers: { cptr_el3: at(10) },
    code: "  fmov d0, d1",
  },
  {
    name: `floating point at EL${level}, CPTR_EL2`,
    level,
    registers: { cptr_el2: 0x33ffn | at(10) },
    code: "  fmov d0, d1",
  },
  {
    name: `floating point at EL${level}, CPACR_EL1`,
    level,
    registers: { cpacr_el1: 0n },
    code: "  fmov d0, d1",
  },
  {
    name: `FPCR at EL${level}, CPACR_EL1 for EL0`,
    level,
    registers: { cpacr_el1: at(20) },
    code: "  mrs x0, fpcr",
  },
  { name: `PC alignment at EL${level}`, level, code: "  adr x1, .\n  add x1, x1, #2\n  br x1" },
  {
    name: `SP alignment at EL${level}`,
    level,
    registers: alignedStacks(),
    code: "  mov x0, sp\n  add x0, x0, #8\n  mov sp, x0\n  ldr x0, [sp]",
  },
  {
    name: `alignment at EL${level}, SCTLR.A`,
    level,
    registers: alignmentChecked(),
    code: `${address(0x4040_0001n)}\n  ldr x0, [x1]`,
  },
  { name: `LDXR alignment at EL${level}`, level, code: `${address(0x4040_0004n)}\n  ldxr x0, [x1]` },
  { name: `STLR alignment at EL${level}`, level, code: `${address(0x4040_0002n)}\n  stlr w0, [x1]` },
  {
    name: `unaligned pair at EL${level}, SCTLR.A`,
    level,
    registers: alignmentChecked(),
    code: `${address(0x4040_0004n)}\n  ldp x0, x2, [x1]`,
  },
  { name: `external abort at EL${level}`, level, code: `${address(0x0c80_0010n)}\n  ldr x0, [x1]` },
  { name: `external abort on write at EL${level}`, level, code: `${address(0x0c80_0010n)}\n  str x0, [x1]` },
  { name: `external abort on fetch at EL${level}`, level, code: `${address(0x0c80_0010n)}\n  br x1` },
  {
    name: `external abort at EL${level}, SCR_EL3.EA`,
    level,
    registers: { scr_el3: base("scr_el3") | at(3) },
    code: `${address(0x0c80_0010n)}\n  ldr x0, [x1]`,
  },
]);

function alignedStacks(): Registers {
  return {
    sctlr_el1: base("sctlr_el1") | at(3, 4),
    sctlr_el2: base("sctlr_el2") | at(3),
    sctlr_el3: base("sctlr_el3") | at(3),
  };
}

function alignmentChecked(): Registers {
  return {
    sctlr_el1: base("sctlr_el1") | at(1),
    sctlr_el2: base("sctlr_el2") | at(1),
    sctlr_el3: base("sctlr_el3") | at(1),
  };
}

const hypervised: ExceptionCase[] = [
  ...([0, 1] as const).flatMap((level): ExceptionCase[] => [
    { name: `WFI at EL${level}, TWI`, level, registers: hcr(TWI), code: "  wfi" },
    {
      name: `WFI at EL${level}, nTWI 1`,
      level,
      registers: { sctlr_el1: base("sctlr_el1") | at(16, 18), ...hcr(TWI) },
      code: "  wfi",
    },
  ]),
  { name: "WFE at EL0, nTWE 0, event set", level: 0, code: "  sevl\n  wfe\n  svc #1" },
  ...["  svc #5", "  brk #5", "  udf #0", "  hvc #5", "  fmov d0, d0", "  ldxr x0, [x1]"].flatMap(
    (code): ExceptionCase[] => [
      { name: `TGE:${code}`, level: 0, registers: hcr(TGE), code: `${address(0x4040_0001n)}\n${code}` },
      {
        name: `TGE, E2H:${code}`,
        level: 0,
        registers: { ...hcr(TGE, E2H), cptr_el2: 3n << 20n },
        code: `${address(0x4040_0001n)}\n${code}`,
      },
    ],
  ),
  {
    name: "TGE: floating point, CPACR_EL1 off",
    level: 0,
    registers: { ...hcr(TGE), cpacr_el1: 0n },
    code: "  fmov d0, d0",
  },
  {
    name: "TGE, E2H: floating point off at EL0",
    level: 0,
    registers: { ...hcr(TGE, E2H), cptr_el2: 1n << 20n },
    code: "  fmov d0, d0",
  },
  {
    name: "E2H: floating point off at EL2",
    level: 2,
    registers: { ...hcr(E2H), cptr_el2: 0n },
    code: "  fmov d0, d0",
  },
  {
    name: "E2H: floating point 01 at EL2",
    level: 2,
    registers: { ...hcr(E2H), cptr_el2: 1n << 20n },
    code: "  fmov d0, d0\n  svc #1",
  },
  {
    name: "E2H: ELR_EL1 at EL2",
    level: 2,
    registers: hcr(E2H),
    code: "  ldr x0, =0x800\n  msr elr_el1, x0\n  mrs x0, elr_el2\n  cmp x0, #0x800\n  svc #2",
  },
  {
    name: "E2H: CPACR_EL1 at EL2",
    level: 2,
    registers: hcr(E2H),
    code: "  ldr x0, =0x300000\n  msr cpacr_el1, x0\n  svc #3",
  },
  ...([0, 1, 2, 3] as const)
    .map(
      (level): ExceptionCase => ({
        name: `illegal return to EL1 with TGE from EL${level}`,
        level: level === 0 ? 2 : level,
        registers: level === 1 ? {} : hcr(TGE),
        code: `  mov x0, #0x3c5\n  msr spsr_el${level === 0 ? 2 : level}, x0\n  adr x1, .\n  msr elr_el${level === 0 ? 2 : level}, x1\n  eret`,
      }),
    )
    .filter(({ level }) => level !== 1),
];

/** Illegal exception returns, and what the first instruction then does. */
const returns: ExceptionCase[] = ([1, 2, 3] as const).flatMap((level) =>
  [0x1d0, 0x3c2, 0x3c1, 0x3cd, 0x3c9, 0x3d3, 0x10_03c0, 0x10_03c5, 0x3c6].map(
    (status): ExceptionCase => ({
      name: `ERET at EL${level} with SPSR 0x${status.toString(16)}`,
      level,
      code: `  ldr x0, =0x${status.toString(16)}\n  msr spsr_el${level}, x0\n  adr x1, 1f\n  msr elr_el${level}, x1\n  eret\n1: svc #0x77`,
    }),
  ),
);

const undefinedAtEl0 = [
  "eret",
  "msr daifset, #2",
  "msr spsel, #0",
  "msr pan, #0",
  "tlbi vmalle1",
  "dc zva, x1",
  "dc cvau, x1",
  "dc civac, x1",
  "ic ivau, x1",
  "ic iallu",
  "mrs x0, midr_el1",
  "mrs x0, ctr_el0",
  "mrs x0, dczid_el0",
  "mrs x0, cntvct_el0",
  "mrs x0, daif",
  "wfi",
].map(
  (code): ExceptionCase => ({ name: `EL0: ${code}`, level: 0, code: `${address(0x4040_0000n)}\n  ${code}` }),
);

const memory: ExceptionCase[] = LEVELS.flatMap((level): ExceptionCase[] => {
  const places = Object.entries(MAPPED).filter(([name]) => name !== "code");
  return [
    ...places.map(([name, where]) =>
      translated(level, `read of ${name}`, `${address(where + 8n)}\n  ldr x0, [x1]`),
    ),
    ...places.map(([name, where]) =>
      translated(level, `write of ${name}`, `${address(where + 8n)}\n  strb w0, [x1]`),
    ),
    ...places.map(([name, where]) => translated(level, `fetch of ${name}`, `${address(where)}\n  br x1`)),
    translated(level, "read beyond the input size", `${address(0x80_0000_0000n)}\n  ldr x0, [x1]`),
    translated(level, "read of a tagged address", `${address(0x5500_0000_8000_0000n)}\n  ldr x0, [x1]`),
    translated(level, "fetch beyond the input size", `${address(0x80_0000_0000n)}\n  br x1`),
    translated(level, "read in the upper half", `${address(0xffff_ffc0_0000_0000n)}\n  ldr x0, [x1]`),
    translated(level, "unaligned read of Device memory", `${address(MAPPED.device + 1n)}\n  ldr x0, [x1]`),
    translated(level, "read across into nothing", `${address(0xc040_0000n - 4n)}\n  ldr x0, [x1]`),
    translated(level, "atomic on read-only memory", `${address(MAPPED.readOnly3)}\n  ldadd x0, x2, [x1]`),
    translated(level, "CAS on read-only memory", `${address(MAPPED.readOnly3)}\n  cas x0, x2, [x1]`),
    translated(level, "STXR without a monitor", `${address(MAPPED.level3)}\n  clrex\n  stxr w2, x0, [x1]`),
    translated(
      level,
      "WXN",
      "  nop\n  svc #1",
      level < 2 ? { registers: { sctlr_el1: base("sctlr_el1") | at(0, 19) } } : {},
    ),
  ];
});

const privileged: ExceptionCase[] = [
  translated(1, "PAN, read of user memory", `${address(MAPPED.user)}\n  msr pan, #1\n  ldr x0, [x1]`),
  translated(
    1,
    "PAN, LDTR of user memory",
    `${address(MAPPED.user)}\n  msr pan, #1\n  ldtr x0, [x1]\n  svc #1`,
  ),
  translated(1, "LDTR of privileged memory", `${address(MAPPED.privileged)}\n  ldtr x0, [x1]`),
  translated(1, "STTRB of user read-only memory", `${address(MAPPED.userReadOnly)}\n  sttrb w0, [x1]`),
  translated(
    1,
    "UAO, LDTR of privileged memory",
    `${address(MAPPED.privileged)}\n  msr uao, #1\n  ldtr x0, [x1]\n  svc #1`,
  ),
  translated(1, "SPAN clear sets PAN", "  svc #1", {
    registers: { sctlr_el1: (base("sctlr_el1") & ~at(23)) | 1n },
  }),
  translated(0, "SPAN clear sets PAN from EL0", "  svc #1", {
    registers: { sctlr_el1: (base("sctlr_el1") & ~at(23)) | 1n },
  }),
  translated(1, "fetch of user memory", `${address(MAPPED.user)}\n  br x1`),
  translated(0, "EPD1 clear, upper half", `${address(0xffff_ffc0_0000_0000n)}\n  ldr x0, [x1]`, {
    registers: { tcr_el1: TCR & ~at(23) },
  }),
  translated(1, "TBI0, tagged read", `${address(0x5500_0000_8000_0000n)}\n  ldr x0, [x1]`, {
    registers: { tcr_el1: TCR | at(37) },
  }),
  translated(1, "DC CIVAC of nothing mapped", `${address(MAPPED.level3)}\n  dc civac, x1`),
  translated(1, "DC ZVA of read-only memory", `${address(MAPPED.readOnly3 + 0x48n)}\n  dc zva, x1`),
  translated(1, "DC ZVA of Device memory", `${address(MAPPED.device + 0x48n)}\n  dc zva, x1`),
];

const LOADS = [
  "ldrb w3, [x1]",
  "ldrsb x4, [x1]",
  "ldrsb w4, [x1]",
  "ldrh w5, [x1, #2]",
  "ldrsh w6, [x1]",
  "ldrsh x6, [x1]",
  "ldr w7, [x1]",
  "ldrsw x8, [x1]",
  "ldr x9, [x1]",
  "ldr xzr, [x1]",
  "strb w10, [x1]",
  "strh w11, [x1]",
  "str w12, [x1]",
  "str x13, [x1, #8]",
  "ldur x14, [x1, #-8]",
  "stur w15, [x1, #3]",
  "ldr x16, [x1, x2]",
  "ldtr x17, [x1]",
  "sttrh w18, [x1]",
  "ldar x19, [x1]",
  "ldarb w20, [x1]",
  "stlr w21, [x1]",
  "stlrh w22, [x1]",
  "ldaprb w3, [x1]",
  "ldapr x4, [x1]",
  "ldr x5, [x1], #8",
  "ldr x5, [x1, #8]!",
  "ldp x5, x6, [x1]",
  "stp w5, w6, [x1]",
  "ldr q0, [x1]",
  "str d0, [x1]",
  "ldr b0, [x1]",
  "ld1 {v0.16b}, [x1]",
  "ldxr x7, [x1]",
  "ldaxr w7, [x1]",
  "ldaxp x7, x8, [x1]",
  "ldadd x5, x6, [x1]",
  "swpb w5, w6, [x1]",
  "cas x5, x6, [x1]",
  "casp x4, x5, x6, x7, [x1]",
  "ldpsw x5, x6, [x1]",
];

const stage2Cases: ExceptionCase[] = [
  ...LOADS.map((code) => stage2(code, `  mov x2, #0\n${address(0x8000_0120n)}\n  ${code}`)),
  stage2("level 2 read", `${address(0xc000_0008n)}\n  ldr x0, [x1]`),
  stage2("level 3 read", `${address(0xc080_0008n)}\n  ldr x0, [x1]`),
  stage2("access flag, level 2", `${address(0xc020_0008n)}\n  ldr x0, [x1]`),
  stage2("access flag, level 3", `${address(0xc080_1008n)}\n  ldr x0, [x1]`),
  stage2("read-only, level 2", `${address(0xc040_0008n)}\n  str x0, [x1]`),
  stage2("read-only, level 3", `${address(0xc080_2008n)}\n  str x0, [x1]`),
  stage2("write-only, level 3", `${address(0xc080_3008n)}\n  ldr x0, [x1]`),
  stage2("fetch", `${address(0x8000_0000n)}\n  br x1`),
  stage2("fetch of execute-never", `${address(0xc060_0000n)}\n  br x1`),
  stage2("from EL0", `${address(0x8000_0008n)}\n  ldr w5, [x1]`, { level: 0 }),
  stage2("beyond the input size", `${address(0x80_0000_0000n)}\n  ldr x0, [x1]`),
  stage2("LDADD on read-only", `${address(0xc080_2008n)}\n  ldadd x0, x2, [x1]`),
  stage2("stage 1 table not mapped", "  nop", {
    prepare: `  ldr x0, =0x80001000\n  msr ttbr0_el1, x0\n  ldr x0, =0x${TCR.toString(16)}\n  msr tcr_el1, x0\n  ldr x0, =0x${(base("sctlr_el1") | 1n).toString(16)}\n  msr sctlr_el1, x0`,
  }),
];

/** Virtual interrupts, at once after the return to EL1 or EL0. */
const virtualInterrupts: ExceptionCase[] = ([0, 1] as const).flatMap((level): ExceptionCase[] => [
  { name: `virtual IRQ at EL${level}`, level, status: 0, registers: hcr(IMO, VI), code: "  b ." },
  { name: `virtual FIQ at EL${level}`, level, status: 0, registers: hcr(FMO, VF), code: "  b ." },
  { name: `virtual SError at EL${level}`, level, status: 0, registers: hcr(AMO, VSE), code: "  b ." },
  {
    name: `all virtual interrupts at EL${level}`,
    level,
    status: 0,
    registers: hcr(IMO, VI, FMO, VF, AMO, VSE),
    code: "  b .",
  },
  {
    name: `virtual IRQ masked at EL${level}`,
    level,
    status: 0x80,
    registers: hcr(IMO, VI),
    code: "  svc #1",
  },
  { name: `virtual IRQ without IMO at EL${level}`, level, status: 0, registers: hcr(VI), code: "  svc #1" },
]);

/** Software step, breakpoints, watchpoints. MDSCR_EL1: SS 0, KDE 13, MDE 15. */
const debug: ExceptionCase[] = ([0, 1] as const).flatMap((level): ExceptionCase[] => [
  {
    name: `step at EL${level}`,
    level,
    status: 0x20_0000,
    registers: { mdscr_el1: at(0, 13) },
    code: "  nop\n  nop\n  nop",
  },
  {
    name: `step pending at EL${level}`,
    level,
    status: 0,
    registers: { mdscr_el1: at(0, 13) },
    code: "  nop\n  nop",
  },
  {
    name: `step masked at EL${level}`,
    level,
    status: 0x20_0200,
    registers: { mdscr_el1: at(0, 13) },
    code: "  nop\n  svc #1",
  },
  {
    name: `step over SVC at EL${level}`,
    level,
    status: 0x20_0000,
    registers: { mdscr_el1: at(0, 13) },
    code: "  svc #1",
  },
  {
    name: `step over a branch at EL${level}`,
    level,
    status: 0x20_0000,
    registers: { mdscr_el1: at(0, 13) },
    code: "  b 1f\n  nop\n1: nop\n  nop",
  },
  {
    name: `step over LDXR at EL${level}`,
    level,
    status: 0x20_0000,
    registers: { mdscr_el1: at(0, 13) },
    code: "  ldxr x0, [x2]\n  nop",
    prepare: "  ldr x2, =0x40400000",
  },
  {
    name: `step over a fault at EL${level}`,
    level,
    status: 0x20_0000,
    registers: { mdscr_el1: at(0, 13) },
    code: "  udf #0\n  nop",
  },
  {
    name: `step, TDE at EL${level}`,
    level,
    status: 0x20_0000,
    registers: { mdscr_el1: at(0, 13), mdcr_el2: 6n | at(8) },
    code: "  nop\n  nop",
  },
  ...[0x1e5n, 0x1e7n, 0x1e3n].flatMap((control): ExceptionCase[] => [
    {
      name: `breakpoint 0x${control.toString(16)} at EL${level}`,
      level,
      status: 0,
      registers: { mdscr_el1: at(13, 15), dbgbcr0_el1: control },
      prepare: "  adr x0, 5f\n  msr dbgbvr0_el1, x0",
      code: "  nop\n5: nop\n  svc #1",
    },
  ]),
  ...[0x1ffdn, 0x1fefn, 0x1ff7n, 0x3ff5n & ~0x1fe0n, 0x1ffdn & ~0x1e00n].flatMap((control): ExceptionCase[] =>
    ["  ldr x0, [x1]", "  str w0, [x1, #4]", "  ldp x2, x3, [x1, #-8]", "  ldrb w0, [x1, #1]"].map(
      (code) => ({
        name: `watchpoint 0x${control.toString(16)} at EL${level}:${code}`,
        level,
        status: 0,
        registers: { mdscr_el1: at(13, 15), dbgwcr0_el1: control },
        prepare: "  ldr x0, =0x40400000\n  msr dbgwvr0_el1, x0",
        code: `${address(0x4040_0000n)}\n${code}\n  svc #1`,
      }),
    ),
  ),
]);

/** The same with MDCR_EL2.TDE, which sends all of them to EL2, from EL2 itself, too. HMC and SSC let EL2 match. */
const hypervisorDebug: ExceptionCase[] = ([0, 1, 2] as const).flatMap((level): ExceptionCase[] => {
  const routed = { mdscr_el1: at(13, 15), mdcr_el2: 6n | at(8) };
  return [
    ...[0x20_0000, 0, 0x20_0200].map((status) => ({
      name: `step, TDE at EL${level}, SPSR 0x${status.toString(16)}`,
      level,
      status,
      registers: { ...routed, mdscr_el1: at(0, 13) },
      code: "  nop\n  nop\n  svc #1",
    })),
    ...[0x1e7n, 0x61e3n, 0xe1e1n].flatMap((control) =>
      [0, 0x200].map((status) => ({
        name: `breakpoint 0x${control.toString(16)}, TDE at EL${level}${status === 0 ? "" : ", masked"}`,
        level,
        status,
        registers: { ...routed, dbgbcr0_el1: control },
        prepare: "  adr x0, 5f\n  msr dbgbvr0_el1, x0",
        code: "  nop\n5: nop\n  svc #1",
      })),
    ),
    ...[0x1fffn, 0x7ffbn, 0xfff9n].flatMap((control) =>
      ["  ldr x0, [x1]", "  stp x2, x3, [x1, #-8]"].map((code) => ({
        name: `watchpoint 0x${control.toString(16)}, TDE at EL${level}:${code}`,
        level,
        status: 0,
        registers: { ...routed, dbgwcr0_el1: control },
        prepare: "  ldr x0, =0x40400000\n  msr dbgwvr0_el1, x0",
        code: `${address(0x4040_0000n)}\n${code}\n  svc #1`,
      })),
    ),
    { name: `BRK, TDE, KDE off at EL${level}`, level, registers: { mdcr_el2: 6n | at(8) }, code: "  brk #3" },
  ];
});

/** Watchpoints on accesses that are checked as EL0's: DBGWCR.PAC of EL1 and of EL0. */
const unprivilegedWatchpoints: ExceptionCase[] = [0x1ffbn, 0x1ffdn].flatMap((control) =>
  ["ldtr x0, [x1]", "sttr x0, [x1]", "ldtrb w0, [x1, #7]", "ldr x0, [x1]"].flatMap((code) =>
    [0n, 1n].map(
      (uao): ExceptionCase => ({
        name: `watchpoint 0x${control.toString(16)}: ${code}, UAO ${uao}`,
        level: 1,
        status: Number(uao) << 23,
        registers: { mdscr_el1: at(13, 15), dbgwcr0_el1: control },
        prepare: "  ldr x0, =0x40400000\n  msr dbgwvr0_el1, x0",
        code: `${address(0x4040_0000n)}\n  ${code}\n  svc #1`,
      }),
    ),
  ),
);

/** Secure EL1 and EL0: no EL2 above them. */
const secure: ExceptionCase[] = ([0, 1] as const).flatMap((level) =>
  ["  svc #1", "  hvc #1", "  smc #1", "  brk #1", "  udf #0", "  mrs x0, cntps_ctl_el1", "  wfi"].map(
    (code): ExceptionCase => ({
      name: `Secure EL${level}:${code}`,
      level,
      registers: { scr_el3: 0x500n, ...hcr(TWI, TWE, TSC) },
      code,
    }),
  ),
);

/** Routing controls under which a physical interrupt is tried. */
const ROUTINGS: Readonly<Record<string, Registers>> = {
  "no routing": {},
  "SCR_EL3.IRQ": { scr_el3: base("scr_el3") | at(1) },
  "SCR_EL3.FIQ": { scr_el3: base("scr_el3") | at(2) },
  "SCR_EL3.IRQ and FIQ": { scr_el3: base("scr_el3") | at(1, 2) },
  IMO: hcr(IMO),
  FMO: hcr(FMO),
  "IMO and FMO": hcr(IMO, FMO),
  TGE: hcr(TGE),
  "TGE, E2H": hcr(TGE, E2H),
  "IMO, FMO, SCR_EL3.IRQ and FIQ": { ...hcr(IMO, FMO), scr_el3: base("scr_el3") | at(1, 2) },
  Secure: { scr_el3: 0x500n },
  "Secure, SCR_EL3.FIQ": { scr_el3: 0x504n },
};

/** The physical timer fires at once, as Group 0 (FIQ) or Non-secure Group 1. */
function timerInterrupt(group: 0 | 1): string {
  return `
  ldr x0, =0x08000000
  mov w1, #0x37
  str w1, [x0]
  ldr x0, =0x080a0000
  str wzr, [x0, #0x14]
  ldr x0, =0x080b0000
  ${group === 1 ? "mov w1, #-1" : "mov w1, #0"}
  str w1, [x0, #0x80]
  str wzr, [x0, #0xd00]
  movz w1, #0x4000, lsl #16
  str w1, [x0, #0x100]
  mov x0, #15
  msr icc_sre_el3, x0
  msr icc_sre_el2, x0
  isb
  mov x0, #255
  msr icc_pmr_el1, x0
  mov x0, #3
  msr icc_igrpen1_el3, x0
  mov x0, #1
  msr icc_igrpen0_el1, x0
  msr cntp_cval_el0, xzr
  msr cntp_ctl_el0, x0
  isb`;
}

const physicalInterrupts: ExceptionCase[] = LEVELS.flatMap((level) =>
  Object.entries(ROUTINGS).flatMap(([routing, registers]) =>
    ([0, 1] as const).flatMap((group) =>
      [0, 0x3c0].map(
        (status): ExceptionCase => ({
          name: `Group ${group} interrupt at EL${level}, ${routing}${status === 0 ? "" : ", masked"}`,
          ...{ level, registers, status },
          prepare: timerInterrupt(group),
          code: "  mov x1, #1000\n1: subs x1, x1, #1\n  b.ne 1b\n  svc #1",
        }),
      ),
    ),
  ),
).filter(({ name, level }) => {
  const toDisabledLevel = level === 2 && name.includes("Secure");
  return !toDisabledLevel && !(level === 1 && name.includes("TGE"));
});

/** PSTATE.SSBS, written, restored and saved. */
const speculation: ExceptionCase[] = LEVELS.flatMap((level) => [
  { name: `MSR SSBS (immediate) at EL${level}`, level, code: "  msr ssbs, #1\n  svc #1" },
  {
    name: `MSR SSBS at EL${level}`,
    level,
    code: "  mov x1, #-1\n  msr ssbs, x1\n  mrs x2, ssbs\n  svc #1",
  },
  { name: `SSBS by ERET to EL${level}`, level, status: 0x13c0, code: "  svc #1" },
  { name: `SSBS cleared at EL${level}`, level, status: 0x13c0, code: "  msr ssbs, #0\n  svc #1" },
]);

/** WFI without anybody to trap it would sleep for ever. */
function sleeps({ name }: ExceptionCase): boolean {
  return name === "WFI at EL3, SCR_EL3.TWI" || name === "Secure EL1:  wfi";
}

const ALL_CASES: readonly ExceptionCase[] = [
  ...calls,
  ...hypervised,
  ...returns,
  ...undefinedAtEl0,
  ...memory,
  ...privileged,
  ...stage2Cases,
  ...virtualInterrupts,
  ...physicalInterrupts,
  ...debug,
  ...hypervisorDebug,
  ...unprivilegedWatchpoints,
  ...secure,
  ...speculation,
];

export const EXCEPTION_CASES = ALL_CASES.filter((each) => !sleeps(each));
