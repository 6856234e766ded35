import { effectiveShareability } from "./memory-attributes.ts";
import { type MemoryFault, NO_FAULT } from "./memory-fault.ts";
import type { Stage1Configuration, Stage2Configuration } from "./regime.ts";
import type { TranslationContext } from "./translation-context.ts";
import { doubleWord, highWord, lowWord } from "./translation-registers.ts";
import { REQUEST } from "./walk-request.ts";
import type { Walker } from "./walker.ts";

interface AtForm {
  /** Exception level whose regime and permissions apply. */
  readonly level: 0 | 1 | 2 | 3;
  readonly write: boolean;
  readonly stage2: boolean;
  /** PSTATE.PAN applies: FEAT_PAN2 only, which the processor does not have; its trap table says UNDEFINED. */
  readonly pan?: boolean;
}

/** The AT instructions. */
const AT_OPERATIONS = {
  S1E1R: { level: 1, write: false, stage2: false },
  S1E1W: { level: 1, write: true, stage2: false },
  S1E0R: { level: 0, write: false, stage2: false },
  S1E0W: { level: 0, write: true, stage2: false },
  S1E1RP: { level: 1, write: false, stage2: false, pan: true },
  S1E1WP: { level: 1, write: true, stage2: false, pan: true },
  S12E1R: { level: 1, write: false, stage2: true },
  S12E1W: { level: 1, write: true, stage2: true },
  S12E0R: { level: 0, write: false, stage2: true },
  S12E0W: { level: 0, write: true, stage2: true },
  S1E2R: { level: 2, write: false, stage2: false },
  S1E2W: { level: 2, write: true, stage2: false },
  S1E3R: { level: 3, write: false, stage2: false },
  S1E3W: { level: 3, write: true, stage2: false },
} as const satisfies Record<string, AtForm>;
export type AtOperation = keyof typeof AT_OPERATIONS;
// Object.keys() gives no more than the keys of the table.
export const AT_OPERATION_NAMES = Object.keys(AT_OPERATIONS) as readonly AtOperation[];

/** A value for PAR_EL1, or a fault that AT itself takes as an exception (ESR_ELx.CM = 1). */
export type AtResult =
  | { readonly type: "par"; readonly value: bigint }
  | { readonly type: "exception"; readonly fault: MemoryFault };

/** PAR_EL1: bit 11 is RES1. */
const PAR_RES1 = 1 << 11;

/** AT instructions of one processing element (Arm ARM, AArch64.AT). */
export class AddressTranslation {
  readonly #context: TranslationContext;
  readonly #walker: Walker;

  constructor(context: TranslationContext, walker: Walker) {
    this.#context = context;
    this.#walker = walker;
  }

  /** Executes an AT instruction on the virtual address in Xt. */
  translate(operation: AtOperation, address: bigint): AtResult {
    const form: AtForm = AT_OPERATIONS[operation];
    const { stage1, stage2, request } = this.#inputs(form);
    const low = lowWord(address);
    const high = highWord(address);
    const status = this.#walker.translate(stage1, stage2, low, high, request);
    if (status === NO_FAULT) return { type: "par", value: this.#success() };
    const fault = this.#walker.describeFault(status, low, high, request);
    const fromBelow = this.#context.exceptionLevel < 2;
    if (fault.kind === "externalAbortOnWalk" || (fault.onStage1Walk && fromBelow)) {
      return { type: "exception", fault: { ...fault, access: "write" } };
    }
    return { type: "par", value: faultValue(fault) };
  }

  #inputs(form: AtForm): {
    stage1: Stage1Configuration;
    stage2: Stage2Configuration | undefined;
    request: number;
  } {
    const context = this.#context;
    const nonSecure = context.lowerIsNonSecure;
    const isHost = form.level < 2 && nonSecure && context.isHost;
    const regime = isHost ? "EL2&0" : context.regimeOf(form.level, nonSecure);
    const pan = form.pan === true && context.panIsSet;
    const request =
      REQUEST.ADDRESS_TRANSLATION |
      (form.write ? REQUEST.WRITE : 0) |
      (form.level === 0 ? 0 : REQUEST.PRIVILEGED) |
      (pan ? REQUEST.PAN : 0) |
      (form.stage2 ? 0 : REQUEST.STAGE1_ONLY);
    return { stage1: context.stage1(regime), stage2: context.stage2(regime), request };
  }

  #success(): bigint {
    const walker = this.#walker;
    const shareability = effectiveShareability(walker.attributes, walker.shareability);
    const nonSecure = walker.outSecure ? 0 : 1 << 9;
    const low = (walker.outLow & ~0xfff) | PAR_RES1 | nonSecure | (shareability << 7);
    return doubleWord(low, (walker.attributes << 24) | walker.outHigh);
  }
}

function faultValue(fault: MemoryFault): bigint {
  const stage = fault.stage === 2 ? 1 << 9 : 0;
  const onWalk = fault.onStage1Walk ? 1 << 8 : 0;
  return BigInt(PAR_RES1 | stage | onWalk | (fault.status << 1) | 1);
}
