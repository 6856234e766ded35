import { highWord, lowWord } from "./translation-registers.ts";

/** log2 of the bytes of a translation granule. */
export type GranuleShift = 12 | 14 | 16;

/** TCR_ELx.TG0, VTCR_EL2.TG0; the reserved value means 4 KiB here. */
export const TG0_GRANULE: readonly GranuleShift[] = [12, 16, 14, 12];
/** TCR_ELx.TG1; the reserved value means 4 KiB here. */
export const TG1_GRANULE: readonly GranuleShift[] = [12, 14, 12, 16];

/** Bits of output address for TCR_ELx.IPS and PS and VTCR_EL2.PS, never more than the processor has. */
export function outputAddressBits(field: number, implemented: number): number {
  return Math.min([32, 36, 40, 42, 44, 48][field] ?? 48, implemented);
}

/** Input addresses of the smallest and the largest table (no FEAT_TTST, no FEAT_LVA). */
const INPUT_BITS_MINIMUM = 25;
const INPUT_BITS_MAXIMUM = 48;

export interface GeometryInput {
  /** TTBRn_ELx or VTTBR_EL2. */
  readonly tableBase: bigint;
  readonly granule: GranuleShift;
  /** 64 - TnSZ, out of range values included. */
  readonly inputBits: number;
  readonly outputBits: number;
  readonly bigEndian: boolean;
  /** First level walked; stage 1 derives it from the input size. */
  readonly startLevel?: number;
  /** False where the register field says that no walk happens (EPDn) or the fields contradict each other. */
  readonly usable: boolean;
  /** log2 of the addresses above which input bits are not checked: 56 with TBI, else 64; 48 for stage 2. */
  readonly checkedBits: number;
  /** E0PDn: unprivileged accesses fault at level 0. */
  readonly privilegedOnly?: boolean;
}

/** One table base with everything a walk from it needs, decoded once. */
export class TableGeometry {
  readonly usable: boolean;
  readonly privilegedOnly: boolean;
  readonly granule: GranuleShift;
  /** Index bits a level. */
  readonly stride: number;
  readonly startLevel: number;
  /** Position of the first level's index, and the mask over it. */
  readonly startShift: number;
  readonly startMask: number;
  /** Blocks above this level are reserved. */
  readonly firstBlockLevel: number;
  baseLow = 0;
  baseHigh = 0;
  /** Names what the meaning of this table's descriptors depends on, see shadow/shadow-roles.ts; 0: not shadowed. */
  shadowRole = 0;
  /** Address of the shadow of the table at the base, 0 while it is not looked up. */
  shadowRoot = 0;
  /** The base lies above the output size: an address size fault at level 0. */
  baseOutOfRange = false;
  /** Bits of the input address, in halves, that must all be equal to the half's sign. */
  readonly checkLow: number;
  readonly checkHigh: number;
  /** Bits 47:32 of a descriptor, in its high word, that must be zero. */
  readonly outputCheckHigh: number;
  readonly bigEndian: boolean;
  readonly #baseMask: number;

  constructor(input: GeometryInput) {
    const { granule, inputBits, outputBits } = input;
    this.usable = input.usable && inputBits >= INPUT_BITS_MINIMUM && inputBits <= INPUT_BITS_MAXIMUM;
    this.privilegedOnly = input.privilegedOnly ?? false;
    this.granule = granule;
    this.stride = granule - 3;
    this.startLevel = input.startLevel ?? 4 - Math.ceil((inputBits - granule) / this.stride);
    this.startShift = (3 - this.startLevel) * this.stride + granule;
    const indexBits = inputBits - this.startShift;
    this.startMask = 2 ** indexBits - 1;
    this.firstBlockLevel = granule === 12 ? 1 : 2;
    this.#baseMask = ~(2 ** (indexBits + 3) - 1);
    this.outputCheckHigh = outputBits >= 48 ? 0 : (0xffff << (outputBits - 32)) & 0xffff;
    this.setBase(lowWord(input.tableBase), highWord(input.tableBase));
    this.checkLow = inputBits >= 32 ? 0 : ~(2 ** inputBits - 1);
    const checkedHigh = input.checkedBits >= 64 ? -1 : 2 ** (input.checkedBits - 32) - 1;
    this.checkHigh = checkedHigh & (inputBits <= 32 ? -1 : ~(2 ** (inputBits - 32) - 1));
    this.bigEndian = input.bigEndian;
  }

  /** Takes another value of the table base register, given as halves; all else stays. */
  setBase(low: number, high: number): void {
    const baseLow = low & this.#baseMask;
    const baseHigh = high & 0xffff;
    if (baseLow !== this.baseLow || baseHigh !== this.baseHigh) this.shadowRoot = 0;
    this.baseLow = baseLow;
    this.baseHigh = baseHigh;
    this.baseOutOfRange = (this.baseHigh & this.outputCheckHigh) !== 0;
  }
}
