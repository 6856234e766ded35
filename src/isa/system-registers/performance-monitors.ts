import { computed, mask, type SystemRegister, slot } from "./definition.ts";

/** Event counters beside the cycle counter. */
export const EVENT_COUNTERS = 6;

/** Bit 31 is the cycle counter, the low bits are the event counters. */
export const COUNTER_MASK = mask(31) | ((1n << BigInt(EVENT_COUNTERS)) - 1n);
const FILTER = { M: 26, NSH: 27, NSU: 28, NSK: 29, U: 30, P: 31 } as const;
const COUNTERS = { affects: ["counters"] } as const;
const SET = { writable: COUNTER_MASK, ...COUNTERS } as const;

function indexed<N extends string>(
  row: (index: number) => SystemRegister<N, "computed">,
): SystemRegister<N, "computed">[] {
  return Array.from({ length: EVENT_COUNTERS }, (_, index) => row(index));
}

/** Performance monitors, PMUv3 (DDI 0487, D19.5). Those marked `computed` keep their value in their slot. */
export const PERFORMANCE_MONITOR_REGISTERS = [
  computed("PMCR_EL0", [3, 3, 9, 12, 0], {
    fields: { E: 0, P: 1, C: 2, D: 3, X: 4, DP: 5, LC: 6, N: [15, 11], IDCODE: [23, 16], IMP: [31, 24] },
    ...COUNTERS,
  }),
  computed("PMCNTENSET_EL0", [3, 3, 9, 12, 1], SET),
  computed("PMCNTENCLR_EL0", [3, 3, 9, 12, 2], SET),
  computed("PMOVSCLR_EL0", [3, 3, 9, 12, 3], SET),
  computed("PMSWINC_EL0", [3, 3, 9, 12, 4], { access: "WO", ...COUNTERS }),
  slot("PMSELR_EL0", [3, 3, 9, 12, 5], { fields: { SEL: [4, 0] } }),
  computed("PMCEID0_EL0", [3, 3, 9, 12, 6], { access: "RO" }),
  computed("PMCEID1_EL0", [3, 3, 9, 12, 7], { access: "RO" }),
  computed("PMCCNTR_EL0", [3, 3, 9, 13, 0], COUNTERS),
  computed("PMXEVTYPER_EL0", [3, 3, 9, 13, 1], COUNTERS),
  computed("PMXEVCNTR_EL0", [3, 3, 9, 13, 2], COUNTERS),
  slot("PMUSERENR_EL0", [3, 3, 9, 14, 0], { writeLevel: 1, fields: { EN: 0, SW: 1, CR: 2, ER: 3 } }),
  computed("PMOVSSET_EL0", [3, 3, 9, 14, 3], SET),
  computed("PMINTENSET_EL1", [3, 0, 9, 14, 1], SET),
  computed("PMINTENCLR_EL1", [3, 0, 9, 14, 2], SET),
  ...indexed((n) => computed(`PMEVCNTR${n}_EL0`, [3, 3, 14, 8, n], { writable: 0xffff_ffffn, ...COUNTERS })),
  ...indexed((n) =>
    computed(`PMEVTYPER${n}_EL0`, [3, 3, 14, 12, n], {
      fields: { evtCount: [15, 0], ...FILTER },
      ...COUNTERS,
    }),
  ),
  computed("PMCCFILTR_EL0", [3, 3, 14, 15, 7], { fields: FILTER, ...COUNTERS }),
] as const;
