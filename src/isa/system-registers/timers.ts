import { COUNTER_FREQUENCY } from "../../base/clock.ts";
import { alias, computed, slot } from "./definition.ts";

const CTL = { fields: { ENABLE: 0, IMASK: 1, ISTATUS: 2 } } as const;
const RO = { access: "RO" } as const;
const VHE = { feature: "FEAT_VHE" } as const;
/** Fields for EL0: CNTKCTL_EL1's, and CNTHCTL_EL2's with HCR_EL2.E2H. */
const KCTL = {
  EL0PCTEN: 0,
  EL0VCTEN: 1,
  EVNTEN: 2,
  EVNTDIR: 3,
  EVNTI: [7, 4],
  EL0VTEN: 8,
  EL0PTEN: 9,
} as const;

/** The generic timer (DDI 0487, D19.12 and chapter D11). */
export const TIMER_REGISTERS = [
  slot("CNTFRQ_EL0", [3, 3, 14, 0, 0], {
    writeLevel: 3,
    writable: 0xffff_ffffn,
    reset: BigInt(COUNTER_FREQUENCY),
  }),
  computed("CNTPCT_EL0", [3, 3, 14, 0, 1], RO),
  computed("CNTVCT_EL0", [3, 3, 14, 0, 2], RO),
  computed("CNTP_TVAL_EL0", [3, 3, 14, 2, 0]),
  computed("CNTP_CTL_EL0", [3, 3, 14, 2, 1], CTL),
  computed("CNTP_CVAL_EL0", [3, 3, 14, 2, 2]),
  computed("CNTV_TVAL_EL0", [3, 3, 14, 3, 0]),
  computed("CNTV_CTL_EL0", [3, 3, 14, 3, 1], CTL),
  computed("CNTV_CVAL_EL0", [3, 3, 14, 3, 2]),
  slot("CNTKCTL_EL1", [3, 0, 14, 1, 0], { fields: KCTL, affects: ["timers"] }),
  alias("CNTKCTL_EL12", [3, 5, 14, 1, 0], "CNTKCTL_EL1"),
  slot("CNTVOFF_EL2", [3, 4, 14, 0, 3], { affects: ["timers"] }),
  // Without E2H: EL1PCTEN 0, EL1PCEN 1. With it: EL0's fields there, EL1PCTEN 10 and EL1PTEN 11.
  slot("CNTHCTL_EL2", [3, 4, 14, 1, 0], {
    fields: { ...KCTL, EL1PCTEN: 10, EL1PTEN: 11 },
    reset: 3n,
    affects: ["timers"],
  }),
  computed("CNTHP_TVAL_EL2", [3, 4, 14, 2, 0]),
  computed("CNTHP_CTL_EL2", [3, 4, 14, 2, 1], CTL),
  computed("CNTHP_CVAL_EL2", [3, 4, 14, 2, 2]),
  computed("CNTHV_TVAL_EL2", [3, 4, 14, 3, 0], VHE),
  computed("CNTHV_CTL_EL2", [3, 4, 14, 3, 1], { ...CTL, ...VHE }),
  computed("CNTHV_CVAL_EL2", [3, 4, 14, 3, 2], VHE),
  computed("CNTPS_TVAL_EL1", [3, 7, 14, 2, 0]),
  computed("CNTPS_CTL_EL1", [3, 7, 14, 2, 1], CTL),
  computed("CNTPS_CVAL_EL1", [3, 7, 14, 2, 2]),
  alias("CNTP_TVAL_EL02", [3, 5, 14, 2, 0], "CNTP_TVAL_EL0"),
  alias("CNTP_CTL_EL02", [3, 5, 14, 2, 1], "CNTP_CTL_EL0"),
  alias("CNTP_CVAL_EL02", [3, 5, 14, 2, 2], "CNTP_CVAL_EL0"),
  alias("CNTV_TVAL_EL02", [3, 5, 14, 3, 0], "CNTV_TVAL_EL0"),
  alias("CNTV_CTL_EL02", [3, 5, 14, 3, 1], "CNTV_CTL_EL0"),
  alias("CNTV_CVAL_EL02", [3, 5, 14, 3, 2], "CNTV_CVAL_EL0"),
] as const;
