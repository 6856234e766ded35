import { computed, mask, type SystemRegister, slot } from "./definition.ts";

/** Breakpoints and watchpoints of one processing element. The last two breakpoints match contexts. */
export const BREAKPOINTS = 6;
export const CONTEXT_BREAKPOINTS = 2;
export const WATCHPOINTS = 4;

const DBGBCR_FIELDS = {
  E: 0,
  PMC: [2, 1],
  HMC: 13,
  SSC: [15, 14],
  LBN: [19, 16],
  BT: [23, 20],
} as const;
/** BAS, which only AArch32 needs, is RES1. */
const DBGBCR_ONES = 0x1e0n;
const DBGWCR_FIELDS = {
  E: 0,
  PAC: [2, 1],
  LSC: [4, 3],
  BAS: [12, 5],
  HMC: 13,
  SSC: [15, 14],
  LBN: [19, 16],
  WT: 20,
  MASK: [28, 24],
} as const;
const DEBUG = ["debug"] as const;

function indexed<N extends string>(
  count: number,
  row: (index: number) => SystemRegister<N, "slot">,
): SystemRegister<N, "slot">[] {
  return Array.from({ length: count }, (_, index) => row(index));
}

/** Self-hosted debug and the debug communication channel (DDI 0487, D19.3 and chapter D2). */
export const DEBUG_REGISTERS = [
  computed("OSDTRRX_EL1", [2, 0, 0, 0, 2], { writable: 0xffff_ffffn }),
  ...indexed(BREAKPOINTS, (n) => slot(`DBGBVR${n}_EL1`, [2, 0, 0, n, 4], { affects: DEBUG })),
  ...indexed(BREAKPOINTS, (n) =>
    slot(`DBGBCR${n}_EL1`, [2, 0, 0, n, 5], { fields: DBGBCR_FIELDS, ones: DBGBCR_ONES, affects: DEBUG }),
  ),
  ...indexed(WATCHPOINTS, (n) =>
    slot(`DBGWVR${n}_EL1`, [2, 0, 0, n, 6], { fields: { VA: [63, 2] }, affects: DEBUG }),
  ),
  ...indexed(WATCHPOINTS, (n) =>
    slot(`DBGWCR${n}_EL1`, [2, 0, 0, n, 7], { fields: DBGWCR_FIELDS, affects: DEBUG }),
  ),
  slot("MDCCINT_EL1", [2, 0, 0, 2, 0], { fields: { TX: 29, RX: 30 } }),
  computed("MDSCR_EL1", [2, 0, 0, 2, 2], {
    fields: {
      SS: 0,
      ERR: 6,
      TDCC: 12,
      KDE: 13,
      HDE: 14,
      MDE: 15,
      TDA: 21,
      TXU: 26,
      RXO: 27,
      TXfull: 29,
      RXfull: 30,
    },
    affects: DEBUG,
  }),
  computed("OSDTRTX_EL1", [2, 0, 0, 3, 2], { writable: 0xffff_ffffn }),
  slot("OSECCR_EL1", [2, 0, 0, 6, 2], { writable: 0n }),
  slot("MDRAR_EL1", [2, 0, 1, 0, 0], { access: "RO" }),
  computed("OSLAR_EL1", [2, 0, 1, 0, 4], { access: "WO", affects: DEBUG }),
  computed("OSLSR_EL1", [2, 0, 1, 1, 4], { access: "RO", fields: { OSLK: 1 }, reset: mask(1) }),
  slot("OSDLR_EL1", [2, 0, 1, 3, 4], { fields: { DLK: 0 }, affects: DEBUG }),
  slot("DBGPRCR_EL1", [2, 0, 1, 4, 4], { fields: { CORENPDRQ: 0 } }),
  computed("DBGCLAIMSET_EL1", [2, 0, 7, 8, 6], { writable: 0xffn }),
  computed("DBGCLAIMCLR_EL1", [2, 0, 7, 9, 6], { writable: 0xffn }),
  computed("DBGAUTHSTATUS_EL1", [2, 0, 7, 14, 6], { access: "RO" }),
  computed("MDCCSR_EL0", [2, 3, 0, 1, 0], { access: "RO" }),
  computed("DBGDTR_EL0", [2, 3, 0, 4, 0]),
  /** DBGDTRRX_EL0 when read, DBGDTRTX_EL0 when written. */
  computed("DBGDTRRX_EL0", [2, 3, 0, 5, 0], { writable: 0xffff_ffffn }),
  slot("MDCR_EL2", [3, 4, 1, 1, 1], {
    fields: {
      HPMN: [4, 0],
      TPMCR: 5,
      TPM: 6,
      HPME: 7,
      TDE: 8,
      TDA: 9,
      TDOSA: 10,
      TDRA: 11,
    },
    reset: 6n,
    affects: ["debug", "counters"],
  }),
  slot("MDCR_EL3", [3, 6, 1, 3, 1], {
    fields: { TPM: 6, TDA: 9, TDOSA: 10, SPD32: [15, 14], SDD: 16, SPME: 17 },
    writable: mask(6, 9, 10, 16, 17),
    affects: ["debug", "counters"],
  }),
] as const;
