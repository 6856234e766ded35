import type { BootLevel, ExceptionLevels } from "../../platform/psci-conduit.ts";

/** How a processing element begins: everything not said here is as after reset. */
export interface StartState {
  /** Guest-physical address of the first instruction; the MMU is off. */
  readonly pc: number;
  /** X0 to X3; the other registers are zero. */
  readonly arguments: readonly [bigint, bigint, bigint, bigint];
  /** Exception level, with its own stack pointer (ELxh) and all of DAIF masked. */
  readonly level: BootLevel;
  /** Bits to set, on top of the reset values, in registers of the levels above and at the start. */
  readonly systemRegisters: readonly { readonly name: "SCR_EL3" | "HCR_EL2"; readonly bits: bigint }[];
}

/** Fields of SCR_EL3 and HCR_EL2 that firmware sets before it hands over (Arm ARM D17.2). */
const SCR_NS = 1n << 0n;
const SCR_HCE = 1n << 8n;
const SCR_RW = 1n << 10n;
const HCR_RW = 1n << 31n;

/**
 * The state in which software starts at `level`: what firmware at the levels above would have done for it
 * is done. Below EL3 it is Non-secure and AArch64, and HVC works where EL2 exists. It is also how PSCI's
 * CPU_ON starts another element, with `context` in X0.
 */
export function startState(levels: ExceptionLevels, level: BootLevel, pc: number, context = 0n): StartState {
  const handedOver = levels.secure && level < 3;
  return {
    pc,
    arguments: [context, 0n, 0n, 0n],
    level,
    systemRegisters: [
      ...(handedOver
        ? [{ name: "SCR_EL3", bits: SCR_NS | SCR_RW | (levels.virtualization ? SCR_HCE : 0n) } as const]
        : []),
      ...(handedOver && levels.virtualization ? [{ name: "HCR_EL2", bits: HCR_RW } as const] : []),
    ],
  };
}
