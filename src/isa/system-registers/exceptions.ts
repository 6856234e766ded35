import { alias, computed, type FieldMap, register, slot } from "./definition.ts";

/** Fields of a saved program status, AArch64 form. */
const SPSR_FIELDS = {
  M: [3, 0],
  nRW: 4,
  F: 6,
  I: 7,
  A: 8,
  D: 9,
  SSBS: 12,
  IL: 20,
  SS: 21,
  PAN: 22,
  UAO: 23,
  V: 28,
  C: 29,
  Z: 30,
  N: 31,
} as const satisfies FieldMap;

const ESR_FIELDS = { ISS: [24, 0], IL: 25, EC: [31, 26] } as const satisfies FieldMap;
const SPSR = { fields: SPSR_FIELDS } as const;
const ESR = { fields: ESR_FIELDS } as const;
const VBAR = { fields: { BASE: [63, 11] } } as const;

/** Exception handling and processor state (DDI 0487, C5.2 and D19.2). */
export const EXCEPTION_REGISTERS = [
  slot("SPSR_EL1", [3, 0, 4, 0, 0], SPSR),
  slot("SPSR_EL2", [3, 4, 4, 0, 0], SPSR),
  slot("SPSR_EL3", [3, 6, 4, 0, 0], SPSR),
  alias("SPSR_EL12", [3, 5, 4, 0, 0], "SPSR_EL1"),
  slot("ELR_EL1", [3, 0, 4, 0, 1]),
  slot("ELR_EL2", [3, 4, 4, 0, 1]),
  slot("ELR_EL3", [3, 6, 4, 0, 1]),
  alias("ELR_EL12", [3, 5, 4, 0, 1], "ELR_EL1"),
  computed("SP_EL0", [3, 0, 4, 1, 0]),
  computed("SP_EL1", [3, 4, 4, 1, 0]),
  computed("SP_EL2", [3, 6, 4, 1, 0]),
  computed("SPSel", [3, 0, 4, 2, 0], { fields: { SP: 0 } }),
  computed("CurrentEL", [3, 0, 4, 2, 2], { access: "RO", fields: { EL: [3, 2] } }),
  computed("PAN", [3, 0, 4, 2, 3], { fields: { PAN: 22 }, feature: "FEAT_PAN", affects: ["translation"] }),
  computed("UAO", [3, 0, 4, 2, 4], { fields: { UAO: 23 }, feature: "FEAT_UAO", affects: ["translation"] }),
  computed("SSBS", [3, 3, 4, 2, 6], { fields: { SSBS: 12 }, feature: "FEAT_SSBS2" }),
  computed("NZCV", [3, 3, 4, 2, 0], { fields: { V: 28, C: 29, Z: 30, N: 31 } }),
  computed("DAIF", [3, 3, 4, 2, 1], { fields: { F: 6, I: 7, A: 8, D: 9 }, affects: ["interrupts", "debug"] }),
  computed("FPCR", [3, 3, 4, 4, 0], {
    fields: { RMode: [23, 22], FZ: 24, DN: 25, AHP: 26 },
  }),
  computed("FPSR", [3, 3, 4, 4, 1], {
    fields: { IOC: 0, DZC: 1, OFC: 2, UFC: 3, IXC: 4, IDC: 7, QC: 27 },
  }),
  slot("ESR_EL1", [3, 0, 5, 2, 0], ESR),
  slot("ESR_EL2", [3, 4, 5, 2, 0], ESR),
  slot("ESR_EL3", [3, 6, 5, 2, 0], ESR),
  alias("ESR_EL12", [3, 5, 5, 2, 0], "ESR_EL1"),
  slot("FAR_EL1", [3, 0, 6, 0, 0]),
  slot("FAR_EL2", [3, 4, 6, 0, 0]),
  slot("FAR_EL3", [3, 6, 6, 0, 0]),
  alias("FAR_EL12", [3, 5, 6, 0, 0], "FAR_EL1"),
  slot("HPFAR_EL2", [3, 4, 6, 0, 4], { fields: { FIPA: [39, 4] } }),
  slot("AFSR0_EL1", [3, 0, 5, 1, 0], { writable: 0n }),
  slot("AFSR1_EL1", [3, 0, 5, 1, 1], { writable: 0n }),
  slot("AFSR0_EL2", [3, 4, 5, 1, 0], { writable: 0n }),
  slot("AFSR1_EL2", [3, 4, 5, 1, 1], { writable: 0n }),
  slot("AFSR0_EL3", [3, 6, 5, 1, 0], { writable: 0n }),
  slot("AFSR1_EL3", [3, 6, 5, 1, 1], { writable: 0n }),
  alias("AFSR0_EL12", [3, 5, 5, 1, 0], "AFSR0_EL1"),
  alias("AFSR1_EL12", [3, 5, 5, 1, 1], "AFSR1_EL1"),
  slot("VBAR_EL1", [3, 0, 12, 0, 0], VBAR),
  slot("VBAR_EL2", [3, 4, 12, 0, 0], VBAR),
  slot("VBAR_EL3", [3, 6, 12, 0, 0], VBAR),
  alias("VBAR_EL12", [3, 5, 12, 0, 0], "VBAR_EL1"),
  computed("RVBAR_EL1", [3, 0, 12, 0, 1], { access: "RO" }),
  computed("RVBAR_EL2", [3, 4, 12, 0, 1], { access: "RO" }),
  computed("RVBAR_EL3", [3, 6, 12, 0, 1], { access: "RO" }),
  computed("ISR_EL1", [3, 0, 12, 1, 0], { access: "RO", fields: { F: 6, I: 7, A: 8 } }),
  // Banked status of AArch32 modes: RES0 where EL1 has no AArch32.
  register("SPSR_irq", "zero", [3, 4, 4, 3, 0]),
  register("SPSR_abt", "zero", [3, 4, 4, 3, 1]),
  register("SPSR_und", "zero", [3, 4, 4, 3, 2]),
  register("SPSR_fiq", "zero", [3, 4, 4, 3, 3]),
] as const;
