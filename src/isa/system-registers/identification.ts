import { computed, register, type SystemRegister, slot } from "./definition.ts";

const RO = { access: "RO" } as const;

/** Names of the AArch64 identification registers whose values follow from the features. */
const FEATURE_REGISTERS = [
  slot("ID_AA64PFR0_EL1", [3, 0, 0, 4, 0], RO),
  slot("ID_AA64PFR1_EL1", [3, 0, 0, 4, 1], RO),
  slot("ID_AA64DFR0_EL1", [3, 0, 0, 5, 0], RO),
  slot("ID_AA64DFR1_EL1", [3, 0, 0, 5, 1], RO),
  slot("ID_AA64AFR0_EL1", [3, 0, 0, 5, 4], RO),
  slot("ID_AA64AFR1_EL1", [3, 0, 0, 5, 5], RO),
  slot("ID_AA64ISAR0_EL1", [3, 0, 0, 6, 0], RO),
  slot("ID_AA64ISAR1_EL1", [3, 0, 0, 6, 1], RO),
  slot("ID_AA64ISAR2_EL1", [3, 0, 0, 6, 2], RO),
  slot("ID_AA64MMFR0_EL1", [3, 0, 0, 7, 0], RO),
  slot("ID_AA64MMFR1_EL1", [3, 0, 0, 7, 1], RO),
  slot("ID_AA64MMFR2_EL1", [3, 0, 0, 7, 2], RO),
] as const;

/** Op2 values of each CRm that {@link FEATURE_REGISTERS} leave, in the identification space 3,0,0,CRm,op2. */
function reservedIdentification(): SystemRegister<string, "zero">[] {
  const taken = new Set<number>(FEATURE_REGISTERS.map((row) => row.encoding));
  const rows: SystemRegister<string, "zero">[] = [];
  for (let crm = 1; crm < 8; crm++)
    for (let op2 = 0; op2 < 8; op2++) {
      const name = AARCH32_NAMES[crm]?.[op2] ?? `S3_0_C0_C${crm}_${op2}`;
      const row = register(name, "zero", [3, 0, 0, crm, op2], RO);
      if (!taken.has(row.encoding)) rows.push(row);
    }
  return rows;
}

/** Without AArch32 these hold no information; they read as zero. */
const AARCH32_NAMES: Readonly<Record<number, readonly (string | undefined)[]>> = {
  1: [
    "ID_PFR0_EL1",
    "ID_PFR1_EL1",
    "ID_DFR0_EL1",
    "ID_AFR0_EL1",
    "ID_MMFR0_EL1",
    "ID_MMFR1_EL1",
    "ID_MMFR2_EL1",
    "ID_MMFR3_EL1",
  ],
  2: [
    "ID_ISAR0_EL1",
    "ID_ISAR1_EL1",
    "ID_ISAR2_EL1",
    "ID_ISAR3_EL1",
    "ID_ISAR4_EL1",
    "ID_ISAR5_EL1",
    "ID_MMFR4_EL1",
    "ID_ISAR6_EL1",
  ],
  3: [
    "MVFR0_EL1",
    "MVFR1_EL1",
    "MVFR2_EL1",
    undefined,
    "ID_PFR2_EL1",
    "ID_DFR1_EL1",
    "ID_MMFR5_EL1",
    undefined,
  ],
  4: [undefined, undefined, undefined, undefined, "ID_AA64ZFR0_EL1", "ID_AA64SMFR0_EL1"],
};

/** Identification (DDI 0487, D19.2). Values come from the feature set when the element is built. */
export const IDENTIFICATION_REGISTERS = [
  computed("MIDR_EL1", [3, 0, 0, 0, 0], RO),
  computed("MPIDR_EL1", [3, 0, 0, 0, 5], RO),
  slot("REVIDR_EL1", [3, 0, 0, 0, 6], RO),
  ...FEATURE_REGISTERS,
  computed("CCSIDR_EL1", [3, 1, 0, 0, 0], RO),
  slot("CLIDR_EL1", [3, 1, 0, 0, 1], RO),
  slot("AIDR_EL1", [3, 1, 0, 0, 7], RO),
  slot("CSSELR_EL1", [3, 2, 0, 0, 0], { level: 1, fields: { InD: 0, Level: [3, 1] } }),
  slot("CTR_EL0", [3, 3, 0, 0, 1], RO),
  computed("DCZID_EL0", [3, 3, 0, 0, 7], RO),
  slot("VPIDR_EL2", [3, 4, 0, 0, 0], { writable: 0xffff_ffffn }),
  slot("VMPIDR_EL2", [3, 4, 0, 0, 5], { writable: 0xff_c1ff_ffffn, ones: 1n << 31n }),
] as const;

export const RESERVED_IDENTIFICATION_REGISTERS = reservedIdentification();
