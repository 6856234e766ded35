import { Bug } from "../../base/errors.ts";
import type { Feature } from "../instruction.ts";
import { type Encoding, type ExceptionLevel, encodeRegister, levelOf } from "./definition.ts";

/** One instruction of the SYS space: cache maintenance, address translation, TLB maintenance. */
export interface SystemInstruction<N extends string = string> {
  /** As in assembly: "TLBI VAE1IS". */
  readonly name: N;
  /** Bits 20:5 of the word. */
  readonly encoding: number;
  /** Lowest exception level at which it is not UNDEFINED. */
  readonly level: ExceptionLevel;
  readonly feature: Feature | undefined;
  /** Above EL2: UNDEFINED while EL2 is disabled. */
  readonly needsEl2: boolean;
}

function row<const N extends string>(name: N, place: Encoding, feature?: Feature): SystemInstruction<N> {
  const level = levelOf(place);
  // Those for EL1 and EL0 by way of stage 2 work at EL3 whatever the security state.
  const needsEl2 = /E2(IS|R|W)?$/.test(name);
  return { name, encoding: encodeRegister(place), level, feature, needsEl2 };
}

/** DDI 0487, C5.3 to C5.5. */
const ROWS = [
  row("IC IALLUIS", [1, 0, 7, 1, 0]),
  row("IC IALLU", [1, 0, 7, 5, 0]),
  row("IC IVAU", [1, 3, 7, 5, 1]),
  row("DC IVAC", [1, 0, 7, 6, 1]),
  row("DC ISW", [1, 0, 7, 6, 2]),
  row("DC CSW", [1, 0, 7, 10, 2]),
  row("DC CISW", [1, 0, 7, 14, 2]),
  row("DC ZVA", [1, 3, 7, 4, 1]),
  row("DC CVAC", [1, 3, 7, 10, 1]),
  row("DC CVAU", [1, 3, 7, 11, 1]),
  row("DC CVAP", [1, 3, 7, 12, 1], "FEAT_DPB"),
  row("DC CIVAC", [1, 3, 7, 14, 1]),
  row("AT S1E1R", [1, 0, 7, 8, 0]),
  row("AT S1E1W", [1, 0, 7, 8, 1]),
  row("AT S1E0R", [1, 0, 7, 8, 2]),
  row("AT S1E0W", [1, 0, 7, 8, 3]),
  row("AT S1E1RP", [1, 0, 7, 9, 0], "FEAT_PAN2"),
  row("AT S1E1WP", [1, 0, 7, 9, 1], "FEAT_PAN2"),
  row("AT S1E2R", [1, 4, 7, 8, 0]),
  row("AT S1E2W", [1, 4, 7, 8, 1]),
  row("AT S12E1R", [1, 4, 7, 8, 4]),
  row("AT S12E1W", [1, 4, 7, 8, 5]),
  row("AT S12E0R", [1, 4, 7, 8, 6]),
  row("AT S12E0W", [1, 4, 7, 8, 7]),
  row("AT S1E3R", [1, 6, 7, 8, 0]),
  row("AT S1E3W", [1, 6, 7, 8, 1]),
  row("TLBI VMALLE1IS", [1, 0, 8, 3, 0]),
  row("TLBI VAE1IS", [1, 0, 8, 3, 1]),
  row("TLBI ASIDE1IS", [1, 0, 8, 3, 2]),
  row("TLBI VAAE1IS", [1, 0, 8, 3, 3]),
  row("TLBI VALE1IS", [1, 0, 8, 3, 5]),
  row("TLBI VAALE1IS", [1, 0, 8, 3, 7]),
  row("TLBI VMALLE1", [1, 0, 8, 7, 0]),
  row("TLBI VAE1", [1, 0, 8, 7, 1]),
  row("TLBI ASIDE1", [1, 0, 8, 7, 2]),
  row("TLBI VAAE1", [1, 0, 8, 7, 3]),
  row("TLBI VALE1", [1, 0, 8, 7, 5]),
  row("TLBI VAALE1", [1, 0, 8, 7, 7]),
  row("TLBI IPAS2E1IS", [1, 4, 8, 0, 1]),
  row("TLBI IPAS2LE1IS", [1, 4, 8, 0, 5]),
  row("TLBI ALLE2IS", [1, 4, 8, 3, 0]),
  row("TLBI VAE2IS", [1, 4, 8, 3, 1]),
  row("TLBI ALLE1IS", [1, 4, 8, 3, 4]),
  row("TLBI VALE2IS", [1, 4, 8, 3, 5]),
  row("TLBI VMALLS12E1IS", [1, 4, 8, 3, 6]),
  row("TLBI IPAS2E1", [1, 4, 8, 4, 1]),
  row("TLBI IPAS2LE1", [1, 4, 8, 4, 5]),
  row("TLBI ALLE2", [1, 4, 8, 7, 0]),
  row("TLBI VAE2", [1, 4, 8, 7, 1]),
  row("TLBI ALLE1", [1, 4, 8, 7, 4]),
  row("TLBI VALE2", [1, 4, 8, 7, 5]),
  row("TLBI VMALLS12E1", [1, 4, 8, 7, 6]),
  row("TLBI ALLE3IS", [1, 6, 8, 3, 0]),
  row("TLBI VAE3IS", [1, 6, 8, 3, 1]),
  row("TLBI VALE3IS", [1, 6, 8, 3, 5]),
  row("TLBI ALLE3", [1, 6, 8, 7, 0]),
  row("TLBI VAE3", [1, 6, 8, 7, 1]),
  row("TLBI VALE3", [1, 6, 8, 7, 5]),
] as const;

export type SystemInstructionName = (typeof ROWS)[number]["name"];
/** Every instruction of the SYS space; what is not here is UNDEFINED. */
export const SYSTEM_INSTRUCTIONS: readonly SystemInstruction<SystemInstructionName>[] = ROWS;

/** The row of an instruction. */
export function systemInstruction(name: SystemInstructionName): SystemInstruction {
  const row = SYSTEM_INSTRUCTIONS.find((candidate) => candidate.name === name);
  if (row === undefined) throw new Bug(`no system instruction is called ${name}`);
  return row;
}
