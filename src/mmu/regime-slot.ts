import { type RegimeName, Stage1Configuration } from "./regime.ts";
import type { TlbBank } from "./tlb-bank.ts";
import {
  HCR_LOW,
  lowWord,
  SCR,
  SCTLR,
  type TranslationFeatures,
  type TranslationRegisterName,
  type TranslationRegisters,
} from "./translation-registers.ts";

interface RegimeRegisters {
  readonly sctlr: TranslationRegisterName;
  readonly tcr: TranslationRegisterName;
  readonly ttbr0: TranslationRegisterName;
  readonly ttbr1: TranslationRegisterName | undefined;
  readonly mair: TranslationRegisterName;
}

const EL1_REGISTERS: RegimeRegisters = {
  sctlr: "SCTLR_EL1",
  tcr: "TCR_EL1",
  ttbr0: "TTBR0_EL1",
  ttbr1: "TTBR1_EL1",
  mair: "MAIR_EL1",
};
const EL2_REGISTERS = { sctlr: "SCTLR_EL2", tcr: "TCR_EL2", ttbr0: "TTBR0_EL2", mair: "MAIR_EL2" } as const;

const REGIME_REGISTERS: Record<RegimeName, RegimeRegisters> = {
  "EL1&0": EL1_REGISTERS,
  "Secure EL1&0": EL1_REGISTERS,
  EL2: { ...EL2_REGISTERS, ttbr1: undefined },
  "EL2&0": { ...EL2_REGISTERS, ttbr1: "TTBR1_EL2" },
  EL3: { sctlr: "SCTLR_EL3", tcr: "TCR_EL3", ttbr0: "TTBR0_EL3", ttbr1: undefined, mair: "MAIR_EL3" },
};

/** SCTLR_ELx bits that a cached translation depends on. */
const SCTLR_BITS = BigInt(SCTLR.M | SCTLR.A | SCTLR.C | SCTLR.I | SCTLR.WXN | SCTLR.E0E | SCTLR.EE);

/** What changed at a refresh, as far as cached translations care. */
export type RegimeChange = "nothing" | "tables" | "everything";

/** One regime of one processing element: its decoded registers and the banks that cache its translations. */
export class RegimeSlot {
  readonly name: RegimeName;
  /** What may have changed since the last refresh: nothing, the table base registers, or any register. */
  stale: "nothing" | "tables" | "everything" = "everything";
  configuration: Stage1Configuration;
  /** Privileged accesses without and with PSTATE.PAN. */
  readonly privileged: readonly [TlbBank, TlbBank];
  /** Bank of the current ASID's unprivileged accesses, while known. */
  user: TlbBank | undefined;
  /** Which table bases the last refresh changed. */
  lowerMoved = false;
  upperMoved = false;
  /** Accesses can use the soft TLB at all: little-endian and unchecked for alignment. */
  fastData = false;
  readonly #registers: TranslationRegisters;
  readonly #features: TranslationFeatures;
  #tables: readonly [bigint, bigint] = [0n, 0n];
  #rest: readonly bigint[] = [];

  constructor(options: {
    name: RegimeName;
    registers: TranslationRegisters;
    features: TranslationFeatures;
    privileged: readonly [TlbBank, TlbBank];
  }) {
    this.name = options.name;
    this.#registers = options.registers;
    this.#features = options.features;
    this.privileged = options.privileged;
    this.configuration = new Stage1Configuration({
      regime: options.name,
      sctlr: 0n,
      tcr: 0n,
      ttbr0: 0n,
      ttbr1: 0n,
      mair: 0n,
      hcr: 0n,
      secureFetchOnly: false,
      physicalAddressBits: options.features.physicalAddressBits,
    });
  }

  /** Notes that a register was written, or that any may have been. */
  registerChanged(name: TranslationRegisterName | undefined): void {
    const { ttbr0, ttbr1 } = REGIME_REGISTERS[this.name];
    if (name !== undefined && (name === ttbr0 || name === ttbr1)) {
      if (this.stale === "nothing") this.stale = "tables";
    } else this.stale = "everything";
  }

  /** Decodes the registers anew if they changed. */
  refresh(): RegimeChange {
    const { stale } = this;
    this.stale = "nothing";
    const { lower, upper } = this.configuration;
    const { baseLow: lowerLow, baseHigh: lowerHigh } = lower;
    const { baseLow: upperLow, baseHigh: upperHigh } = upper;
    const change = this.#refresh(stale);
    const { lower: newLower, upper: newUpper } = this.configuration;
    this.lowerMoved = newLower.baseLow !== lowerLow || newLower.baseHigh !== lowerHigh;
    this.upperMoved = newUpper.baseLow !== upperLow || newUpper.baseHigh !== upperHigh;
    return change;
  }

  #refresh(stale: RegimeSlot["stale"]): RegimeChange {
    return stale === "everything" ? this.#refreshAll() : this.#refreshTables();
  }

  #refreshTables(): RegimeChange {
    const names = REGIME_REGISTERS[this.name];
    const ttbr0 = this.#registers.read(names.ttbr0);
    const ttbr1 = names.ttbr1 === undefined ? 0n : this.#registers.read(names.ttbr1);
    if (ttbr0 === this.#tables[0] && ttbr1 === this.#tables[1]) return "nothing";
    this.#tables = [ttbr0, ttbr1];
    this.configuration.setTables(ttbr0, ttbr1);
    return "tables";
  }

  #refreshAll(): RegimeChange {
    const names = REGIME_REGISTERS[this.name];
    const read = (name: TranslationRegisterName | undefined) =>
      name === undefined ? 0n : this.#registers.read(name);
    const sctlr = read(names.sctlr) & SCTLR_BITS;
    const tcr = read(names.tcr);
    const mair = read(names.mair);
    const hcr = this.name === "EL1&0" && this.#features.el2 ? read("HCR_EL2") : 0n;
    const isSecure = this.name === "Secure EL1&0" || this.name === "EL3";
    const secureFetchOnly = isSecure && (lowWord(read("SCR_EL3")) & SCR.SIF) !== 0;
    const rest = [sctlr, tcr, mair, hcr & BigInt(HCR_LOW.DC | HCR_LOW.TGE), secureFetchOnly ? 1n : 0n];
    if (rest.every((value, index) => value === this.#rest[index])) return this.#refreshTables();
    const ttbr0 = read(names.ttbr0);
    const ttbr1 = read(names.ttbr1);
    this.#tables = [ttbr0, ttbr1];
    this.#rest = rest;
    this.configuration = new Stage1Configuration({
      regime: this.name,
      sctlr,
      tcr,
      ttbr0,
      ttbr1,
      mair,
      hcr,
      secureFetchOnly,
      physicalAddressBits: this.#features.physicalAddressBits,
    });
    const { alignmentChecks, bigEndianPrivileged, bigEndianUnprivileged, twoPrivileges } = this.configuration;
    this.fastData = !alignmentChecks && !bigEndianPrivileged && !(twoPrivileges && bigEndianUnprivileged);
    return "everything";
  }
}
