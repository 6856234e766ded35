import type { InterruptContext } from "../../base/interrupt-controller.ts";
import { FIRST_SPI } from "../../base/interrupt-ids.ts";
import { arrayField, flagField, numberField, type StateField } from "../../base/state-fields.ts";
import { activePriorityBit, groupPriorityMask, lowestBit, runningPriority } from "./active-priorities.ts";
import {
  FIRST_LPI,
  GROUP0,
  GROUP1_NON_SECURE,
  GROUP1_SECURE,
  type Group,
  IDLE_PRIORITY,
  INTID_COUNT,
  INTID_NON_SECURE,
  INTID_SECURE,
  INTID_SPURIOUS,
  MINIMUM_BPR,
  PRIORITY_BITS,
  PRIORITY_MASK,
} from "./constants.ts";
import type { DistributorControl } from "./interrupt-bank.ts";
import { type InterruptBank, securityDisabled } from "./interrupt-bank.ts";
import type { Redistributor } from "./redistributor.ts";

/** What a CPU interface needs of the rest of the controller. */
export interface InterruptCore {
  readonly control: DistributorControl;
  readonly spis: InterruptBank;
  /** True when the machine has EL3 and so two security states. */
  readonly security: boolean;
  /** Makes an SGI pending on each element that `targets` accepts, if its group there allows. */
  sendSgi(request: SgiRequest): void;
}

export interface SgiRequest {
  readonly intid: number;
  readonly group: Group;
  readonly fromNonSecure: boolean;
  readonly targets: (redistributor: Redistributor) => boolean;
}

/** ICC_CTLR_EL1: CBPR, EOImode, and the fixed A3V, 24-bit INTIDs, priority bits. */
const CBPR = 1 << 0;
const EOI_MODE = 1 << 1;
const CTLR_FIXED = (1 << 15) | (1 << 11) | ((PRIORITY_BITS - 1) << 8);
/** ICC_CTLR_EL3: its own EOImode, aliases of the others', and nDS as on QEMU. */
const CTLR3 = {
  CBPR_EL1S: 1 << 0,
  CBPR_EL1NS: 1 << 1,
  EOIMODE_EL3: 1 << 2,
  EOIMODE_EL1S: 1 << 3,
  EOIMODE_EL1NS: 1 << 4,
  NDS: 1 << 17,
} as const;

/** Index of the copies of ICC_CTLR_EL1. */
const SECURE = 0;
const NON_SECURE = 1;

function isSecure(context: InterruptContext): boolean {
  return context.el === 3 || !context.nonSecure;
}

/** The group whose copy of a banked Group 1 register an access reaches. */
export function bankedGroup1(context: InterruptContext): Group {
  return context.nonSecure ? GROUP1_NON_SECURE : GROUP1_SECURE;
}

/** The physical CPU interface of one processing element (IHI 0069, chapters 4 and 12.2). */
export class PhysicalInterface {
  readonly #core: InterruptCore;
  readonly #redistributor: Redistributor;
  #priorityMask = 0;
  /** Indexed by group. */
  readonly #binaryPoint = new Uint8Array(3);
  readonly #activePriorities = new Int32Array(3);
  readonly #enabled = new Uint8Array(3);
  /** ICC_CTLR_EL1's writable bits, by security state. */
  readonly #control = new Uint8Array(2);
  #eoiModeEl3 = false;

  constructor(core: InterruptCore, redistributor: Redistributor) {
    this.#core = core;
    this.#redistributor = redistributor;
    this.reset();
  }

  reset(): void {
    this.#priorityMask = 0;
    this.#binaryPoint.fill(MINIMUM_BPR);
    this.#binaryPoint[GROUP1_NON_SECURE] = MINIMUM_BPR + 1;
    this.#activePriorities.fill(0);
    this.#enabled.fill(0);
    this.#control.fill(0);
    this.#eoiModeEl3 = false;
  }

  stateFields(): readonly StateField[] {
    return [
      numberField(
        "priorityMask",
        0xff,
        () => this.#priorityMask,
        (value) => {
          this.#priorityMask = value;
        },
      ),
      arrayField("binaryPoint", this.#binaryPoint),
      arrayField("activePriorities", this.#activePriorities),
      arrayField("enabled", this.#enabled),
      arrayField("control", this.#control),
      flagField(
        "eoiModeEl3",
        () => this.#eoiModeEl3,
        (value) => {
          this.#eoiModeEl3 = value;
        },
      ),
    ];
  }

  /** The group to signal now, if the best pending interrupt may preempt what is running. */
  get signalledGroup(): Group | undefined {
    return this.#preempts() ? this.#redistributor.best.group : undefined;
  }

  // ICC_PMR_EL1 and ICC_RPR_EL1.

  readPriorityMask(context: InterruptContext): number {
    return this.#seesHalf(context) ? halfRangeRead(this.#priorityMask) : this.#priorityMask;
  }

  writePriorityMask(value: number, context: InterruptContext): void {
    if (!this.#seesHalf(context)) {
      this.#priorityMask = value & PRIORITY_MASK;
      return;
    }
    // Non-secure code may not touch a mask that Secure code set in the upper half.
    if (this.#priorityMask & 0x80) this.#priorityMask = (0x80 | ((value & 0xff) >>> 1)) & PRIORITY_MASK;
  }

  readRunningPriority(context: InterruptContext): number {
    const priority = this.#running();
    return this.#seesHalf(context) && priority !== IDLE_PRIORITY ? halfRangeRead(priority) : priority;
  }

  // ICC_BPR0_EL1 and ICC_BPR1_EL1.

  readBinaryPoint0(): number {
    return this.#binaryPoint[GROUP0]!;
  }

  writeBinaryPoint0(value: number): void {
    this.#binaryPoint[GROUP0] = Math.max(value & 7, MINIMUM_BPR);
  }

  readBinaryPoint1(context: InterruptContext): number {
    const group = bankedGroup1(context);
    if (!this.#sharesBinaryPoint(group) || context.el === 3) return this.#binaryPoint[group]!;
    const shared = this.#binaryPoint[GROUP0]!;
    return group === GROUP1_SECURE ? shared : Math.min(shared + 1, 7);
  }

  writeBinaryPoint1(value: number, context: InterruptContext): void {
    const group = bankedGroup1(context);
    if (this.#sharesBinaryPoint(group) && context.el < 3) {
      if (group === GROUP1_SECURE) this.writeBinaryPoint0(value);
      return;
    }
    const minimum = group === GROUP1_NON_SECURE ? MINIMUM_BPR + 1 : MINIMUM_BPR;
    this.#binaryPoint[group] = Math.max(value & 7, minimum);
  }

  // ICC_CTLR_EL1 and ICC_CTLR_EL3.

  readControl(context: InterruptContext): number {
    return CTLR_FIXED | this.#control[context.nonSecure ? NON_SECURE : SECURE]!;
  }

  writeControl(value: number, context: InterruptContext): void {
    const bank = context.nonSecure ? NON_SECURE : SECURE;
    // With two security states the common binary point is EL3's to decide.
    const mask = this.#twoStates() ? EOI_MODE : EOI_MODE | CBPR;
    this.#control[bank] = (this.#control[bank]! & ~mask) | (value & mask);
  }

  readControlEl3(): number {
    const [secure, nonSecure] = [this.#control[SECURE]!, this.#control[NON_SECURE]!];
    return (
      CTLR_FIXED |
      CTLR3.NDS |
      (secure & CBPR ? CTLR3.CBPR_EL1S : 0) |
      (nonSecure & CBPR ? CTLR3.CBPR_EL1NS : 0) |
      (this.#eoiModeEl3 ? CTLR3.EOIMODE_EL3 : 0) |
      (secure & EOI_MODE ? CTLR3.EOIMODE_EL1S : 0) |
      (nonSecure & EOI_MODE ? CTLR3.EOIMODE_EL1NS : 0)
    );
  }

  writeControlEl3(value: number): void {
    this.#eoiModeEl3 = (value & CTLR3.EOIMODE_EL3) !== 0;
    this.#control[SECURE] =
      (value & CTLR3.CBPR_EL1S ? CBPR : 0) | (value & CTLR3.EOIMODE_EL1S ? EOI_MODE : 0);
    this.#control[NON_SECURE] =
      (value & CTLR3.CBPR_EL1NS ? CBPR : 0) | (value & CTLR3.EOIMODE_EL1NS ? EOI_MODE : 0);
  }

  // ICC_IGRPEN*, ICC_AP*R0_EL1.

  readEnable(group: Group): number {
    return this.#enabled[group]!;
  }

  writeEnable(group: Group, value: number): void {
    this.#enabled[group] = value & 1;
  }

  readActivePriorities(group: Group): number {
    return this.#activePriorities[group]!;
  }

  /**
   * With two security states Non-secure code can claim only priorities of its own half. (QEMU 7.2 ignores writes
   * of Group 1 altogether, so that even clearing does nothing.)
   */
  writeActivePriorities(group: Group, value: number): void {
    const mask = group === GROUP1_NON_SECURE && this.#twoStates() ? 0xffff_0000 : ~0;
    this.#activePriorities[group] = value & mask;
  }

  // ICC_HPPIR*, ICC_IAR*, ICC_EOIR*, ICC_DIR_EL1.

  highestPending0(context: InterruptContext): number {
    const { best } = this.#redistributor;
    if (!this.#isBestEnabled()) return INTID_SPURIOUS;
    const secureInterrupt = this.#belongsToSecure(best.group);
    if (secureInterrupt && !isSecure(context)) return INTID_SPURIOUS;
    if (best.group === GROUP0) return best.intid;
    if (context.el !== 3) return INTID_SPURIOUS;
    // EL3 acknowledging Group 0 learns for which state the interrupt is.
    return secureInterrupt ? INTID_SECURE : INTID_NON_SECURE;
  }

  highestPending1(context: InterruptContext): number {
    const { best } = this.#redistributor;
    if (!this.#isBestEnabled() || best.group === GROUP0) return INTID_SPURIOUS;
    if (this.#belongsToSecure(best.group)) return isSecure(context) ? best.intid : INTID_SPURIOUS;
    if (context.el !== 3 && isSecure(context)) return INTID_SPURIOUS;
    return best.intid;
  }

  acknowledge0(context: InterruptContext): number {
    return this.#acknowledge(this.#preempts() ? this.highestPending0(context) : INTID_SPURIOUS);
  }

  acknowledge1(context: InterruptContext): number {
    return this.#acknowledge(this.#preempts() ? this.highestPending1(context) : INTID_SPURIOUS);
  }

  end(isGroup0: boolean, intid: number, context: InterruptContext): void {
    // An LPI's end drops the priority; numbers between the SPIs and the LPIs do nothing.
    if (intid >= INTID_COUNT && intid < FIRST_LPI) return;
    const group = this.#highestActiveGroup();
    if (group === undefined || (group === GROUP0) !== isGroup0) return;
    if (group === GROUP0 && this.#twoStates() && !isSecure(context)) return;
    if (group === GROUP1_SECURE && !isSecure(context)) return;
    if (group === GROUP1_NON_SECURE && context.el !== 3 && isSecure(context)) return;
    const word = this.#activePriorities[group]!;
    this.#activePriorities[group] = word & (word - 1);
    if (!this.#splitsEnd(context)) this.deactivatePhysical(intid);
  }

  deactivate(intid: number, context: InterruptContext): void {
    if (intid >= INTID_COUNT || !this.#splitsEnd(context)) return;
    if (this.#mayDeactivate(this.#bankOf(intid).groupOf(intid), context)) this.deactivatePhysical(intid);
  }

  /** Ends an interrupt's active state without any checks. */
  deactivatePhysical(intid: number): void {
    if (intid < INTID_COUNT) this.#bankOf(intid).deactivate(intid);
  }

  /** ICC_SGI0R_EL1, ICC_SGI1R_EL1 and, for the other security state, ICC_ASGI1R_EL1. */
  generateSgi(kind: "SGI0" | "SGI1" | "ASGI1", value: bigint, context: InterruptContext): void {
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    const toAllOthers = (high & (1 << 8)) !== 0;
    const firstAff0 = ((high >>> 12) & 15) * 16;
    const fromNonSecure = !isSecure(context);
    const own = fromNonSecure ? GROUP1_NON_SECURE : GROUP1_SECURE;
    const other = fromNonSecure ? GROUP1_SECURE : GROUP1_NON_SECURE;
    let group: Group = kind === "SGI0" ? GROUP0 : kind === "SGI1" ? own : other;
    // With one security state, what would be Secure Group 1 is Group 0.
    if (group === GROUP1_SECURE && securityDisabled(this.#core.control)) group = GROUP0;
    this.#core.sendSgi({
      intid: (low >>> 24) & 15,
      group,
      fromNonSecure,
      targets: (target) => {
        if (toAllOthers) return target !== this.#redistributor;
        const { aff0, aff1, aff2, aff3 } = target.affinity;
        if (aff3 !== ((high >>> 16) & 0xff) || aff2 !== (high & 0xff) || aff1 !== ((low >>> 16) & 0xff))
          return false;
        const position = aff0 - firstAff0;
        return position >= 0 && position < 16 && (low & (1 << position)) !== 0;
      },
    });
  }

  #acknowledge(intid: number): number {
    if (intid >= INTID_SECURE && intid < FIRST_LPI) return intid;
    const { best } = this.#redistributor;
    const priority = best.priority & this.#groupMask(best.group);
    this.#activePriorities[best.group]! |= activePriorityBit(priority);
    this.#redistributor.activate(intid, this.#core.spis);
    return intid;
  }

  #isBestEnabled(): boolean {
    const { best } = this.#redistributor;
    return best.priority !== IDLE_PRIORITY && this.#enabled[best.group] !== 0;
  }

  #preempts(): boolean {
    const { best } = this.#redistributor;
    if (!this.#isBestEnabled()) return false;
    if (best.priority >= this.#priorityMask) return false;
    const running = this.#running();
    if (running === IDLE_PRIORITY) return true;
    const mask = this.#groupMask(best.group);
    return (best.priority & mask) < (running & mask);
  }

  #bankOf(intid: number): InterruptBank {
    return intid < FIRST_SPI ? this.#redistributor.bank : this.#core.spis;
  }

  #running(): number {
    const words = this.#activePriorities;
    return runningPriority(words[0]! | words[1]! | words[2]!);
  }

  #highestActiveGroup(): Group | undefined {
    const words = this.#activePriorities;
    const [group0, secure, nonSecure] = [lowestBit(words[0]!), lowestBit(words[1]!), lowestBit(words[2]!)];
    if (group0 < secure && group0 < nonSecure) return GROUP0;
    if (secure < nonSecure) return GROUP1_SECURE;
    return nonSecure < 32 ? GROUP1_NON_SECURE : undefined;
  }

  #groupMask(group: Group): number {
    if (group === GROUP0 || this.#sharesBinaryPoint(group))
      return groupPriorityMask(this.#binaryPoint[GROUP0]!);
    const point = this.#binaryPoint[group]!;
    return groupPriorityMask(group === GROUP1_NON_SECURE ? point - 1 : point);
  }

  #sharesBinaryPoint(group: Group): boolean {
    return (this.#control[group === GROUP1_SECURE ? SECURE : NON_SECURE]! & CBPR) !== 0;
  }

  #splitsEnd(context: InterruptContext): boolean {
    if (context.el === 3) return this.#eoiModeEl3;
    return (this.#control[context.nonSecure ? NON_SECURE : SECURE]! & EOI_MODE) !== 0;
  }

  #twoStates(): boolean {
    return this.#core.security && !securityDisabled(this.#core.control);
  }

  #belongsToSecure(group: Group): boolean {
    return group !== GROUP1_NON_SECURE && !securityDisabled(this.#core.control);
  }

  /** Non-secure accesses see half of the priority range while EL3 owns FIQ. */
  #seesHalf(context: InterruptContext): boolean {
    return this.#core.security && !isSecure(context) && context.scrFiq;
  }

  /** Whose interrupts ICC_DIR_EL1 may deactivate (IHI 0069, 12.2.7). */
  #mayDeactivate(group: Group, context: InterruptContext): boolean {
    const oneState = securityDisabled(this.#core.control);
    const secureInterrupt = this.#belongsToSecure(group);
    const isGroup0 = group === GROUP0;
    switch (context.el) {
      case 3:
        return true;
      case 2:
      case 1:
      case 0:
        if (context.nonSecure) {
          if (oneState && isGroup0) return !context.scrFiq && !(context.el === 1 && context.fmo);
          return !secureInterrupt && !isGroup0 && !context.scrIrq && !(context.el === 1 && context.imo);
        }
        if (isGroup0) return !context.scrFiq;
        return (!secureInterrupt || !oneState) && !context.scrIrq;
    }
  }
}

/** A priority as Non-secure code sees it: the lower half of the range, doubled; the upper half reads as zero. */
function halfRangeRead(priority: number): number {
  return priority & 0x80 ? (priority << 1) & 0xff : 0;
}
