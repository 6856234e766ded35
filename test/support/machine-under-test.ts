/** Everything an EL0 instruction can see and change in registers. */
export interface ProcessorState {
  /** X0 to X30. */
  readonly x: readonly bigint[];
  readonly sp: bigint;
  readonly pc: bigint;
  /** N, Z, C, V as bits 3 to 0. */
  readonly nzcv: number;
  /** V0 to V31, 128 bits each. */
  readonly v: readonly bigint[];
  readonly fpcr: number;
  readonly fpsr: number;
}

/** How a step ended. An exception names its class (ESR_ELx.EC) or, where there is none, says what happened. */
export type StepOutcome =
  | { readonly kind: "completed"; readonly state: ProcessorState }
  | { readonly kind: "exception"; readonly description: string };

/**
 * A machine that executes one instruction at a time at EL0, Non-secure, little-endian, with floating point and
 * cache maintenance enabled for EL0, no alignment checks but those that are always made, and memory (Normal,
 * write-back) readable and writable where `writeMemory` wrote. Addresses are virtual.
 */
export interface MachineUnderTest {
  readonly name: string;
  /** Maps what is not mapped yet (by pages) and writes. */
  writeMemory(address: bigint, bytes: Uint8Array): void;
  readMemory(address: bigint, length: number): Uint8Array;
  /** Opens the exclusive monitor. */
  clearExclusive(): void;
  /** Puts `word` at the PC of `state` (it is writable memory) and executes it in that state. */
  step(word: number, state: ProcessorState): StepOutcome;
}
