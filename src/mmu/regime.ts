import { outputAddressBits, TableGeometry, TG0_GRANULE, TG1_GRANULE } from "./table-geometry.ts";
import { HCR_HIGH, HCR_LOW, highWord, lowWord, SCTLR } from "./translation-registers.ts";

/** Translation regimes (Arm ARM D8.1); Secure EL1&0 has no stage 2, as FEAT_SEL2 is not implemented. */
export type RegimeName = "EL1&0" | "Secure EL1&0" | "EL2" | "EL2&0" | "EL3";

export interface Stage1Input {
  readonly regime: RegimeName;
  readonly sctlr: bigint;
  readonly tcr: bigint;
  readonly ttbr0: bigint;
  readonly ttbr1: bigint;
  readonly mair: bigint;
  /** HCR_EL2 as it affects this regime: zero where EL2 is absent or disabled. */
  readonly hcr: bigint;
  /** SCR_EL3.SIF, for Secure regimes. */
  readonly secureFetchOnly: boolean;
  readonly physicalAddressBits: number;
}

/** Bits of TCR_EL1, and of TCR_EL2 with two halves. Above 31, positions in the high word. */
const TCR_TWO = {
  EPD0: 7,
  A1: 22,
  EPD1: 23,
  IPS: 0,
  AS: 4,
  TBI0: 5,
  TBI1: 6,
  HA: 7,
  HD: 8,
  E0PD0: 23,
  E0PD1: 24,
};
/** Bits of TCR_EL2 with one half and of TCR_EL3. */
const TCR_ONE = { PS: 16, TBI: 20, HA: 21, HD: 22 };

/** Everything stage 1 of one regime depends on, decoded once. */
export class Stage1Configuration {
  readonly regime: RegimeName;
  readonly secure: boolean;
  /** EL0 and a higher level share the regime, and addresses have two halves. */
  readonly twoPrivileges: boolean;
  readonly enabled: boolean;
  readonly lower: TableGeometry;
  readonly upper: TableGeometry;
  readonly wxn: boolean;
  /** SCTLR_ELx.A. */
  readonly alignmentChecks: boolean;
  readonly bigEndianPrivileged: boolean;
  readonly bigEndianUnprivileged: boolean;
  readonly hardwareAccessFlag: boolean;
  readonly hardwareDirty: boolean;
  readonly mair: Uint8Array;
  readonly dataCacheable: boolean;
  readonly fetchCacheable: boolean;
  /** HCR_EL2.DC: with stage 1 off, memory is Normal write-back. */
  readonly defaultCacheable: boolean;
  readonly secureFetchOnly: boolean;
  asid = 0;
  /** TCR_ELx.AS: ASIDs have 16 bits, else 8. */
  readonly wideAsid: boolean;
  /** TCR_ELx.A1: the ASID is that of TTBR1. */
  readonly #asidFromUpper: boolean;
  /** Bits 63:PAMax of an address that must be zero with stage 1 off, in the high word, for each half. */
  readonly identityCheckLower: number;
  readonly identityCheckUpper: number;

  constructor(input: Stage1Input) {
    const sctlr = lowWord(input.sctlr);
    const hcrLow = lowWord(input.hcr);
    const tcrLow = lowWord(input.tcr);
    const tcrHigh = highWord(input.tcr);
    this.regime = input.regime;
    this.secure = input.regime === "Secure EL1&0" || input.regime === "EL3";
    this.twoPrivileges = input.regime !== "EL2" && input.regime !== "EL3";
    const forcedOff = input.regime === "EL1&0" && (hcrLow & (HCR_LOW.DC | HCR_LOW.TGE)) !== 0;
    this.enabled = (sctlr & SCTLR.M) !== 0 && !forcedOff;
    this.defaultCacheable = input.regime === "EL1&0" && (hcrLow & HCR_LOW.DC) !== 0;
    this.wxn = (sctlr & SCTLR.WXN) !== 0;
    this.alignmentChecks = (sctlr & SCTLR.A) !== 0;
    const bigEndian = (sctlr & SCTLR.EE) !== 0;
    this.bigEndianPrivileged = bigEndian;
    this.bigEndianUnprivileged = (sctlr & SCTLR.E0E) !== 0;
    this.dataCacheable = (sctlr & SCTLR.C) !== 0;
    this.fetchCacheable = (sctlr & SCTLR.I) !== 0;
    this.secureFetchOnly = this.secure && input.secureFetchOnly;
    this.mair = new Uint8Array(new BigUint64Array([input.mair]).buffer);
    const two = this.twoPrivileges;
    const flag = (index: number) => ((two ? tcrHigh : tcrLow) >>> index) & 1;
    this.hardwareAccessFlag = flag(two ? TCR_TWO.HA : TCR_ONE.HA) === 1;
    this.hardwareDirty = this.hardwareAccessFlag && flag(two ? TCR_TWO.HD : TCR_ONE.HD) === 1;
    const outputField = two ? (tcrHigh >>> TCR_TWO.IPS) & 7 : (tcrLow >>> TCR_ONE.PS) & 7;
    const outputBits = outputAddressBits(outputField, input.physicalAddressBits);
    const ignoreTop0 = flag(two ? TCR_TWO.TBI0 : TCR_ONE.TBI) === 1;
    const ignoreTop1 = two && flag(TCR_TWO.TBI1) === 1;
    const common = { outputBits, bigEndian };
    this.lower = new TableGeometry({
      ...common,
      tableBase: input.ttbr0,
      granule: TG0_GRANULE[(tcrLow >>> 14) & 3]!,
      inputBits: 64 - (tcrLow & 63),
      usable: !(two && ((tcrLow >>> TCR_TWO.EPD0) & 1) === 1),
      checkedBits: ignoreTop0 ? 56 : 64,
      privilegedOnly: two && flag(TCR_TWO.E0PD0) === 1,
    });
    this.upper = new TableGeometry({
      ...common,
      tableBase: input.ttbr1,
      granule: TG1_GRANULE[(tcrLow >>> 30) & 3]!,
      inputBits: 64 - ((tcrLow >>> 16) & 63),
      usable: two && ((tcrLow >>> TCR_TWO.EPD1) & 1) === 0,
      checkedBits: ignoreTop1 ? 56 : 64,
      privilegedOnly: two && flag(TCR_TWO.E0PD1) === 1,
    });
    this.#asidFromUpper = ((tcrLow >>> TCR_TWO.A1) & 1) === 1;
    this.wideAsid = two && flag(TCR_TWO.AS) === 1;
    this.setTables(input.ttbr0, input.ttbr1);
    const abovePhysical = ~(2 ** (input.physicalAddressBits - 32) - 1);
    this.identityCheckLower = abovePhysical & (ignoreTop0 ? 0x00ff_ffff : -1);
    this.identityCheckUpper = abovePhysical & ((two ? ignoreTop1 : ignoreTop0) ? 0x00ff_ffff : -1);
  }

  /** Takes other values of the table base registers; all else stays. */
  setTables(ttbr0: bigint, ttbr1: bigint): void {
    const high0 = highWord(ttbr0);
    const high1 = highWord(ttbr1);
    this.lower.setBase(lowWord(ttbr0), high0);
    this.upper.setBase(lowWord(ttbr1), high1);
    if (!this.twoPrivileges) return;
    const asid = (this.#asidFromUpper ? high1 : high0) >>> 16;
    this.asid = this.wideAsid ? asid : asid & 0xff;
  }
}

export interface Stage2Input {
  readonly vtcr: bigint;
  readonly vttbr: bigint;
  readonly hcr: bigint;
  /** SCTLR_EL2.EE. */
  readonly bigEndian: boolean;
  readonly physicalAddressBits: number;
}

/** Everything stage 2 depends on, decoded once. It exists for the Non-secure EL1&0 regime only. */
export class Stage2Configuration {
  readonly geometry: TableGeometry;
  readonly hardwareAccessFlag: boolean;
  readonly hardwareDirty: boolean;
  /** HCR_EL2.PTW: a stage 1 table in Device memory faults. */
  readonly protectWalk: boolean;
  /** HCR_EL2.CD and .ID. */
  readonly dataCacheDisabled: boolean;
  readonly fetchCacheDisabled: boolean;

  constructor(input: Stage2Input) {
    const vtcr = lowWord(input.vtcr);
    const granule = TG0_GRANULE[(vtcr >>> 14) & 3]!;
    const inputBits = 64 - (vtcr & 63);
    const sl0 = (vtcr >>> 6) & 3;
    const startLevel = granule === 12 ? 2 - sl0 : 3 - sl0;
    const { physicalAddressBits } = input;
    this.geometry = new TableGeometry({
      tableBase: input.vttbr,
      granule,
      inputBits,
      startLevel,
      outputBits: outputAddressBits((vtcr >>> 16) & 7, physicalAddressBits),
      bigEndian: input.bigEndian,
      usable: sl0 !== 3 && isStartLevelConsistent({ granule, startLevel, inputBits, physicalAddressBits }),
      checkedBits: 48,
    });
    this.hardwareAccessFlag = ((vtcr >>> 21) & 1) === 1;
    this.hardwareDirty = this.hardwareAccessFlag && ((vtcr >>> 22) & 1) === 1;
    this.protectWalk = (lowWord(input.hcr) & HCR_LOW.PTW) !== 0;
    this.dataCacheDisabled = (highWord(input.hcr) & HCR_HIGH.CD) !== 0;
    this.fetchCacheDisabled = (highWord(input.hcr) & HCR_HIGH.ID) !== 0;
  }
}

/**
 * VTCR_EL2.SL0 must fit T0SZ (at most 16 concatenated tables) and the physical address size; if not, every
 * access takes a level 0 translation fault. An input size above the physical one faults too, which is one of
 * the CONSTRAINED UNPREDICTABLE choices.
 */
function isStartLevelConsistent(stage2: {
  granule: number;
  startLevel: number;
  inputBits: number;
  physicalAddressBits: number;
}): boolean {
  const { granule, startLevel, inputBits, physicalAddressBits } = stage2;
  const stride = granule - 3;
  const indexBits = inputBits - ((3 - startLevel) * stride + granule);
  if (indexBits < 1 || indexBits > stride + 4) return false;
  if (granule === 12 && startLevel === 0 && physicalAddressBits <= 42) return false;
  if (granule === 14 && startLevel === 1 && physicalAddressBits <= 40) return false;
  if (granule === 16 && startLevel === 1 && physicalAddressBits <= 42) return false;
  return inputBits <= physicalAddressBits;
}
