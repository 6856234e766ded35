import { Bug } from "../base/errors.ts";

/**
 * Fault status codes as ESR_ELx.DFSC, IFSC and PAR_EL1.FST have them (Arm ARM, ISS encoding for an exception
 * from a Data Abort). Those with a level have it in bits 1:0.
 */
export const FAULT_STATUS = {
  ADDRESS_SIZE: 0b000000,
  TRANSLATION: 0b000100,
  ACCESS_FLAG: 0b001000,
  PERMISSION: 0b001100,
  EXTERNAL_ABORT: 0b010000,
  EXTERNAL_ABORT_ON_WALK: 0b010100,
  ALIGNMENT: 0b100001,
  DEBUG: 0b100010,
  UNSUPPORTED_ATOMIC_UPDATE: 0b110001,
} as const;

/** What translation returns instead of a status when there is no fault. */
export const NO_FAULT = -1;

export type FaultKind =
  | "addressSize"
  | "translation"
  | "accessFlag"
  | "permission"
  | "externalAbort"
  | "externalAbortOnWalk"
  | "alignment"
  /** A watchpoint: not an abort, but found at the same place. */
  | "debug"
  | "unsupportedAtomicUpdate";

/** A failed access, with everything that ESR_ELx, FAR_ELx, HPFAR_EL2 and PAR_EL1 say about it. */
export interface MemoryFault {
  readonly type: "fault";
  readonly kind: FaultKind;
  /** DFSC, IFSC or FST, six bits. */
  readonly status: number;
  /** Table level; 0 where the kind has none. */
  readonly level: number;
  /** Which stage of translation failed; 1 also for aborts outside translation. */
  readonly stage: 1 | 2;
  /** ESR_ELx.S1PTW: stage 2 failed for a stage 1 table. */
  readonly onStage1Walk: boolean;
  readonly access: "read" | "write" | "execute";
  /** For FAR_ELx: the first byte that failed, tag included. */
  readonly virtualAddress: bigint;
  /** For HPFAR_EL2, where stage is 2: the intermediate physical address that failed. */
  readonly intermediateAddress: number;
}

export function faultKind(status: number): FaultKind {
  switch (status) {
    case FAULT_STATUS.EXTERNAL_ABORT:
      return "externalAbort";
    case FAULT_STATUS.ALIGNMENT:
      return "alignment";
    case FAULT_STATUS.DEBUG:
      return "debug";
    case FAULT_STATUS.UNSUPPORTED_ATOMIC_UPDATE:
      return "unsupportedAtomicUpdate";
    default:
      return kindWithLevel(status);
  }
}

function kindWithLevel(status: number): FaultKind {
  switch (status & ~3) {
    case FAULT_STATUS.ADDRESS_SIZE:
      return "addressSize";
    case FAULT_STATUS.TRANSLATION:
      return "translation";
    case FAULT_STATUS.ACCESS_FLAG:
      return "accessFlag";
    case FAULT_STATUS.PERMISSION:
      return "permission";
    case FAULT_STATUS.EXTERNAL_ABORT_ON_WALK:
      return "externalAbortOnWalk";
    default:
      throw new Bug(`0x${status.toString(16)} is not a fault status`);
  }
}

/** The level a status names, 0 for those without. */
export function faultLevel(status: number): number {
  return status < FAULT_STATUS.EXTERNAL_ABORT || (status & ~3) === FAULT_STATUS.EXTERNAL_ABORT_ON_WALK
    ? status & 3
    : 0;
}

/** A fault found outside the walk: alignment, watchpoint, external abort of the access itself. */
export function faultOutsideWalk(
  status: number,
  virtualAddress: bigint,
  access: MemoryFault["access"],
): MemoryFault {
  return {
    type: "fault",
    kind: faultKind(status),
    status,
    level: faultLevel(status),
    stage: 1,
    onStage1Walk: false,
    access,
    virtualAddress,
    intermediateAddress: 0,
  };
}
