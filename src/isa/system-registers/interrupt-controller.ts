import type { InterruptRegister } from "../../base/interrupt-controller.ts";
import { type Encoding, type RegisterOptions, register, type SystemRegister } from "./definition.ts";

type GicRegister = SystemRegister<InterruptRegister, "interruptController">;

function gic(name: InterruptRegister, place: Encoding, options?: RegisterOptions): GicRegister {
  return register(name, "interruptController", place, options);
}

const RO = { access: "RO" } as const;
const WO = { access: "WO" } as const;
const FOUR = [0, 1, 2, 3] as const;
const EIGHT = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/**
 * The GICv3 CPU interface (IHI 0069, chapter 12). Which of the numbered registers exist, and what their
 * fields mean, is the controller's to say.
 */
export const INTERRUPT_CONTROLLER_REGISTERS: readonly GicRegister[] = [
  gic("ICC_PMR_EL1", [3, 0, 4, 6, 0]),
  gic("ICC_IAR0_EL1", [3, 0, 12, 8, 0], RO),
  gic("ICC_EOIR0_EL1", [3, 0, 12, 8, 1], WO),
  gic("ICC_HPPIR0_EL1", [3, 0, 12, 8, 2], RO),
  gic("ICC_BPR0_EL1", [3, 0, 12, 8, 3]),
  ...FOUR.map((n) => gic(`ICC_AP0R${n}_EL1`, [3, 0, 12, 8, 4 + n])),
  ...FOUR.map((n) => gic(`ICC_AP1R${n}_EL1`, [3, 0, 12, 9, n])),
  gic("ICC_DIR_EL1", [3, 0, 12, 11, 1], WO),
  gic("ICC_RPR_EL1", [3, 0, 12, 11, 3], RO),
  gic("ICC_SGI1R_EL1", [3, 0, 12, 11, 5], WO),
  gic("ICC_ASGI1R_EL1", [3, 0, 12, 11, 6], WO),
  gic("ICC_SGI0R_EL1", [3, 0, 12, 11, 7], WO),
  gic("ICC_IAR1_EL1", [3, 0, 12, 12, 0], RO),
  gic("ICC_EOIR1_EL1", [3, 0, 12, 12, 1], WO),
  gic("ICC_HPPIR1_EL1", [3, 0, 12, 12, 2], RO),
  gic("ICC_BPR1_EL1", [3, 0, 12, 12, 3]),
  gic("ICC_CTLR_EL1", [3, 0, 12, 12, 4]),
  gic("ICC_SRE_EL1", [3, 0, 12, 12, 5]),
  gic("ICC_IGRPEN0_EL1", [3, 0, 12, 12, 6]),
  gic("ICC_IGRPEN1_EL1", [3, 0, 12, 12, 7]),
  gic("ICC_SRE_EL2", [3, 4, 12, 9, 5]),
  gic("ICC_CTLR_EL3", [3, 6, 12, 12, 4]),
  gic("ICC_SRE_EL3", [3, 6, 12, 12, 5]),
  gic("ICC_IGRPEN1_EL3", [3, 6, 12, 12, 7]),
  ...FOUR.map((n) => gic(`ICH_AP0R${n}_EL2`, [3, 4, 12, 8, n])),
  ...FOUR.map((n) => gic(`ICH_AP1R${n}_EL2`, [3, 4, 12, 9, n])),
  gic("ICH_HCR_EL2", [3, 4, 12, 11, 0]),
  gic("ICH_VTR_EL2", [3, 4, 12, 11, 1], RO),
  gic("ICH_MISR_EL2", [3, 4, 12, 11, 2], RO),
  gic("ICH_EISR_EL2", [3, 4, 12, 11, 3], RO),
  gic("ICH_ELRSR_EL2", [3, 4, 12, 11, 5], RO),
  gic("ICH_VMCR_EL2", [3, 4, 12, 11, 7]),
  ...EIGHT.map((n) => gic(`ICH_LR${n}_EL2`, [3, 4, 12, 12, n])),
  ...EIGHT.map((n) => gic(`ICH_LR${(n + 8) as 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15}_EL2`, [3, 4, 12, 13, n])),
];
