import { computed, type Encoding, type RegisterOptions, register } from "./definition.ts";

function absent<const N extends string>(name: N, place: Encoding, options?: RegisterOptions) {
  return register(name, "absent", place, options);
}

/**
 * This product's own registers, in the space the architecture leaves for that. From below their level they are
 * UNDEFINED, or trapped by HCR_EL2.TIDCP.
 */
export const IMPLEMENTATION_DEFINED_REGISTERS = [
  computed("GWBBASE_EL2", [3, 4, 15, 1, 0]),
  computed("GWBCTL_EL2", [3, 4, 15, 1, 1], { fields: { SIZE: [11, 8], HIGH: 3, ERR: 2, OVF: 1, EN: 0 } }),
  computed("GWBPROD_EL2", [3, 4, 15, 1, 2], { access: "RO" }),
  computed("GWBCONS_EL2", [3, 4, 15, 1, 3], { writable: 0xffff_ffffn }),
  computed("SPTBASE_EL2", [3, 4, 15, 2, 0], { access: "RO" }),
  computed("SASID_EL2", [3, 4, 15, 2, 1], { access: "RO" }),
  // What a second of EL2's counter is below EL2, as an unsigned 16.48 number: of counters, timers and event streams
  // of EL1 and EL0. A change moves no count. No field of the architecture does this: CNTPOFF_EL2 adds, and FEAT_CNTSC
  // scales for everybody.
  computed("CNTSCALE_EL2", [3, 4, 15, 3, 0], { reset: 1n << 48n, affects: ["timers"] }),
  // The count below EL2, before CNTVOFF_EL2. What is written is the count from then on, at the same pace.
  computed("CNTREBASE_EL2", [3, 4, 15, 3, 1], { writable: (1n << 53n) - 1n, affects: ["timers"] }),
  absent("VIEW_EL3", [3, 6, 15, 0, 0]),
] as const;
