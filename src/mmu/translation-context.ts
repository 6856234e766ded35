import type { FrameTable } from "../memory/frame-table.ts";
import type { MachineMemory } from "../memory/machine-memory.ts";
import { FRAME_SHIFT } from "../memory/machine-memory.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { type RegimeName, type Stage1Configuration, Stage2Configuration } from "./regime.ts";
import { RegimeSlot } from "./regime-slot.ts";
import { MissRegisters } from "./shadow/miss-registers.ts";
import type { ShadowTables } from "./shadow/shadow-tables.ts";
import type { TableGeometry } from "./table-geometry.ts";
import { TlbBank } from "./tlb-bank.ts";
import {
  HCR_HIGH,
  HCR_LOW,
  highWord,
  lowWord,
  SCTLR,
  type TranslationFeatures,
  type TranslationRegisterName,
  type TranslationRegisters,
} from "./translation-registers.ts";
import { REQUEST } from "./walk-request.ts";

/** Unprivileged banks a processing element keeps, one for each regime, ASID and tables used lately. */
const USER_BANKS = 8;

/** HCR_EL2 bits that stage 2 depends on. */
const STAGE2_HCR = BigInt(HCR_LOW.VM | HCR_LOW.DC | HCR_LOW.PTW) | (BigInt(HCR_HIGH.CD | HCR_HIGH.ID) << 32n);

/** How accesses of one kind translate at present. */
export interface AccessView {
  bank: TlbBank;
  stage1: Stage1Configuration;
  stage2: Stage2Configuration | undefined;
  /** REQUEST bits of the privilege. */
  request: number;
  /** Data accesses may be installed in the bank. */
  fastData: boolean;
  bigEndian: boolean;
}

const TABLE_BASES: ReadonlySet<TranslationRegisterName> = new Set<TranslationRegisterName>([
  "TTBR0_EL1",
  "TTBR1_EL1",
  "TTBR0_EL2",
  "TTBR1_EL2",
  "TTBR0_EL3",
]);

/** A bank of an address space: its number is the space's shadow ASID (row M6) as long as it has it. */
interface UserBank {
  readonly bank: TlbBank;
  slot: RegimeSlot | undefined;
  asid: number;
  /** Table bases, as page numbers. */
  lower: number;
  upper: number;
  lastUse: number;
}

/** One address space of those that an element's soft TLB holds translations of. */
export interface AddressSpace {
  readonly regime: RegimeName;
  readonly asid: number;
  /** Guest-physical addresses of the tables of both halves; 0 without shadow tables, which alone tell them apart. */
  readonly lowerTables: number;
  readonly upperTables: number;
  /** Counts the element's changes of address space: the larger, the later. */
  readonly lastUse: number;
}

export interface ContextOptions {
  readonly memory: MachineMemory;
  readonly frames: FrameTable;
  /** Byte address of the processing element's block. */
  readonly base: number;
  readonly registers: TranslationRegisters;
  readonly features: TranslationFeatures;
  /** Banks for unprivileged accesses (shadow ASIDs). */
  readonly userBanks?: number | undefined;
  readonly shadow?: ShadowTables | undefined;
  /** Generated code may serve misses from shadow tables; true unless given. */
  readonly servedDirectly?: boolean | undefined;
}

/**
 * Which translation regime, privilege and soft-TLB bank a processing element's accesses use, kept in step
 * with its registers. A bank holds one regime at one privilege, so that exceptions and returns only change
 * two words; unprivileged banks are also apart by ASID, so that a switch of address space drops nothing.
 */
export class TranslationContext {
  readonly ordinary: AccessView;
  readonly unprivileged: AccessView;
  /** Banks emptied since the start, for statistics. */
  flushes = 0;
  /** Banks that one address space had to leave to another. */
  reassignments = 0;
  readonly registers: TranslationRegisters;
  readonly features: TranslationFeatures;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #slots: Record<RegimeName, RegimeSlot>;
  readonly #slotList: readonly RegimeSlot[];
  readonly #users: UserBank[] = [];
  readonly #banks: TlbBank[] = [];
  #stage2: Stage2Configuration | undefined;
  #stage2Registers: readonly bigint[] = [];
  #stage2Stale = true;
  #hcr = 0n;
  /** The address space in use may take a bank from another at once. */
  #mayClaim = true;
  #slowOnly = false;
  #useCount = 0;
  readonly #shadow: ShadowTables | undefined;
  /** Misses may be served by generated code. */
  readonly #servedDirectly: boolean;
  readonly #missRegisters: MissRegisters;
  /** Stands for the bank of an address space that has none yet; always empty. */
  readonly #unclaimed: TlbBank;

  constructor(options: ContextOptions) {
    const { memory, frames, registers, features, userBanks = USER_BANKS } = options;
    this.#shadow = options.shadow;
    this.#servedDirectly = options.servedDirectly ?? true;
    this.registers = registers;
    this.features = features;
    this.#words = memory.words;
    this.#base = options.base;
    this.#missRegisters = new MissRegisters(memory.words, options.base);
    const bank = () => {
      const made = new TlbBank(memory, frames);
      this.#banks.push(made);
      return made;
    };
    const pair = (): readonly [TlbBank, TlbBank] => [bank(), bank()];
    const both = (only: TlbBank): readonly [TlbBank, TlbBank] => [only, only];
    const slot = (name: RegimeName, privileged: readonly [TlbBank, TlbBank]) =>
      new RegimeSlot({ name, registers, features, privileged });
    this.#slots = {
      "EL1&0": slot("EL1&0", pair()),
      "Secure EL1&0": slot("Secure EL1&0", pair()),
      EL2: slot("EL2", both(bank())),
      "EL2&0": slot("EL2&0", pair()),
      EL3: slot("EL3", both(bank())),
    };
    this.#slotList = Object.values(this.#slots);
    for (let index = 0; index < userBanks; index++) {
      this.#users.push({ bank: bank(), slot: undefined, asid: 0, lower: 0, upper: 0, lastUse: 0 });
    }
    this.#unclaimed = bank();
    const initial = this.#slots["EL3"];
    const view = (): AccessView => ({
      bank: initial.privileged[0],
      stage1: initial.configuration,
      stage2: undefined,
      request: REQUEST.PRIVILEGED,
      fastData: false,
      bigEndian: false,
    });
    this.ordinary = view();
    this.unprivileged = view();
  }

  /**
   * Call after a write to a translation register, with its name if only that one was written (table bases are
   * quick then), and after reset.
   */
  contextChanged(name?: TranslationRegisterName): void {
    for (const slot of this.#slotList) slot.registerChanged(name);
    if (name !== undefined && TABLE_BASES.has(name)) {
      this.stateChanged();
      return;
    }
    this.#stage2Stale = true;
    this.#hcr = this.features.el2 ? this.registers.read("HCR_EL2") : 0n;
    this.stateChanged();
  }

  /** Call after a change of EL, PAN, UAO or security state in the element's block; cheaper. */
  stateChanged(claim = false): void {
    const word = (offset: number) => this.#words[(this.#base + offset) >>> 2]!;
    const level = word(PE_LAYOUT.EL);
    const pan = word(PE_LAYOUT.PAN) !== 0;
    const slot = this.#refreshed(this.regimeOf(level, word(PE_LAYOUT.NON_SECURE) !== 0));
    const { ordinary, unprivileged } = this;
    this.#mayClaim = claim || level === 0 || this.#shadow === undefined;
    this.#setView(ordinary, slot, level !== 0, pan);
    const unprivilegedApplies =
      word(PE_LAYOUT.UAO) === 0 &&
      (level === 1 || (level === 2 && this.isHost)) &&
      slot.configuration.twoPrivileges;
    this.#setView(unprivileged, slot, level !== 0 && !unprivilegedApplies, pan);
    if (this.#shadow !== undefined) this.#publish(slot);
    unprivileged.bigEndian = ordinary.bigEndian;
    this.#words[(this.#base + PE_LAYOUT.TLB_BANK) >>> 2] = ordinary.bank.address;
    this.#words[(this.#base + PE_LAYOUT.TLB_BANK_UNPRIVILEGED) >>> 2] = unprivileged.bank.address;
    this.#words[(this.#base + PE_LAYOUT.BIG_ENDIAN) >>> 2] = ordinary.bigEndian ? 1 : 0;
  }

  /** While set, no data access takes the fast path: watchpoints are armed. */
  setSlowOnly(slowOnly: boolean): void {
    if (slowOnly === this.#slowOnly) return;
    this.#slowOnly = slowOnly;
    this.flushAll();
    this.stateChanged();
  }

  get slowOnly(): boolean {
    return this.#slowOnly;
  }

  /** HCR_EL2.{E2H,TGE} = {1,1}: EL0 belongs to EL2&0. */
  get isHost(): boolean {
    return this.isE2h && (lowWord(this.#hcr) & HCR_LOW.TGE) !== 0;
  }

  get isE2h(): boolean {
    return (highWord(this.#hcr) & HCR_HIGH.E2H) !== 0;
  }

  /** HCR_EL2.FB. */
  get forcesBroadcast(): boolean {
    return (lowWord(this.#hcr) & HCR_LOW.FB) !== 0;
  }

  get exceptionLevel(): number {
    return this.#words[(this.#base + PE_LAYOUT.EL) >>> 2]!;
  }

  get panIsSet(): boolean {
    return this.#words[(this.#base + PE_LAYOUT.PAN) >>> 2] !== 0;
  }

  /** Non-secure, or at EL3 with SCR_EL3.NS set: the state below EL3. */
  get lowerIsNonSecure(): boolean {
    if (!this.features.el3) return true;
    return (this.registers.read("SCR_EL3") & 1n) === 1n;
  }

  regimeOf(level: number, nonSecure: boolean): RegimeName {
    if (level === 3) return "EL3";
    if (level === 2) return this.isE2h ? "EL2&0" : "EL2";
    if (!nonSecure) return "Secure EL1&0";
    return level === 0 && this.isHost ? "EL2&0" : "EL1&0";
  }

  /** Stage 1 of any regime as its registers are now. */
  stage1(regime: RegimeName): Stage1Configuration {
    return this.#refreshed(regime).configuration;
  }

  /** Stage 2 as its registers are now, or undefined where the regime has none or it is off. */
  stage2(regime: RegimeName): Stage2Configuration | undefined {
    if (regime !== "EL1&0" || !this.features.el2) return undefined;
    if (this.#stage2Stale) this.#refreshStage2();
    return this.#stage2;
  }

  /** An ASID operand as the regime compares it: eight bits while TCR_ELx.AS is 0. */
  matchingAsid(regime: RegimeName, asid: number): number {
    return this.stage1(regime).wideAsid ? asid : asid & 0xff;
  }

  /** Byte addresses of all banks. */
  bankAddresses(): number[] {
    return this.#banks.map((bank) => bank.address);
  }

  /** Drops all translations. */
  flushAll(): void {
    for (const bank of this.#banks) this.#count(bank.flush());
  }

  /** Drops all translations of a regime, or only those that belong to one ASID. */
  flushRegime(regime: RegimeName, asid?: number): void {
    const { privileged } = this.#slots[regime];
    for (const bank of privileged) if (asid === undefined || bank.hasNonGlobal) this.#count(bank.flush());
    for (const user of this.#users) {
      const matches = user.slot?.name === regime && (asid === undefined || user.asid === asid);
      if (matches) this.#count(user.bank.flush());
    }
  }

  /** Drops what maps an address in a regime; with an ASID, what is global or belongs to it. */
  flushAddress(regime: RegimeName, low: number, high: number, asid?: number): void {
    const { privileged } = this.#slots[regime];
    privileged[0].flushAddress(low, high);
    if (privileged[1] !== privileged[0]) privileged[1].flushAddress(low, high);
    for (const user of this.#users) {
      if (user.slot?.name !== regime) continue;
      if (asid === undefined || user.asid === asid || user.bank.hasGlobal) user.bank.flushAddress(low, high);
    }
  }

  /** The bank that accesses of a view are cached in, for who is about to add to it. */
  bankOf(view: AccessView): TlbBank {
    if (view.bank !== this.#unclaimed) return view.bank;
    this.#mayClaim = true;
    this.stateChanged(true);
    return view.bank;
  }

  /** TLBI of a regime, or of one ASID of it, where banks that are coherent by themselves may stay as they are. */
  invalidateRegime(regime: RegimeName, asid?: number): void {
    if (this.#shadow === undefined) {
      this.flushRegime(regime, asid);
      return;
    }
    const { privileged } = this.#slots[regime];
    for (const bank of privileged) {
      if (!bank.coherent && (asid === undefined || bank.hasNonGlobal)) this.#count(bank.flush());
    }
    for (const user of this.#users) {
      if (user.bank.coherent || user.slot?.name !== regime) continue;
      if (asid === undefined || user.asid === asid) this.#count(user.bank.flush());
    }
  }

  /** Drops one page's translations in a regime. */
  dropPage(regime: RegimeName, low: number, high: number): void {
    const { privileged } = this.#slots[regime];
    if ((high & UPPER) !== 0 || privileged[0].hasLower) privileged[0].dropPage(low, high);
    if (privileged[1] !== privileged[0] && ((high & UPPER) !== 0 || privileged[1].hasLower)) {
      privileged[1].dropPage(low, high);
    }
    for (const user of this.#users) if (user.slot?.name === regime) user.bank.dropPage(low, high);
  }

  /** Drops what was translated through one table base, given as a page number. */
  dropRoot(regime: RegimeName, upper: boolean, page: number): void {
    for (const bank of this.#slots[regime].privileged) {
      if (upper || bank.hasLower) this.#count(bank.flush());
    }
    for (const user of this.#users) {
      if (user.slot?.name === regime && (upper ? user.upper : user.lower) === page) {
        this.#count(user.bank.flush());
      }
    }
  }

  /** A shadow table is the root of some regime as its registers are now. */
  usesRoot(root: number): boolean {
    return this.#slotList.some(
      ({ configuration: { lower, upper } }) => lower.shadowRoot === root || upper.shadowRoot === root,
    );
  }

  /** Tells generated code of a root that has been looked up since. */
  publishRoots(): void {
    this.#missRegisters.publishRoots();
  }

  /** What a miss served by generated code needs to know. */
  #publish({ configuration }: RegimeSlot): void {
    const { ordinary, unprivileged } = this;
    if (!this.#servedDirectly || !ordinary.fastData || ordinary.stage2 !== undefined) {
      this.#missRegisters.withdraw();
      return;
    }
    const hasBank = unprivileged.bank !== this.#unclaimed;
    this.#missRegisters.publish(configuration, ordinary.request, hasBank ? unprivileged.request : undefined);
  }

  /** Makes the next walk look the root's shadow up; 0 for all. */
  forgetRoot(root: number): void {
    this.#missRegisters.forgetRoot(root);
    for (const { configuration } of this.#slotList) {
      for (const geometry of [configuration.lower, configuration.upper]) {
        if (root === 0 || geometry.shadowRoot === root) geometry.shadowRoot = 0;
      }
    }
  }

  /** The address spaces that have a bank, with what names them, most recently used first. */
  addressSpaces(): AddressSpace[] {
    return this.#users
      .filter(({ slot }) => slot !== undefined)
      .sort((one, other) => other.lastUse - one.lastUse)
      .map(({ slot, asid, lower, upper, lastUse }) => ({
        regime: slot!.name,
        asid,
        lowerTables: lower * 2 ** FRAME_SHIFT,
        upperTables: upper * 2 ** FRAME_SHIFT,
        lastUse,
      }));
  }

  /** Number of the bank of the current address space, or -1 while it has none. */
  get shadowAsid(): number {
    return this.#users.findIndex(({ bank }) => bank === this.unprivileged.bank);
  }

  revokeWrites(frame: number): void {
    for (const bank of this.#banks) bank.revokeWrites(frame);
  }

  revokeExecution(frame: number): void {
    for (const bank of this.#banks) bank.revokeExecution(frame);
  }

  #setView(view: AccessView, slot: RegimeSlot, privileged: boolean, pan: boolean): void {
    const { configuration } = slot;
    const two = configuration.twoPrivileges;
    view.stage1 = configuration;
    view.stage2 = this.stage2(slot.name);
    view.fastData = slot.fastData && !this.#slowOnly;
    view.bigEndian = privileged ? configuration.bigEndianPrivileged : configuration.bigEndianUnprivileged;
    if (!privileged && two) {
      view.request = 0;
      view.bank = slot.user ?? this.#userBank(slot);
    } else {
      view.request = REQUEST.PRIVILEGED | (pan && two ? REQUEST.PAN : 0);
      view.bank = slot.privileged[pan ? 1 : 0];
    }
  }

  #refreshed(regime: RegimeName): RegimeSlot {
    const slot = this.#slots[regime];
    if (slot.stale === "nothing") {
      if (regime === "EL1&0" && this.#stage2Stale) this.stage2(regime);
      return slot;
    }
    const { asid } = slot.configuration;
    const change = slot.refresh();
    const { twoPrivileges, asid: newAsid } = slot.configuration;
    if (change === "everything") this.#shadow?.roles.assign(slot.configuration);
    if (change === "everything" || (change === "tables" && !twoPrivileges)) this.flushRegime(regime);
    else if (asid !== newAsid) {
      for (const bank of slot.privileged) if (bank.hasNonGlobal) this.#count(bank.flush());
    }
    // What is left was made from tables that nobody may watch any more.
    for (const bank of slot.privileged) {
      if ((slot.lowerMoved && bank.hasLower) || (slot.upperMoved && !bank.isEmpty)) bank.loseCoherence();
    }
    if (change !== "nothing") slot.user = undefined;
    this.stage2(regime);
    return slot;
  }

  #refreshStage2(): void {
    this.#stage2Stale = false;
    const { registers } = this;
    const hcr = registers.read("HCR_EL2") & STAGE2_HCR;
    const enabled = (hcr & BigInt(HCR_LOW.VM | HCR_LOW.DC)) !== 0n;
    const vtcr = enabled ? registers.read("VTCR_EL2") : 0n;
    const vttbr = enabled ? registers.read("VTTBR_EL2") : 0n;
    const bigEndian = enabled && (lowWord(registers.read("SCTLR_EL2")) & SCTLR.EE) !== 0;
    const now = enabled ? [hcr, vtcr, vttbr, bigEndian ? 1n : 0n] : [];
    const same =
      now.length === this.#stage2Registers.length &&
      now.every((value, index) => value === this.#stage2Registers[index]);
    if (same) return;
    this.#stage2Registers = now;
    const { physicalAddressBits } = this.features;
    this.#stage2 = enabled
      ? new Stage2Configuration({ vtcr, vttbr, hcr, bigEndian, physicalAddressBits })
      : undefined;
    this.flushRegime("EL1&0");
  }

  /** The bank of a regime's current ASID: the one it had, or the one unused for longest. */
  #userBank(slot: RegimeSlot): TlbBank {
    const { asid } = slot.configuration;
    // Without shadow tables TLBI drops what belongs to an ASID, whatever tables it came from.
    const lower = this.#shadow === undefined ? 0 : pageOf(slot.configuration.lower);
    const upper = this.#shadow === undefined ? 0 : pageOf(slot.configuration.upper);
    let chosen = this.#users.find(
      (user) => user.slot === slot && user.asid === asid && user.lower === lower && user.upper === upper,
    );
    if (chosen === undefined) {
      if (!this.#mayClaim) return this.#unclaimed;
      this.reassignments++;
      chosen = this.#users.reduce((oldest, user) => (user.lastUse < oldest.lastUse ? user : oldest));
      if (chosen.slot?.user === chosen.bank) chosen.slot.user = undefined;
      this.#count(chosen.bank.flush());
      chosen.slot = slot;
      chosen.asid = asid;
      chosen.lower = lower;
      chosen.upper = upper;
    }
    chosen.lastUse = ++this.#useCount;
    slot.user = chosen.bank;
    return chosen.bank;
  }

  #count(flushed: boolean): void {
    if (flushed) this.flushes++;
  }
}

/** Bit 55 of an address, in its high word. */
const UPPER = 0x0080_0000;

/** The page number of a table base. */
function pageOf({ baseLow, baseHigh }: TableGeometry): number {
  return baseHigh * 2 ** 20 + (baseLow >>> FRAME_SHIFT);
}
