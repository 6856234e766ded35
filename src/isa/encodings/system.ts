import { instruction } from "../instruction.ts";
import { imm32 } from "../operands.ts";
import type { ProcessorOperation } from "../semantics.ts";

/** Instructions that only raise an exception with a 16-bit comment. */
const EXCEPTIONS = [
  ["svc", "11010100 000 imm16:16 000 01", "C6.2 SVC", "supervisorCall"],
  ["hvc", "11010100 000 imm16:16 000 10", "C6.2 HVC", "hypervisorCall"],
  ["smc", "11010100 000 imm16:16 000 11", "C6.2 SMC", "secureMonitorCall"],
  ["brk", "11010100 001 imm16:16 000 00", "C6.2 BRK", "breakpoint"],
  ["hlt", "11010100 010 imm16:16 000 00", "C6.2 HLT", "halt"],
] as const satisfies readonly (readonly [string, string, string, ProcessorOperation])[];

const exceptionRows = EXCEPTIONS.map(([mnemonic, encoding, manual, operation]) =>
  instruction({
    name: `${mnemonic.toUpperCase()}_exception`,
    encoding,
    assembly: `${mnemonic} #<hex imm16>`,
    manual,
    operands: ({ imm16 }) => ({ imm: imm32(imm16) }),
    execute: (o, s) => s.processor(operation, o.imm),
  }),
);

/**
 * Hints with a name. Those of extensions that are absent do nothing, by design of the hint space; that is
 * true of all of them here but the ones with an operation.
 */
const HINTS = [
  [0, "nop"],
  [1, "yield", "yield"],
  [2, "wfe", "waitForEvent"],
  [3, "wfi", "waitForInterrupt"],
  [4, "sev", "sendEvent"],
  [5, "sevl", "sendEventLocal"],
  [6, "dgh"],
  [7, "xpaclri"],
  [8, "pacia1716"],
  [10, "pacib1716"],
  [12, "autia1716"],
  [14, "autib1716"],
  [16, "esb"],
  [17, "psb csync"],
  [18, "tsb csync"],
  [20, "csdb"],
  [24, "paciaz"],
  [25, "paciasp"],
  [26, "pacibz"],
  [27, "pacibsp"],
  [28, "autiaz"],
  [29, "autiasp"],
  [30, "autibz"],
  [31, "autibsp"],
  [32, "bti"],
  [34, "bti c"],
  [36, "bti j"],
  [38, "bti jc"],
] as const satisfies readonly (readonly [number, string, ProcessorOperation?])[];

const hintRows = HINTS.map(([number, text, operation]) =>
  instruction({
    name: `${text.toUpperCase().replace(" ", "_")}_hints`,
    encoding: `11010101000000110010 ${number.toString(2).padStart(7, "0")} 11111`,
    assembly: text,
    manual: `C6.2 HINT #${number}`,
    execute: (_, s) => {
      if (operation) s.processor(operation);
    },
  }),
);

const processStateField = (op1: number, op2: number): number => (op1 << 3) | op2;
const [UAO, PAN, SPSEL, SSBS, DAIFSET, DAIFCLR] = [0o03, 0o04, 0o05, 0o31, 0o36, 0o37];

/** MSR (immediate) and the features that its fields need. */
const processStateRows = (
  [
    { name: "MSR_imm_pstate", feature: undefined, fields: [SPSEL, DAIFSET, DAIFCLR] },
    { name: "MSR_imm_uao", feature: "FEAT_UAO", fields: [UAO] },
    { name: "MSR_imm_pan", feature: "FEAT_PAN", fields: [PAN] },
    { name: "MSR_imm_ssbs", feature: "FEAT_SSBS2", fields: [SSBS] },
  ] as const
).map(({ name, feature, fields }) =>
  instruction({
    name,
    encoding: "1101010100 0 00 op1:3 0100 CRm:4 op2:3 11111",
    assembly: "msr <pstate op1 op2>, #<hex CRm>",
    manual: "C6.2 MSR (immediate)",
    ...(feature && { feature }),
    where: ({ op1, op2 }) => (fields as readonly number[]).includes(processStateField(op1, op2)),
    operands: ({ op1, CRm, op2 }) => ({ op1: imm32(op1), op2: imm32(op2), value: imm32(CRm) }),
    execute: (o, s) => s.processor("writeProcessState", o.op1, o.op2, o.value),
  }),
);

/** Exception generation, hints, barriers, process state and system registers (C4.1). */
export const rows = [
  instruction({
    name: "UDF_only_perm_undef",
    encoding: "0000000000000000 imm16:16",
    assembly: "udf #<dec imm16>",
    manual: "C6.2 UDF",
  }),
  ...exceptionRows,
  instruction({
    name: "DCPS_dc_exception",
    encoding: "11010100 101 imm16:16 000 LL:2",
    assembly: [
      { when: ({ imm16 }) => imm16 === 0, template: "{LL:-/dcps1/dcps2/dcps3}" },
      { when: () => true, template: "{LL:-/dcps1/dcps2/dcps3} #<hex imm16>" },
    ],
    manual: "C6.2 DCPS1, DCPS2, DCPS3",
    operands: ({ imm16, LL }) => (LL === 0 ? undefined : { target: imm32(LL), imm: imm32(imm16) }),
    execute: (o, s) => s.processor("debugSwitch", o.target, o.imm),
  }),
  ...hintRows,
  instruction({
    name: "HINT_hints",
    encoding: "11010101000000110010 imm:7 11111",
    assembly: "hint #<hex imm>",
    manual: "C6.2 HINT",
    execute: () => {},
  }),
  instruction({
    name: "CLREX_barriers",
    encoding: "11010101000000110011 CRm:4 010 11111",
    assembly: [
      { when: ({ CRm }) => CRm === 15, template: "clrex <same CRm 15>" },
      { when: () => true, template: "clrex #<hex CRm>" },
    ],
    manual: "C6.2 CLREX",
    execute: (_, s) => s.clearExclusive(),
  }),
  instruction({
    name: "DSB_barriers",
    encoding: "11010101000000110011 CRm:4 100 11111",
    assembly: [
      { when: ({ CRm }) => CRm === 0, template: "ssbb" },
      { when: ({ CRm }) => CRm === 4, template: "pssbb <same CRm 4>" },
      { when: () => true, template: "dsb <barrier CRm>" },
    ],
    manual: "C6.2 DSB",
    execute: () => {},
  }),
  instruction({
    name: "DMB_barriers",
    encoding: "11010101000000110011 CRm:4 101 11111",
    assembly: "dmb <barrier CRm>",
    manual: "C6.2 DMB",
    execute: () => {},
  }),
  instruction({
    name: "ISB_barriers",
    encoding: "11010101000000110011 CRm:4 110 11111",
    assembly: [
      { when: ({ CRm }) => CRm === 15, template: "isb <same CRm 15>" },
      { when: () => true, template: "isb #<hex CRm>" },
    ],
    manual: "C6.2 ISB",
    // Whatever an ISB makes visible has been seen already: writes to code and to registers act at once.
    execute: () => {},
  }),
  ...processStateRows,
  instruction({
    name: "DC_ZVA_systeminstrs",
    encoding: "1101010100 0 01 011 0111 0100 001 Rt:5",
    assembly: "dc zva, <X Rt>",
    manual: "C6.2 DC (DC ZVA)",
    operands: ({ Rt }) => ({ t: imm32(Rt) }),
    execute: (o, s) => s.processor("zeroCacheLine", o.t),
  }),
  instruction({
    name: "SYS_systeminstrs",
    encoding: "1101010100 0 01 op1:3 CRn:4 CRm:4 op2:3 Rt:5",
    assembly: "sys #<dec op1>, c<dec CRn>, c<dec CRm>, #<dec op2><optionalX Rt>",
    manual: "C6.2 SYS",
    operands: ({ op1, CRn, CRm, op2, Rt }) => ({
      register: imm32((1 << 14) | (op1 << 11) | (CRn << 7) | (CRm << 3) | op2),
      t: imm32(Rt),
    }),
    execute: (o, s) => s.processor("systemInstruction", o.register, o.t),
  }),
  instruction({
    name: "SYSL_systeminstrs",
    encoding: "1101010100 1 01 op1:3 CRn:4 CRm:4 op2:3 Rt:5",
    assembly: "sysl <X Rt>, #<dec op1>, c<dec CRn>, c<dec CRm>, #<dec op2>",
    manual: "C6.2 SYSL",
    operands: ({ op1, CRn, CRm, op2, Rt }) => ({
      register: imm32((1 << 14) | (op1 << 11) | (CRn << 7) | (CRm << 3) | op2),
      t: imm32(Rt),
    }),
    execute: (o, s) => s.processor("systemInstructionResult", o.register, o.t),
  }),
  instruction({
    name: "MSR_systemmove",
    encoding: "1101010100 0 1 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5",
    assembly: "msr <sysreg o0 op1 CRn CRm op2>, <X Rt>",
    manual: "C6.2 MSR (register)",
    operands: ({ o0, op1, CRn, CRm, op2, Rt }) => ({
      register: imm32(((2 | o0) << 14) | (op1 << 11) | (CRn << 7) | (CRm << 3) | op2),
      t: imm32(Rt),
    }),
    execute: (o, s) => s.processor("writeSystemRegister", o.register, o.t),
  }),
  instruction({
    name: "MRS_systemmove",
    encoding: "1101010100 1 1 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5",
    assembly: "mrs <X Rt>, <sysreg o0 op1 CRn CRm op2>",
    manual: "C6.2 MRS",
    operands: ({ o0, op1, CRn, CRm, op2, Rt }) => ({
      register: imm32(((2 | o0) << 14) | (op1 << 11) | (CRn << 7) | (CRm << 3) | op2),
      t: imm32(Rt),
    }),
    execute: (o, s) => s.processor("readSystemRegister", o.register, o.t),
  }),
] as const;
