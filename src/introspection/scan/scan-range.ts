import { DESCRIPTOR_HIGH, DESCRIPTOR_LOW } from "../../mmu/table-walk.ts";

/** Rights of one privilege. */
export interface Rights {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

/** Why a range is not simply mapped. */
export type RangeNote =
  /** Its access flag is clear: the next access marks it, or tells the guest. */
  | "old"
  /** The guest maps it, but stage 2 has nothing there, or forbids it. */
  | "absent in stage 2"
  /** The table that should say so is not memory, or stage 2 has nothing there. */
  | "table absent"
  /** Its address is too large for the tables' output size. */
  | "address size";

/** Neighbouring pages that are mapped alike. */
export interface ScanRange {
  /** Virtual addresses of the first byte and of the byte after the last; 2^64 at the end of all. */
  readonly start: bigint;
  readonly end: bigint;
  /** Guest-physical address that the first byte is mapped to; undefined where the note says why. */
  readonly physical: number | undefined;
  /** Bytes that one descriptor maps. */
  readonly leaf: number;
  readonly kernel: Rights;
  readonly user: Rights;
  /** Memory type as in MAIR_ELx. */
  readonly attributes: number;
  readonly global: boolean;
  readonly note: RangeNote | undefined;
}

/** What the tables and the control registers of the scanned space say besides the leaf. */
export interface RightsRules {
  /** Bits of the table descriptors passed, see DESCRIPTOR_HIERARCHY. */
  readonly above: number;
  /** SCTLR_ELx.WXN: what can be written cannot be executed. */
  readonly writableNeverExecutes: boolean;
  /** Hardware marks pages as dirty, so that one with DBM can be written (TCR_ELx.HD). */
  readonly hardwareDirty: boolean;
}

/** Rights that a leaf descriptor of stage 1 gives to kernel and programs (Arm ARM, AArch64.S1Permissions). */
export function rightsOf(descriptor: bigint, rules: RightsRules): { kernel: Rights; user: Rights } {
  const low = Number(BigInt.asIntN(32, descriptor));
  const high = Number(BigInt.asIntN(32, descriptor >> 32n));
  const readOnly =
    (low & DESCRIPTOR_LOW.READ_ONLY) !== 0 &&
    !(rules.hardwareDirty && (high & DESCRIPTOR_HIGH.DIRTY_BIT_MODIFIER) !== 0);
  const write = !readOnly && (rules.above & DESCRIPTOR_HIGH.TABLE_READ_ONLY) === 0;
  const forUsers =
    (low & DESCRIPTOR_LOW.UNPRIVILEGED) !== 0 && (rules.above & DESCRIPTOR_HIGH.TABLE_NO_UNPRIVILEGED) === 0;
  const userNever =
    (high & DESCRIPTOR_HIGH.EXECUTE_NEVER) !== 0 || (rules.above & DESCRIPTOR_HIGH.XN_TABLE) !== 0;
  const kernelNever =
    (high & DESCRIPTOR_HIGH.PRIVILEGED_EXECUTE_NEVER) !== 0 ||
    (rules.above & DESCRIPTOR_HIGH.PXN_TABLE) !== 0 ||
    (forUsers && write);
  const never = rules.writableNeverExecutes && write;
  return {
    kernel: { read: true, write, execute: !kernelNever && !never },
    user: {
      read: forUsers,
      write: forUsers && write,
      execute: !userNever && !(never && forUsers),
    },
  };
}

/** "rwx" with "-" for what is not allowed. */
export function rightsText({ read, write, execute }: Rights): string {
  return `${read ? "r" : "-"}${write ? "w" : "-"}${execute ? "x" : "-"}`;
}

/** A range that somebody may both write and execute. */
export function isWritableAndExecutable({ kernel, user, note }: ScanRange): boolean {
  if (note !== undefined && note !== "old") return false;
  return (kernel.write && kernel.execute) || (user.write && user.execute);
}

/** Joins neighbours that differ in nothing; the physical addresses must follow each other, too. */
export function mergeRanges(ranges: readonly ScanRange[]): ScanRange[] {
  const merged: ScanRange[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.end === range.start && isAlike(last, range)) {
      merged[merged.length - 1] = { ...last, end: range.end };
    } else merged.push(range);
  }
  return merged;
}

function isAlike(one: ScanRange, next: ScanRange): boolean {
  const follows =
    one.physical === undefined
      ? next.physical === undefined
      : next.physical === one.physical + Number(one.end - one.start);
  return follows && describe(one) === describe(next);
}

/** Everything about a range but where it is. */
export function describe(range: ScanRange): string {
  const { leaf, kernel, user, attributes, global, note } = range;
  return [leaf, rightsText(kernel), rightsText(user), attributes, global, note].join();
}
