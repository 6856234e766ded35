import { FIRST_SPI } from "../../base/interrupt-ids.ts";
import { flagField, nestedFields, type StateField } from "../../base/state-fields.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import { identificationRows, type Register } from "../register-table.ts";
import {
  FIRST_LPI,
  GROUP0,
  GROUP1_NON_SECURE,
  type Group,
  IDLE_PRIORITY,
  IIDR,
  INTID_COUNT,
  identification,
  REDISTRIBUTOR_FRAME,
} from "./constants.ts";
import { bankRegisters, type DistributorControl, InterruptBank } from "./interrupt-bank.ts";
import { LpiState } from "./lpi-state.ts";

/** The affinity of a processing element: MPIDR_EL1.Aff0-3, a byte each. */
export interface Affinity {
  readonly aff0: number;
  readonly aff1: number;
  readonly aff2: number;
  readonly aff3: number;
}

/** SGIs can only be edge-triggered. */
const SGI_MASK = 0x0000_ffff;

/** The best interrupt for one processing element; `priority` is IDLE_PRIORITY when there is none. */
export interface PendingInterrupt {
  intid: number;
  priority: number;
  group: Group;
}

/** One processing element's part of the controller: its SGIs, PPIs and LPIs, and which SPIs are ready for it. */
export class Redistributor {
  readonly index: number;
  readonly affinity: Affinity;
  readonly isLast: boolean;
  readonly bank: InterruptBank;
  /** Undefined where the controller has no LPIs. */
  readonly lpis: LpiState | undefined;
  /** Ready SPIs that are routed here, one word per 32 INTIDs (word 0 is unused), and which words are not zero. */
  readonly readySpis = new Uint32Array(INTID_COUNT / 32);
  #readyWords = 0;
  #readyPrivate = 0;
  readonly best: PendingInterrupt = { intid: 0, priority: IDLE_PRIORITY, group: GROUP0 };
  /** GICR_WAKER.ProcessorSleep. Nothing is withheld while it is set, as on QEMU. */
  asleep = true;

  constructor(
    place: { index: number; affinity: Affinity; isLast: boolean },
    control: DistributorControl,
    changed: () => void,
    lpiMemory: GuestMemory | undefined,
  ) {
    this.index = place.index;
    this.affinity = place.affinity;
    this.isLast = place.isLast;
    this.bank = new InterruptBank([~0], control, (word) => {
      this.#readyPrivate = this.bank.ready(word);
      changed();
    });
    this.lpis = lpiMemory === undefined ? undefined : new LpiState(lpiMemory, control, changed);
  }

  reset(allNonSecure: boolean): void {
    this.asleep = true;
    this.lpis?.reset();
    this.bank.reset(SGI_MASK, allNonSecure);
  }

  stateFields(): readonly StateField[] {
    return [
      flagField(
        "asleep",
        () => this.asleep,
        (value) => {
          this.asleep = value;
        },
      ),
      ...nestedFields("bank", this.bank.stateFields()),
      ...nestedFields("lpis", this.lpis?.stateFields() ?? []),
    ];
  }

  refreshPrivate(): void {
    this.#readyPrivate = this.bank.ready(0);
  }

  setReadySpis(word: number, ready: number): void {
    this.readySpis[word] = ready;
    if (ready !== 0) this.#readyWords |= 1 << word;
    else this.#readyWords &= ~(1 << word);
  }

  /** Finds the ready interrupt of the lowest priority value, the lowest INTID among equals. */
  selectBest(spis: InterruptBank): void {
    this.best.priority = IDLE_PRIORITY;
    this.best.intid = 0;
    this.#consider(this.bank, this.#readyPrivate, 0);
    for (let words = this.#readyWords; words !== 0; words &= words - 1) {
      const word = 31 - Math.clz32(words & -words);
      this.#consider(spis, this.readySpis[word]!, word * 32);
    }
    if (this.best.priority !== IDLE_PRIORITY) {
      const bank = this.best.intid < FIRST_SPI ? this.bank : spis;
      this.best.group = bank.groupOf(this.best.intid);
    }
    this.#considerLpis();
  }

  /** Makes `intid`, the best interrupt, active; an LPI is only no longer pending. */
  activate(intid: number, spis: InterruptBank): void {
    if (intid >= FIRST_LPI) this.lpis?.setPending(intid, false);
    else (intid < FIRST_SPI ? this.bank : spis).activate(intid);
  }

  #considerLpis(): void {
    if (this.lpis === undefined) return;
    this.lpis.refresh();
    if (this.lpis.bestPriority >= this.best.priority) return;
    this.best.priority = this.lpis.bestPriority;
    this.best.intid = this.lpis.bestIntid;
    this.best.group = GROUP1_NON_SECURE;
  }

  #consider(bank: InterruptBank, ready: number, base: number): void {
    for (let rest = ready; rest !== 0; rest &= rest - 1) {
      const intid = base + 31 - Math.clz32(rest & -rest);
      const priority = bank.priority[intid]!;
      if (priority < this.best.priority) {
        this.best.priority = priority;
        this.best.intid = intid;
      }
    }
  }
}

const PROCESSOR_SLEEP = 1 << 1;
const CHILDREN_ASLEEP = 1 << 2;

/** GICR_CTLR: the only writable bit; CES says that it may be cleared again. */
const ENABLE_LPIS = 1 << 0;
const CLEARABLE = 1 << 1;

/** GICR_TYPER: affinity in the upper half; processor number, Last, and CommonLPIAff as on QEMU in the lower. */
function typer({ index, affinity, isLast, lpis }: Redistributor, half: number): number {
  if (half === 1)
    return ((affinity.aff3 << 24) | (affinity.aff2 << 16) | (affinity.aff1 << 8) | affinity.aff0) >>> 0;
  return (1 << 24) | (index << 8) | (isLast ? 1 << 4 : 0) | (lpis === undefined ? 0 : 1);
}

/** RD_base followed by SGI_base (IHI 0069, tables 12-27 and 12-29), of one processing element. */
export const REDISTRIBUTOR_REGISTERS: readonly Register<Redistributor>[] = [
  // The registers of LPIs read as zero in a controller without them.
  {
    name: "GICR_CTLR",
    offset: 0x0,
    read: ({ lpis }) => (lpis === undefined ? 0 : CLEARABLE | (lpis.enabled ? ENABLE_LPIS : 0)),
    write: ({ lpis }, value) => lpis?.setEnabled((value & ENABLE_LPIS) !== 0),
  },
  { name: "GICR_IIDR", offset: 0x4, read: () => IIDR },
  { name: "GICR_TYPER", offset: 0x8, count: 2, read: typer },
  { name: "GICR_STATUSR", offset: 0x10, read: () => 0 },
  {
    name: "GICR_WAKER",
    offset: 0x14,
    // Non-secure accesses reach it too, as on QEMU.
    read: (redistributor) => (redistributor.asleep ? PROCESSOR_SLEEP | CHILDREN_ASLEEP : 0),
    write: (redistributor, value) => {
      redistributor.asleep = (value & PROCESSOR_SLEEP) !== 0;
    },
  },
  { name: "GICR_MPAMIDR", offset: 0x18, read: () => 0 },
  { name: "GICR_PARTIDR", offset: 0x1c, read: () => 0 },
  { name: "GICR_SETLPIR", offset: 0x40, count: 2 },
  { name: "GICR_CLRLPIR", offset: 0x48, count: 2 },
  {
    name: "GICR_PROPBASER",
    offset: 0x70,
    count: 2,
    read: ({ lpis }, half) => lpis?.propertyBase[half] ?? 0,
    write: ({ lpis }, value, half) => lpis?.writePropertyBase(half, value),
  },
  {
    name: "GICR_PENDBASER",
    offset: 0x78,
    count: 2,
    read: ({ lpis }, half) => lpis?.pendingBase[half] ?? 0,
    write: ({ lpis }, value, half) => lpis?.writePendingBase(half, value),
  },
  { name: "GICR_INVLPIR", offset: 0xa0, count: 2 },
  { name: "GICR_INVALLR", offset: 0xb0, count: 2 },
  { name: "GICR_SYNCR", offset: 0xc0, read: () => 0 },
  ...identificationRows<Redistributor>(0xffd0, identification(0x93)),
  ...bankRegisters<Redistributor>({
    words: 1,
    name: (register) =>
      `GICR_${register}${["IPRIORITYR", "ICFGR"].includes(register) ? "<n>" : register === "NSACR" ? "" : "0"}`,
    bankOf: (redistributor) => redistributor.bank,
    fixedConfigurationHalves: 1,
    nonSecureAccess: { halves: 1, opensRegisters: false },
  }).map((row) => ({ ...row, offset: row.offset + REDISTRIBUTOR_FRAME })),
];
