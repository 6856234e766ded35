/**
 * Names of the generic timer's interrupts, in the order in which device trees without names list them (binding
 * arm,arch_timer).
 */
export const TIMER_INTERRUPT_NAMES = ["sec-phys", "phys", "virt", "hyp-phys", "hyp-virt"] as const;
export type TimerInterruptName = (typeof TIMER_INTERRUPT_NAMES)[number];
