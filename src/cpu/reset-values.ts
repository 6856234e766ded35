import { indexOf, registerIndex, SYSTEM_REGISTERS } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import { identificationValues, MAIN_IDENTIFIER, multiprocessorAffinity } from "./identification.ts";
import type { ProcessorParts } from "./processor-parts.ts";

/** Zeroes the element's state and gives every system register its value after a cold reset. */
export function resetRegisters(
  state: ElementState,
  { index, features, options }: Pick<ProcessorParts, "index" | "features" | "options">,
): void {
  // The rest is not the processor's.
  state.doubleWords.fill(0n, state.base >>> 3, (state.base + PE_LAYOUT.GWB_RING) >>> 3);
  for (const row of SYSTEM_REGISTERS) {
    const slot = indexOf(row);
    if (slot !== undefined) state.write(slot, row.reset | row.ones);
  }
  for (const [name, value] of identificationValues(features, options)) {
    state.write(registerIndex(name), value);
  }
  state.write(SLOT.VPIDR_EL2, MAIN_IDENTIFIER);
  state.write(SLOT.VMPIDR_EL2, multiprocessorAffinity(index));
}
