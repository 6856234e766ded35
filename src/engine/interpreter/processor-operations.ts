import type { ProcessorOperation } from "../../isa/semantics.ts";

/** Operations of meanings, and the trap that rows with `simd` take when the unit is off. */
export type EngineOperation = ProcessorOperation | "floatingPointTrap";

/** The numbers by which generated code names processor operations. */
export const PROCESSOR_OPERATION_NUMBER: Record<EngineOperation, number> = {
  undefinedInstruction: 0,
  supervisorCall: 1,
  hypervisorCall: 2,
  secureMonitorCall: 3,
  breakpoint: 4,
  halt: 5,
  debugSwitch: 6,
  debugRestore: 7,
  exceptionReturn: 8,
  waitForInterrupt: 9,
  waitForEvent: 10,
  sendEvent: 11,
  sendEventLocal: 12,
  yield: 13,
  writeProcessState: 14,
  readSystemRegister: 15,
  writeSystemRegister: 16,
  systemInstruction: 17,
  systemInstructionResult: 18,
  zeroCacheLine: 19,
  stackAlignmentCheck: 20,
  floatingPointTrap: 21,
};

/** The inverse, by number. */
export const PROCESSOR_OPERATIONS: readonly EngineOperation[] = (
  Object.entries(PROCESSOR_OPERATION_NUMBER) as [EngineOperation, number][]
)
  .sort((a, b) => a[1] - b[1])
  .map(([name]) => name);
