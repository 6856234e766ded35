import type { MemoryFault } from "../mmu/memory-fault.ts";

/** ESR_ELx.EC (DDI 0487, D19.2.37). */
export const EXCEPTION_CLASS = {
  UNKNOWN: 0x00,
  WAIT: 0x01,
  FLOATING_POINT: 0x07,
  ILLEGAL_STATE: 0x0e,
  SUPERVISOR_CALL: 0x15,
  HYPERVISOR_CALL: 0x16,
  MONITOR_CALL: 0x17,
  SYSTEM_REGISTER: 0x18,
  INSTRUCTION_ABORT_LOWER: 0x20,
  INSTRUCTION_ABORT: 0x21,
  PC_ALIGNMENT: 0x22,
  DATA_ABORT_LOWER: 0x24,
  DATA_ABORT: 0x25,
  SP_ALIGNMENT: 0x26,
  SERROR: 0x2f,
  BREAKPOINT_LOWER: 0x30,
  BREAKPOINT: 0x31,
  STEP_LOWER: 0x32,
  STEP: 0x33,
  WATCHPOINT_LOWER: 0x34,
  WATCHPOINT: 0x35,
  BRK: 0x3c,
} as const;

/** Classes with a variant for "from a lower level", which is one below. */
const HAS_LOWER_VARIANT: ReadonlySet<number> = new Set([
  EXCEPTION_CLASS.INSTRUCTION_ABORT,
  EXCEPTION_CLASS.DATA_ABORT,
  EXCEPTION_CLASS.BREAKPOINT,
  EXCEPTION_CLASS.STEP,
  EXCEPTION_CLASS.WATCHPOINT,
]);

/** The class to report at `target` for an exception from `el`. */
export function classFrom(exceptionClass: number, el: number, target: number): number {
  return HAS_LOWER_VARIANT.has(exceptionClass) && el < target ? exceptionClass - 1 : exceptionClass;
}

const COND_ALWAYS = (1 << 24) | (0xe << 20);
/** ISS of a floating-point trap: CV and the condition "always". */
export const FLOATING_POINT_ISS = COND_ALWAYS;

/** ISS of a trapped WFI or WFE. */
export function waitIss(event: "WFI" | "WFE"): number {
  return COND_ALWAYS | (event === "WFE" ? 1 : 0);
}

/** ISS of a trapped MRS, MSR or SYS. `encoding` has op0, op1, CRn, CRm, op2 in 16 bits. */
export function systemRegisterIss(encoding: number, rt: number, direction: "read" | "write"): number {
  const op0 = encoding >> 14;
  const op1 = (encoding >> 11) & 7;
  const crn = (encoding >> 7) & 15;
  const crm = (encoding >> 3) & 15;
  const op2 = encoding & 7;
  const isRead = direction === "read" ? 1 : 0;
  return (op0 << 20) | (op2 << 17) | (op1 << 14) | (crn << 10) | (rt << 5) | (crm << 1) | isRead;
}

const WNR = 1 << 6;
const S1PTW = 1 << 7;
const CACHE_MAINTENANCE = 1 << 8;

/** ISS of an instruction or data abort, without the description of the instruction. */
export function abortIss(fault: MemoryFault, isMaintenance: boolean): number {
  let iss = fault.status | (fault.onStage1Walk ? S1PTW : 0);
  if (fault.access === "execute") return iss;
  if (isMaintenance) iss |= CACHE_MAINTENANCE | WNR;
  else if (fault.access === "write") iss |= WNR;
  return iss;
}

/** ISS[24:14] of a stage 2 data abort by a load or store that has one: ISV, SAS, SSE, SRT, SF, AR. */
function transferIss(transfer: {
  /** log2 of the bytes. */
  size: number;
  signExtended: boolean;
  register: number;
  is64Bits: boolean;
  acquireRelease: boolean;
}): number {
  return (
    (1 << 24) |
    (transfer.size << 22) |
    (transfer.signExtended ? 1 << 21 : 0) |
    (transfer.register << 16) |
    (transfer.is64Bits ? 1 << 15 : 0) |
    (transfer.acquireRelease ? 1 << 14 : 0)
  );
}

/**
 * The description of a single-register load or store without write-back, from its word; 0 for all others
 * (DDI 0487, "ISV, bit [24]").
 */
export function describeTransfer(word: number): number {
  const size = word >>> 30;
  const register = word & 31;
  const opc = (word >>> 22) & 3;
  const vector = (word >>> 26) & 1;
  const group = (word >>> 24) & 0x3f;
  // Loads and stores with an unsigned offset (xx111001), or unscaled, unprivileged and register offsets.
  const unsignedOffset = (group & 0x3b) === 0x39;
  const otherOffset = (group & 0x3b) === 0x38;
  if (!vector && (unsignedOffset || (otherOffset && hasPlainOffset(word)))) {
    if (size === 3 && opc >= 2) return 0; // PRFM
    const signExtended = opc >= 2;
    const is64Bits = signExtended ? opc === 2 : size === 3;
    return transferIss({ size, signExtended, register, is64Bits, acquireRelease: false });
  }
  // LDAPR: xx111000 101 11111 110000.
  if ((word & 0x3fff_fc00) === 0x38bf_c000) {
    return transferIss({ size, signExtended: false, register, is64Bits: size === 3, acquireRelease: true });
  }
  // LDAR, STLR (and the ordered-limited forms): xx001000 1L0 11111 o0 11111.
  if ((word & 0x3fa0_0000) === 0x0880_0000 && ((word >>> 23) & 1) === 1) {
    const ordered = ((word >>> 15) & 1) === 1;
    return transferIss({
      size,
      signExtended: false,
      register,
      is64Bits: size === 3,
      acquireRelease: ordered,
    });
  }
  return 0;
}

/** Bits 11:10 and 21 of xx111x00: unscaled (00), unprivileged (10), or a register offset (21 and 10). */
function hasPlainOffset(word: number): boolean {
  const mode = (word >>> 10) & 3;
  const bit21 = (word >>> 21) & 1;
  return bit21 === 0 ? mode === 0 || mode === 2 : mode === 2;
}
