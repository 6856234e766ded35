import type { Feature } from "../isa/instruction.ts";
import type { StoredRegisterName } from "../isa/system-registers/table.ts";

/** Exception levels that a machine may leave out, and what it shows of the optional instructions. */
export interface ProcessorOptions {
  /** EL3 and the Secure state. */
  readonly secure: boolean;
  /** EL2. */
  readonly virtualization: boolean;
  /** Announce the AES, SHA1, SHA256 and PMULL instructions (they execute in any case). */
  readonly showCryptography?: boolean;
}

/** Features of the system side: what has no instruction of its own in the table. */
export const SYSTEM_FEATURES: readonly Feature[] = [
  "FEAT_FP",
  "FEAT_AdvSIMD",
  "FEAT_PAN",
  "FEAT_PAN2",
  "FEAT_UAO",
  "FEAT_VHE",
  "FEAT_LOR",
  "FEAT_HAFDBS",
  "FEAT_VMID16",
  "FEAT_TTCNP",
  "FEAT_DPB",
  "FEAT_CSV2",
  "FEAT_CSV2_2",
  "FEAT_CSV2_3",
  "FEAT_CSV3",
  "FEAT_E0PD",
  "FEAT_SSBS",
  "FEAT_ECBHB",
  "FEAT_PMUv3",
  "FEAT_DoubleLock",
  "FEAT_GICv3",
];

/** Instructions that an operator chooses to show: the guest's own code may be faster. */
export const CRYPTOGRAPHY_FEATURES: readonly Feature[] = [
  "FEAT_AES",
  "FEAT_PMULL",
  "FEAT_SHA1",
  "FEAT_SHA256",
];

type IdentificationRegister = Extract<StoredRegisterName, `ID_AA64${string}`>;

/** A 4-bit field of an identification register: the value is that of the last feature present, else `none`. */
export interface IdentificationField {
  readonly register: IdentificationRegister;
  readonly field: string;
  readonly low: number;
  readonly none: number;
  readonly values: readonly (readonly [Feature, number])[];
}

function field(
  register: IdentificationRegister,
  name: string,
  low: number,
  values: readonly (readonly [Feature, number])[],
  none = 0,
): IdentificationField {
  return { register, field: name, low, none, values };
}

/**
 * How features show in the identification registers (DDI 0487, D19.2.58 and following). Fields that say
 * something about the machine (exception levels, address size) are in identification.ts.
 */
export const IDENTIFICATION_FIELDS: readonly IdentificationField[] = [
  field(
    "ID_AA64PFR0_EL1",
    "FP",
    16,
    [
      ["FEAT_FP", 0],
      ["FEAT_FP16", 1],
    ],
    15,
  ),
  field(
    "ID_AA64PFR0_EL1",
    "AdvSIMD",
    20,
    [
      ["FEAT_AdvSIMD", 0],
      ["FEAT_FP16", 1],
    ],
    15,
  ),
  field("ID_AA64PFR0_EL1", "GIC", 24, [["FEAT_GICv3", 1]]),
  field("ID_AA64PFR0_EL1", "RAS", 28, [["FEAT_RAS", 1]]),
  field("ID_AA64PFR0_EL1", "SVE", 32, [["FEAT_SVE", 1]]),
  field("ID_AA64PFR0_EL1", "DIT", 48, [["FEAT_DIT", 1]]),
  field("ID_AA64PFR0_EL1", "CSV2", 56, [
    ["FEAT_CSV2", 1],
    ["FEAT_CSV2_2", 2],
    ["FEAT_CSV2_3", 3],
  ]),
  field("ID_AA64PFR0_EL1", "CSV3", 60, [["FEAT_CSV3", 1]]),
  field("ID_AA64PFR1_EL1", "BT", 0, [["FEAT_BTI", 1]]),
  field("ID_AA64PFR1_EL1", "SSBS", 4, [
    ["FEAT_SSBS", 1],
    ["FEAT_SSBS2", 2],
  ]),
  field("ID_AA64PFR1_EL1", "MTE", 8, [
    ["FEAT_MTE", 1],
    ["FEAT_MTE2", 2],
  ]),
  field(
    "ID_AA64DFR0_EL1",
    "DebugVer",
    0,
    [
      ["FEAT_VHE", 7],
      ["FEAT_Debugv8p2", 8],
    ],
    6,
  ),
  field("ID_AA64DFR0_EL1", "PMUVer", 8, [["FEAT_PMUv3", 1]]),
  field("ID_AA64DFR0_EL1", "DoubleLock", 36, [["FEAT_DoubleLock", 0]], 15),
  field("ID_AA64ISAR0_EL1", "AES", 4, [
    ["FEAT_AES", 1],
    ["FEAT_PMULL", 2],
  ]),
  field("ID_AA64ISAR0_EL1", "SHA1", 8, [["FEAT_SHA1", 1]]),
  field("ID_AA64ISAR0_EL1", "SHA2", 12, [
    ["FEAT_SHA256", 1],
    ["FEAT_SHA512", 2],
  ]),
  field("ID_AA64ISAR0_EL1", "CRC32", 16, [["FEAT_CRC32", 1]]),
  field("ID_AA64ISAR0_EL1", "Atomic", 20, [["FEAT_LSE", 2]]),
  field("ID_AA64ISAR0_EL1", "RDM", 28, [["FEAT_RDM", 1]]),
  field("ID_AA64ISAR0_EL1", "SHA3", 32, [["FEAT_SHA3", 1]]),
  field("ID_AA64ISAR0_EL1", "SM3", 36, [["FEAT_SM3", 1]]),
  field("ID_AA64ISAR0_EL1", "SM4", 40, [["FEAT_SM4", 1]]),
  field("ID_AA64ISAR0_EL1", "DP", 44, [["FEAT_DotProd", 1]]),
  field("ID_AA64ISAR0_EL1", "FHM", 48, [["FEAT_FHM", 1]]),
  field("ID_AA64ISAR0_EL1", "TS", 52, [
    ["FEAT_FlagM", 1],
    ["FEAT_FlagM2", 2],
  ]),
  field("ID_AA64ISAR0_EL1", "TLB", 56, [
    ["FEAT_TLBIOS", 1],
    ["FEAT_TLBIRANGE", 2],
  ]),
  field("ID_AA64ISAR0_EL1", "RNDR", 60, [["FEAT_RNG", 1]]),
  field("ID_AA64ISAR1_EL1", "DPB", 0, [
    ["FEAT_DPB", 1],
    ["FEAT_DPB2", 2],
  ]),
  field("ID_AA64ISAR1_EL1", "APA", 4, [["FEAT_PAuth", 1]]),
  field("ID_AA64ISAR1_EL1", "JSCVT", 12, [["FEAT_JSCVT", 1]]),
  field("ID_AA64ISAR1_EL1", "FCMA", 16, [["FEAT_FCMA", 1]]),
  field("ID_AA64ISAR1_EL1", "LRCPC", 20, [
    ["FEAT_LRCPC", 1],
    ["FEAT_LRCPC2", 2],
  ]),
  field("ID_AA64ISAR1_EL1", "FRINTTS", 32, [["FEAT_FRINTTS", 1]]),
  field("ID_AA64ISAR1_EL1", "SB", 36, [["FEAT_SB", 1]]),
  field("ID_AA64ISAR1_EL1", "BF16", 44, [["FEAT_BF16", 1]]),
  field("ID_AA64ISAR1_EL1", "I8MM", 52, [["FEAT_I8MM", 1]]),
  field("ID_AA64MMFR1_EL1", "HAFDBS", 0, [["FEAT_HAFDBS", 2]]),
  field("ID_AA64MMFR1_EL1", "VMIDBits", 4, [["FEAT_VMID16", 2]]),
  field("ID_AA64MMFR1_EL1", "VH", 8, [["FEAT_VHE", 1]]),
  field("ID_AA64MMFR1_EL1", "HPDS", 12, [
    ["FEAT_HPDS", 1],
    ["FEAT_HPDS2", 2],
  ]),
  field("ID_AA64MMFR1_EL1", "LO", 16, [["FEAT_LOR", 1]]),
  field("ID_AA64MMFR1_EL1", "PAN", 20, [
    ["FEAT_PAN", 1],
    ["FEAT_PAN2", 2],
    ["FEAT_PAN3", 3],
  ]),
  field("ID_AA64MMFR1_EL1", "XNX", 28, [["FEAT_XNX", 1]]),
  field("ID_AA64MMFR1_EL1", "ECBHB", 60, [["FEAT_ECBHB", 1]]),
  field("ID_AA64MMFR2_EL1", "CnP", 0, [["FEAT_TTCNP", 1]]),
  field("ID_AA64MMFR2_EL1", "UAO", 4, [["FEAT_UAO", 1]]),
  field("ID_AA64MMFR2_EL1", "IESB", 12, [["FEAT_IESB", 1]]),
  field("ID_AA64MMFR2_EL1", "AT", 32, [["FEAT_LSE2", 1]]),
  field("ID_AA64MMFR2_EL1", "IDS", 36, [["FEAT_IDST", 1]]),
  field("ID_AA64MMFR2_EL1", "E0PD", 60, [["FEAT_E0PD", 1]]),
];

/** Features that need EL2. */
const NEEDS_EL2: readonly Feature[] = ["FEAT_VHE", "FEAT_VMID16", "FEAT_XNX"];

/**
 * What a processing element has.
 * @param instructionFeatures those with implemented rows in the instruction table
 */
export function featureSet(
  instructionFeatures: Iterable<Feature>,
  options: ProcessorOptions,
): ReadonlySet<Feature> {
  const features = new Set<Feature>([...SYSTEM_FEATURES, ...instructionFeatures]);
  if (!options.virtualization) for (const feature of NEEDS_EL2) features.delete(feature);
  return features;
}
