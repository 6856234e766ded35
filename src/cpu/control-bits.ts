import { fieldOf } from "../isa/system-registers/table.ts";

function bit(register: string, field: string): number {
  return fieldOf(register, field)[1];
}

function hypervisor(field: string): bigint {
  return 1n << BigInt(bit("HCR_EL2", field));
}

/** HCR_EL2, as masks. */
export const HCR_FMO: bigint = hypervisor("FMO");
export const HCR_IMO: bigint = hypervisor("IMO");
export const HCR_AMO: bigint = hypervisor("AMO");
export const HCR_VF: bigint = hypervisor("VF");
export const HCR_VI: bigint = hypervisor("VI");
export const HCR_VSE: bigint = hypervisor("VSE");
export const HCR_TDZ: bigint = hypervisor("TDZ");
export const HCR_TVM: bigint = hypervisor("TVM");
export const HCR_TRVM: bigint = hypervisor("TRVM");

/** SCR_EL3, as bit numbers. */
export const SCR_IRQ: number = bit("SCR_EL3", "IRQ");
export const SCR_FIQ: number = bit("SCR_EL3", "FIQ");
export const SCR_EA: number = bit("SCR_EL3", "EA");

/** SCTLR_EL1 and its siblings, as bit numbers. */
export const SCTLR_SA: number = bit("SCTLR_EL1", "SA");
export const SCTLR_SA0: number = bit("SCTLR_EL1", "SA0");
export const SCTLR_DZE: number = bit("SCTLR_EL1", "DZE");
export const SCTLR_SPAN: number = bit("SCTLR_EL1", "SPAN");
export const SCTLR_DSSBS: number = bit("SCTLR_EL1", "DSSBS");
