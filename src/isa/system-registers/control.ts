import { alias, computed, type FieldMap, mask, slot } from "./definition.ts";

/** Fields that SCTLR_EL1, SCTLR_EL2 and SCTLR_EL3 share. */
const SCTLR_COMMON = {
  M: 0,
  A: 1,
  C: 2,
  SA: 3,
  I: 12,
  WXN: 19,
  EE: 25,
  DSSBS: 44,
} as const satisfies FieldMap;
/** Fields that concern EL0: in SCTLR_EL1 and, with HCR_EL2.E2H, in SCTLR_EL2. */
const SCTLR_HOST = {
  SA0: 4,
  UMA: 9,
  DZE: 14,
  UCT: 15,
  nTWI: 16,
  nTWE: 18,
  TSCXT: 20,
  SPAN: 23,
  E0E: 24,
  UCI: 26,
} as const satisfies FieldMap;

const CPACR_FIELDS = { FPEN: [21, 20], TTA: 28 } as const satisfies FieldMap;
/** Low bits as CPTR_EL2 without E2H, the rest as CPACR_EL1 with it; RES1 bits depend on E2H. */
const CPTR_EL2_FIELDS = {
  TZ: 8,
  TFP: 10,
  ZEN: [17, 16],
  FPEN: [21, 20],
  TTA_HOST: 28,
  TCPAC: 31,
} as const satisfies FieldMap;

const HCR_FIELDS = {
  VM: 0,
  SWIO: 1,
  PTW: 2,
  FMO: 3,
  IMO: 4,
  AMO: 5,
  VF: 6,
  VI: 7,
  VSE: 8,
  FB: 9,
  BSU: [11, 10],
  DC: 12,
  TWI: 13,
  TWE: 14,
  TID0: 15,
  TID1: 16,
  TID2: 17,
  TID3: 18,
  TSC: 19,
  TIDCP: 20,
  TACR: 21,
  TSW: 22,
  TPCP: 23,
  TPU: 24,
  TTLB: 25,
  TVM: 26,
  TGE: 27,
  TDZ: 28,
  HCD: 29,
  TRVM: 30,
  RW: 31,
  CD: 32,
  ID: 33,
  E2H: 34,
  TLOR: 35,
  MIOCNCE: 38,
  EnSCXT: 53,
} as const satisfies FieldMap;

const SCR_FIELDS = {
  NS: 0,
  IRQ: 1,
  FIQ: 2,
  EA: 3,
  SMD: 7,
  HCE: 8,
  SIF: 9,
  RW: 10,
  ST: 11,
  TWI: 12,
  TWE: 13,
  TLOR: 14,
  EnSCXT: 25,
} as const satisfies FieldMap;

const TCR_EL1_FIELDS = {
  T0SZ: [5, 0],
  EPD0: 7,
  IRGN0: [9, 8],
  ORGN0: [11, 10],
  SH0: [13, 12],
  TG0: [15, 14],
  T1SZ: [21, 16],
  A1: 22,
  EPD1: 23,
  IRGN1: [25, 24],
  ORGN1: [27, 26],
  SH1: [29, 28],
  TG1: [31, 30],
  IPS: [34, 32],
  AS: 36,
  TBI0: 37,
  TBI1: 38,
  HA: 39,
  HD: 40,
  E0PD0: 55,
  E0PD1: 56,
} as const satisfies FieldMap;

/** TCR_EL2 has this form without HCR_EL2.E2H, and TCR_EL1's with it: all bits of either are kept. */
const TCR_EL3_FIELDS = {
  T0SZ: [5, 0],
  IRGN0: [9, 8],
  ORGN0: [11, 10],
  SH0: [13, 12],
  TG0: [15, 14],
  PS: [18, 16],
  TBI: 20,
  HA: 21,
  HD: 22,
} as const satisfies FieldMap;

const VTCR_FIELDS = {
  T0SZ: [5, 0],
  SL0: [7, 6],
  IRGN0: [9, 8],
  ORGN0: [11, 10],
  SH0: [13, 12],
  TG0: [15, 14],
  PS: [18, 16],
  VS: 19,
  HA: 21,
  HD: 22,
  HWU: [28, 25],
} as const satisfies FieldMap;

const CONTEXTIDR_FIELDS = { PROCID: [31, 0] } as const satisfies FieldMap;
const TRANSLATION = { affects: ["translation"] } as const;

/** System control, translation control, thread and software-context registers (DDI 0487, D19.2). */
export const CONTROL_REGISTERS = [
  slot("SCTLR_EL1", [3, 0, 1, 0, 0], {
    fields: { ...SCTLR_COMMON, ...SCTLR_HOST },
    // LSMAOE, nTLSMD, EIS, EOS are RES1 without their features; SED and ITD are RES1 without AArch32.
    ones: mask(29, 28, 22, 11, 8, 7),
    reset: mask(23, 20),
    affects: ["translation", "byteOrder"],
  }),
  slot("SCTLR_EL2", [3, 4, 1, 0, 0], {
    fields: { ...SCTLR_COMMON, ...SCTLR_HOST },
    ones: mask(29, 28, 22, 11),
    reset: mask(23, 18, 16),
    affects: ["translation", "byteOrder"],
  }),
  slot("SCTLR_EL3", [3, 6, 1, 0, 0], {
    fields: SCTLR_COMMON,
    ones: mask(29, 28, 23, 22, 18, 16, 11, 5, 4),
    affects: ["translation", "byteOrder"],
  }),
  alias("SCTLR_EL12", [3, 5, 1, 0, 0], "SCTLR_EL1"),
  slot("ACTLR_EL1", [3, 0, 1, 0, 1], { writable: 0n }),
  slot("ACTLR_EL2", [3, 4, 1, 0, 1], { writable: 0n }),
  slot("ACTLR_EL3", [3, 6, 1, 0, 1], { writable: 0n }),
  slot("CPACR_EL1", [3, 0, 1, 0, 2], {
    fields: CPACR_FIELDS,
    writable: mask(21, 20),
    affects: ["floatingPoint"],
  }),
  alias("CPACR_EL12", [3, 5, 1, 0, 2], "CPACR_EL1"),
  computed("CPTR_EL2", [3, 4, 1, 1, 2], { fields: CPTR_EL2_FIELDS, affects: ["floatingPoint"] }),
  slot("CPTR_EL3", [3, 6, 1, 1, 2], { fields: { TFP: 10, TCPAC: 31 }, affects: ["floatingPoint"] }),
  slot("HCR_EL2", [3, 4, 1, 1, 0], {
    fields: HCR_FIELDS,
    // RW is RAO/WI: EL1 has no AArch32. TID0, CD, ID and MIOCNCE keep their value without effect.
    ones: mask(31),
    affects: ["translation", "interrupts", "floatingPoint", "debug", "timers", "byteOrder"],
  }),
  slot("HSTR_EL2", [3, 4, 1, 1, 3], { writable: 0xffffn }),
  slot("HACR_EL2", [3, 4, 1, 1, 7], { writable: 0n }),
  slot("SCR_EL3", [3, 6, 1, 1, 0], {
    fields: SCR_FIELDS,
    // RW is RAO/WI: lower levels have no AArch32.
    ones: mask(10, 5, 4),
    writable: mask(0, 1, 2, 3, 7, 8, 9, 11, 12, 13, 14, 25),
    affects: ["translation", "interrupts", "floatingPoint", "debug", "timers", "byteOrder"],
  }),
  slot("TTBR0_EL1", [3, 0, 2, 0, 0], TRANSLATION),
  slot("TTBR1_EL1", [3, 0, 2, 0, 1], TRANSLATION),
  slot("TCR_EL1", [3, 0, 2, 0, 2], { fields: TCR_EL1_FIELDS, affects: ["translation"] }),
  slot("TTBR0_EL2", [3, 4, 2, 0, 0], TRANSLATION),
  slot("TTBR1_EL2", [3, 4, 2, 0, 1], { ...TRANSLATION, feature: "FEAT_VHE" }),
  slot("TCR_EL2", [3, 4, 2, 0, 2], {
    fields: TCR_EL3_FIELDS,
    // Without E2H bits 31 and 23 are RES1; nothing depends on them.
    writable: 0x0180_01f7_ffff_ffbfn,
    affects: ["translation"],
  }),
  slot("VTTBR_EL2", [3, 4, 2, 1, 0], TRANSLATION),
  slot("VTCR_EL2", [3, 4, 2, 1, 2], { fields: VTCR_FIELDS, ones: mask(31), affects: ["translation"] }),
  slot("TTBR0_EL3", [3, 6, 2, 0, 0], TRANSLATION),
  slot("TCR_EL3", [3, 6, 2, 0, 2], { fields: TCR_EL3_FIELDS, ones: mask(31, 23), affects: ["translation"] }),
  alias("TTBR0_EL12", [3, 5, 2, 0, 0], "TTBR0_EL1"),
  alias("TTBR1_EL12", [3, 5, 2, 0, 1], "TTBR1_EL1"),
  alias("TCR_EL12", [3, 5, 2, 0, 2], "TCR_EL1"),
  slot("MAIR_EL1", [3, 0, 10, 2, 0], TRANSLATION),
  slot("MAIR_EL2", [3, 4, 10, 2, 0], TRANSLATION),
  slot("MAIR_EL3", [3, 6, 10, 2, 0], TRANSLATION),
  alias("MAIR_EL12", [3, 5, 10, 2, 0], "MAIR_EL1"),
  slot("AMAIR_EL1", [3, 0, 10, 3, 0], { writable: 0n }),
  slot("AMAIR_EL2", [3, 4, 10, 3, 0], { writable: 0n }),
  slot("AMAIR_EL3", [3, 6, 10, 3, 0], { writable: 0n }),
  alias("AMAIR_EL12", [3, 5, 10, 3, 0], "AMAIR_EL1"),
  slot("PAR_EL1", [3, 0, 7, 4, 0]),
  slot("CONTEXTIDR_EL1", [3, 0, 13, 0, 1], { fields: CONTEXTIDR_FIELDS, affects: ["debug"] }),
  slot("CONTEXTIDR_EL2", [3, 4, 13, 0, 1], {
    fields: CONTEXTIDR_FIELDS,
    feature: "FEAT_VHE",
    affects: ["debug"],
  }),
  alias("CONTEXTIDR_EL12", [3, 5, 13, 0, 1], "CONTEXTIDR_EL1"),
  slot("TPIDR_EL0", [3, 3, 13, 0, 2]),
  slot("TPIDRRO_EL0", [3, 3, 13, 0, 3], { writeLevel: 1 }),
  slot("TPIDR_EL1", [3, 0, 13, 0, 4]),
  slot("TPIDR_EL2", [3, 4, 13, 0, 2]),
  slot("TPIDR_EL3", [3, 6, 13, 0, 2]),
  slot("SCXTNUM_EL0", [3, 3, 13, 0, 7], { feature: "FEAT_CSV2_2" }),
  slot("SCXTNUM_EL1", [3, 0, 13, 0, 7], { feature: "FEAT_CSV2_2" }),
  slot("SCXTNUM_EL2", [3, 4, 13, 0, 7], { feature: "FEAT_CSV2_2" }),
  slot("SCXTNUM_EL3", [3, 6, 13, 0, 7], { feature: "FEAT_CSV2_2" }),
  alias("SCXTNUM_EL12", [3, 5, 13, 0, 7], "SCXTNUM_EL1", { feature: "FEAT_CSV2_2" }),
  // Limited ordering regions: none can be described, so that LORID_EL1 is zero and the others are RES0.
  slot("LORSA_EL1", [3, 0, 10, 4, 0], { writable: 0n, feature: "FEAT_LOR" }),
  slot("LOREA_EL1", [3, 0, 10, 4, 1], { writable: 0n, feature: "FEAT_LOR" }),
  slot("LORN_EL1", [3, 0, 10, 4, 2], { writable: 0n, feature: "FEAT_LOR" }),
  slot("LORC_EL1", [3, 0, 10, 4, 3], { writable: 0n, feature: "FEAT_LOR" }),
  slot("LORID_EL1", [3, 0, 10, 4, 7], { access: "RO", feature: "FEAT_LOR" }),
] as const;
