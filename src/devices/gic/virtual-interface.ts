import { arrayField, numberField, type StateField } from "../../base/state-fields.ts";
import { activePriorityBit, groupPriorityMask, lowestBit, runningPriority } from "./active-priorities.ts";
import {
  FIRST_LPI,
  IDLE_PRIORITY,
  INTID_SECURE,
  INTID_SPURIOUS,
  LIST_REGISTER_COUNT,
  MINIMUM_BPR,
  PRIORITY_BITS,
  PRIORITY_MASK,
} from "./constants.ts";

/** Virtual interrupts have two groups. */
export type VirtualGroup = 0 | 1;

/** ICH_HCR_EL2 fields. */
const HCR = {
  EN: 1 << 0,
  UIE: 1 << 1,
  LRENPIE: 1 << 2,
  NPIE: 1 << 3,
  VGRP0EIE: 1 << 4,
  VGRP0DIE: 1 << 5,
  VGRP1EIE: 1 << 6,
  VGRP1DIE: 1 << 7,
} as const;
/** Everything above, TC, TALL0, TALL1, TSEI, TDIR and EOIcount. */
const HCR_WRITABLE = 0xf800_7cff;
const EOI_COUNT_SHIFT = 27;

/** ICH_MISR_EL2 fields. */
const MISR = {
  EOI: 1 << 0,
  U: 1 << 1,
  LRENP: 1 << 2,
  NP: 1 << 3,
  VGRP0E: 1 << 4,
  VGRP0D: 1 << 5,
  VGRP1E: 1 << 6,
  VGRP1D: 1 << 7,
} as const;

/** ICH_VMCR_EL2 fields. */
const VMCR = {
  VENG0: 1 << 0,
  VENG1: 1 << 1,
  VFIQEN: 1 << 3,
  VCBPR: 1 << 4,
  VEOIM: 1 << 9,
} as const;
const VBPR1_SHIFT = 18;
const VBPR0_SHIFT = 21;
const VPMR_SHIFT = 24;
const VMCR_WRITABLE = 0xfffc_0213;

/** Fields of the upper half of ICH_LR<n>_EL2. */
const LR = {
  PENDING: 1 << 30,
  ACTIVE: 1 << 31,
  STATE: 3 << 30,
  HW: 1 << 29,
  GROUP1: 1 << 28,
  /** With HW clear: a maintenance interrupt when the guest ends this one. */
  EOI: 1 << 9,
} as const;
const LR_PRIORITY_SHIFT = 16;
const LR_PHYSICAL_MASK = 0x1fff;
/** The unimplemented low priority bits are RES0. */
const LR_HIGH_WRITABLE = ~((0xff & ~PRIORITY_MASK) << LR_PRIORITY_SHIFT);

/** ICV_CTLR_EL1 without its writable fields: A3V, 24-bit INTIDs, and the priority bits. */
const CTLR_FIXED = (1 << 15) | (1 << 11) | ((PRIORITY_BITS - 1) << 8);
/** ICH_VTR_EL2: priority and preemption bits, 24-bit INTIDs, A3V, nV4, TDS, list registers. */
const VTR =
  (((PRIORITY_BITS - 1) << 29) |
    ((PRIORITY_BITS - 1) << 26) |
    (1 << 23) |
    (1 << 21) |
    (1 << 20) |
    (1 << 19) |
    (LIST_REGISTER_COUNT - 1)) >>>
  0;

function stateOf(high: number): number {
  return high & LR.STATE;
}

/**
 * The virtual CPU interface of one processing element and the hypervisor's control of it (IHI 0069, chapters 6
 * and 12.4). Values are 32-bit numbers, signed or not; list registers are pairs of halves. `deactivatePhysical`
 * is called when a guest ends an interrupt whose list register names a physical one.
 */
export class VirtualInterface {
  readonly listLow = new Int32Array(LIST_REGISTER_COUNT);
  readonly listHigh = new Int32Array(LIST_REGISTER_COUNT);
  /** ICH_AP0R0_EL2 and ICH_AP1R0_EL2. */
  readonly activePriorities = new Int32Array(2);
  control = 0;
  #vmcr = 0;
  readonly #deactivatePhysical: (intid: number) => void;

  constructor(deactivatePhysical: (intid: number) => void) {
    this.#deactivatePhysical = deactivatePhysical;
    this.reset();
  }

  reset(): void {
    this.listLow.fill(0);
    this.listHigh.fill(0);
    this.activePriorities.fill(0);
    this.control = 0;
    this.#vmcr = VMCR.VFIQEN | (MINIMUM_BPR << VBPR0_SHIFT) | ((MINIMUM_BPR + 1) << VBPR1_SHIFT);
  }

  stateFields(): readonly StateField[] {
    const word = (name: string, get: () => number, set: (value: number) => void) =>
      numberField(
        name,
        0xffff_ffff,
        () => get() >>> 0,
        (value) => set(value | 0),
      );
    return [
      arrayField("listLow", this.listLow),
      arrayField("listHigh", this.listHigh),
      arrayField("activePriorities", this.activePriorities),
      word(
        "control",
        () => this.control,
        (value) => {
          this.control = value;
        },
      ),
      word(
        "vmcr",
        () => this.#vmcr,
        (value) => {
          this.#vmcr = value;
        },
      ),
    ];
  }

  // Hypervisor control.

  get type(): number {
    return VTR;
  }

  writeControl(value: number): void {
    this.control = value & HCR_WRITABLE;
  }

  get vmcr(): number {
    return this.#vmcr;
  }

  set vmcr(value: number) {
    this.#vmcr = (value & VMCR_WRITABLE) | VMCR.VFIQEN;
    this.#setBinaryPoint(0, this.#binaryPoint(0));
    this.#setBinaryPoint(1, this.#binaryPoint(1));
  }

  writeListHigh(index: number, value: number): void {
    this.listHigh[index] = value & LR_HIGH_WRITABLE;
  }

  /** ICH_EISR_EL2: list registers whose end wants a maintenance interrupt. */
  get ended(): number {
    let mask = 0;
    for (let i = 0; i < LIST_REGISTER_COUNT; i++)
      if ((this.listHigh[i]! & (LR.STATE | LR.HW | LR.EOI)) === LR.EOI) mask |= 1 << i;
    return mask;
  }

  /** ICH_ELRSR_EL2: list registers that may be used again. */
  get empty(): number {
    let mask = 0;
    for (let i = 0; i < LIST_REGISTER_COUNT; i++) {
      const high = this.listHigh[i]!;
      if (stateOf(high) === 0 && ((high & LR.HW) !== 0 || (high & LR.EOI) === 0)) mask |= 1 << i;
    }
    return mask;
  }

  /** ICH_MISR_EL2: why the maintenance interrupt is asserted, if it is. */
  get maintenance(): number {
    const { control } = this;
    let valid = 0;
    let pending = false;
    for (let i = 0; i < LIST_REGISTER_COUNT; i++) {
      const state = stateOf(this.listHigh[i]!);
      if (state !== 0) valid++;
      if (state === LR.PENDING) pending = true;
    }
    let status = this.ended !== 0 ? MISR.EOI : 0;
    if (control & HCR.UIE && valid < 2) status |= MISR.U;
    if (control & HCR.LRENPIE && control >>> EOI_COUNT_SHIFT !== 0) status |= MISR.LRENP;
    if (control & HCR.NPIE && !pending) status |= MISR.NP;
    const group0 = (this.#vmcr & VMCR.VENG0) !== 0;
    const group1 = (this.#vmcr & VMCR.VENG1) !== 0;
    if (control & HCR.VGRP0EIE && group0) status |= MISR.VGRP0E;
    if (control & HCR.VGRP0DIE && !group0) status |= MISR.VGRP0D;
    if (control & HCR.VGRP1EIE && group1) status |= MISR.VGRP1E;
    if (control & HCR.VGRP1DIE && !group1) status |= MISR.VGRP1D;
    return status;
  }

  /** The level of the maintenance interrupt. */
  get maintenanceAsserted(): boolean {
    return (this.control & HCR.EN) !== 0 && this.maintenance !== 0;
  }

  /** Which of the virtual interrupt inputs is asserted: that of the best pending virtual interrupt, if any. */
  get signal(): "none" | "virq" | "vfiq" {
    if ((this.control & HCR.EN) === 0) return "none";
    const index = this.#best();
    if (index < 0 || !this.#preempts(index)) return "none";
    return this.#groupOf(index) === 0 ? "vfiq" : "virq";
  }

  // The guest's view: ICV_*.

  get priorityMask(): number {
    return this.#vmcr >>> VPMR_SHIFT;
  }

  set priorityMask(value: number) {
    this.#vmcr = (this.#vmcr & ~(0xff << VPMR_SHIFT)) | ((value & PRIORITY_MASK) << VPMR_SHIFT);
  }

  get runningPriority(): number {
    return runningPriority(this.activePriorities[0]! | this.activePriorities[1]!);
  }

  readBinaryPoint(group: VirtualGroup): number {
    if (group === 1 && this.#vmcr & VMCR.VCBPR) return Math.min(this.#binaryPoint(0) + 1, 7);
    return this.#binaryPoint(group);
  }

  writeBinaryPoint(group: VirtualGroup, value: number): void {
    if (group === 1 && this.#vmcr & VMCR.VCBPR) return;
    this.#setBinaryPoint(group, value & 7);
  }

  get guestControl(): number {
    return CTLR_FIXED | (this.#vmcr & VMCR.VCBPR ? 1 : 0) | (this.#vmcr & VMCR.VEOIM ? 2 : 0);
  }

  set guestControl(value: number) {
    this.#vmcr &= ~(VMCR.VCBPR | VMCR.VEOIM);
    if (value & 1) this.#vmcr |= VMCR.VCBPR;
    if (value & 2) this.#vmcr |= VMCR.VEOIM;
  }

  readGroupEnable(group: VirtualGroup): number {
    return (this.#vmcr >>> group) & 1;
  }

  writeGroupEnable(group: VirtualGroup, value: number): void {
    this.#vmcr = (this.#vmcr & ~(1 << group)) | ((value & 1) << group);
  }

  highestPending(group: VirtualGroup): number {
    const index = this.#best();
    return index >= 0 && this.#groupOf(index) === group ? this.listLow[index]! >>> 0 : INTID_SPURIOUS;
  }

  acknowledge(group: VirtualGroup): number {
    const index = this.#best();
    if (index < 0 || this.#groupOf(index) !== group || !this.#preempts(index)) return INTID_SPURIOUS;
    const intid = this.listLow[index]! >>> 0;
    if (intid >= INTID_SECURE && intid < FIRST_LPI) {
      // The list register holds a number that cannot be active: it is handed out and forgotten.
      this.listHigh[index]! &= ~LR.STATE;
      return intid;
    }
    const priority = this.#priorityOf(index) & this.#groupMask(group);
    this.listHigh[index] = (this.listHigh[index]! & ~LR.STATE) | LR.ACTIVE;
    this.activePriorities[group]! |= activePriorityBit(priority);
    return intid;
  }

  end(group: VirtualGroup, intid: number): void {
    if (intid >= INTID_SECURE && intid <= INTID_SPURIOUS) return;
    const dropped = this.#dropPriority();
    if (dropped === IDLE_PRIORITY) return;
    const index = this.#findActive(intid);
    if (index < 0) {
      // Only where a deactivation was meant (ICH_HCR_EL2.EOIcount); QEMU 7.2 counts in both EOI modes.
      if (intid < FIRST_LPI && !this.#splitsEnd()) this.#countUnlistedEnd();
      return;
    }
    const matches =
      this.#groupOf(index) === group && (this.#priorityOf(index) & this.#groupMask(group)) === dropped;
    if (matches && !this.#splitsEnd()) this.#deactivateListed(index);
  }

  deactivate(intid: number): void {
    if (intid >= INTID_SECURE || !this.#splitsEnd()) return;
    const index = this.#findActive(intid);
    if (index < 0) this.#countUnlistedEnd();
    else this.#deactivateListed(index);
  }

  #splitsEnd(): boolean {
    return (this.#vmcr & VMCR.VEOIM) !== 0;
  }

  #countUnlistedEnd(): void {
    this.control = (this.control + (1 << EOI_COUNT_SHIFT)) | 0;
  }

  #deactivateListed(index: number): void {
    const high = this.listHigh[index]!;
    this.listHigh[index] = high & ~LR.ACTIVE;
    if (high & LR.HW) this.#deactivatePhysical(high & LR_PHYSICAL_MASK);
  }

  /** Clears the lowest active priority of either group and returns it. */
  #dropPriority(): number {
    const [group0, group1] = [this.activePriorities[0]!, this.activePriorities[1]!];
    const dropped = runningPriority(group0 | group1);
    const group = lowestBit(group0) <= lowestBit(group1) ? 0 : 1;
    const word = this.activePriorities[group]!;
    this.activePriorities[group] = word & (word - 1);
    return dropped;
  }

  #findActive(intid: number): number {
    for (let i = 0; i < LIST_REGISTER_COUNT; i++)
      if (this.listHigh[i]! & LR.ACTIVE && this.listLow[i]! >>> 0 === intid) return i;
    return -1;
  }

  /** List register of the best pending (and not active) interrupt of an enabled group, or -1. */
  #best(): number {
    if ((this.#vmcr & (VMCR.VENG0 | VMCR.VENG1)) === 0) return -1;
    let best = -1;
    let bestPriority = IDLE_PRIORITY;
    for (let i = 0; i < LIST_REGISTER_COUNT; i++) {
      if (stateOf(this.listHigh[i]!) !== LR.PENDING || this.readGroupEnable(this.#groupOf(i)) === 0) continue;
      if (this.#priorityOf(i) < bestPriority) {
        best = i;
        bestPriority = this.#priorityOf(i);
      }
    }
    return best;
  }

  #preempts(index: number): boolean {
    if ((this.control & HCR.EN) === 0) return false;
    const priority = this.#priorityOf(index);
    if (priority >= this.priorityMask) return false;
    const running = this.runningPriority;
    if (running === IDLE_PRIORITY) return true;
    const mask = this.#groupMask(this.#groupOf(index));
    return (priority & mask) < (running & mask);
  }

  #groupOf(index: number): VirtualGroup {
    return this.listHigh[index]! & LR.GROUP1 ? 1 : 0;
  }

  #priorityOf(index: number): number {
    return (this.listHigh[index]! >>> LR_PRIORITY_SHIFT) & 0xff;
  }

  #groupMask(group: VirtualGroup): number {
    if (group === 1 && (this.#vmcr & VMCR.VCBPR) === 0) return groupPriorityMask(this.#binaryPoint(1) - 1);
    return groupPriorityMask(this.#binaryPoint(0));
  }

  #binaryPoint(group: VirtualGroup): number {
    return (this.#vmcr >>> (group === 0 ? VBPR0_SHIFT : VBPR1_SHIFT)) & 7;
  }

  #setBinaryPoint(group: VirtualGroup, value: number): void {
    const shift = group === 0 ? VBPR0_SHIFT : VBPR1_SHIFT;
    const point = Math.max(value, MINIMUM_BPR + group);
    this.#vmcr = (this.#vmcr & ~(7 << shift)) | (point << shift);
  }
}
