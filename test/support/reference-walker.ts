/**
 * The translation rules of the Arm ARM once more, in 64-bit arithmetic, step by step and without a thought for
 * speed: what src/mmu is compared with. It shares nothing with it but the names of regimes and registers.
 */
import type { RegimeName } from "../../src/mmu/regime.ts";
import type { TranslationRegisterName } from "../../src/mmu/translation-registers.ts";

export interface ReferenceInput {
  readonly regime: RegimeName;
  readonly read: (name: TranslationRegisterName) => bigint;
  readonly physicalAddressBits: number;
  /** Little-endian double word at a physical address; undefined where there is no memory. */
  readonly fetch: (address: bigint, secure: boolean) => bigint | undefined;
  readonly stage1Only?: boolean;
}

export interface ReferenceAccess {
  readonly kind: "read" | "write" | "execute";
  readonly privileged: boolean;
  readonly pan: boolean;
  readonly unaligned: boolean;
  readonly addressTranslation: boolean;
}

export interface ReferenceFault {
  readonly type: "fault";
  readonly kind: string;
  readonly level: number;
  readonly stage: 1 | 2;
  readonly onStage1Walk: boolean;
  readonly ipa: bigint;
}

export interface ReferenceSuccess {
  readonly type: "success";
  readonly address: bigint;
  readonly secure: boolean;
  readonly attributes: number;
  readonly shareability: number;
}

export interface Update {
  /** Physical address of a descriptor. */
  readonly address: bigint;
  readonly secure: boolean;
  /** The new value in memory's byte order. */
  readonly value: bigint;
}

export type ReferenceResult = (ReferenceFault | ReferenceSuccess) & { readonly updates: readonly Update[] };

const bit = (value: bigint, index: number): boolean => ((value >> BigInt(index)) & 1n) === 1n;
const field = (value: bigint, high: number, low: number): number => Number(slice(value, high, low));
const slice = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);

class Fault extends Error {
  readonly fault: ReferenceFault;
  constructor(fault: ReferenceFault) {
    super(fault.kind);
    this.fault = fault;
  }
}

interface Stage1Attributes {
  readonly byte: number;
  readonly shareability: number;
}

interface Leaf {
  readonly descriptor: bigint;
  readonly address: bigint;
  readonly level: number;
  readonly output: bigint;
  /** Physical address of the descriptor, and its space. */
  readonly physical: bigint;
  readonly physicalSecure: boolean;
  readonly nsTable: boolean;
  readonly apTable: number;
  readonly xnTable: boolean;
  readonly pxnTable: boolean;
}

interface WalkInput {
  readonly granule: number;
  readonly startLevel: number;
  readonly inputSize: number;
  readonly outputSize: number;
  readonly base: bigint;
  readonly address: bigint;
  readonly secure: boolean;
  readonly bigEndian: boolean;
  readonly stage: 1 | 2;
  readonly fail: (kind: string, level: number) => never;
  /** From the table's own address space to physical. */
  readonly locate: (address: bigint) => bigint;
}

const GRANULE0: Record<number, number> = { 0: 12, 1: 16, 2: 14, 3: 12 };
const GRANULE1: Record<number, number> = { 0: 12, 1: 14, 2: 12, 3: 16 };
const SIZES = [32, 36, 40, 42, 44, 48, 48, 48];

export function referenceTranslate(
  input: ReferenceInput,
  va: bigint,
  access: ReferenceAccess,
): ReferenceResult {
  const walk = new ReferenceWalk(input, va, access);
  try {
    return { ...walk.run(), updates: walk.updates };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { ...error.fault, updates: walk.updates };
  }
}

class ReferenceWalk {
  readonly updates: Update[] = [];
  readonly #input: ReferenceInput;
  readonly #va: bigint;
  readonly #access: ReferenceAccess;

  constructor(input: ReferenceInput, va: bigint, access: ReferenceAccess) {
    this.#input = input;
    this.#va = va;
    this.#access = access;
  }

  run(): ReferenceSuccess {
    const stage1 = this.#stage1();
    if (this.#stage2Enabled() && this.#input.stage1Only !== true) return this.#finish(stage1);
    return {
      type: "success",
      address: stage1.address,
      secure: stage1.secure,
      attributes: stage1.memory.byte,
      shareability: forced(stage1.memory),
    };
  }

  #finish(stage1: { address: bigint; memory: Stage1Attributes }): ReferenceSuccess {
    const second = this.#stage2(stage1.address, "access");
    const hcr = this.#input.read("HCR_EL2");
    const disabled = bit(hcr, this.#access.kind === "execute" ? 33 : 32);
    const memory = combine({ ...stage1.memory, shareability: forced(stage1.memory) }, second, disabled);
    return {
      type: "success",
      address: second.address,
      secure: false,
      attributes: memory.byte,
      shareability: forced(memory),
    };
  }

  #stage2Enabled(): boolean {
    if (this.#input.regime !== "EL1&0") return false;
    const hcr = this.#input.read("HCR_EL2");
    return bit(hcr, 0) || bit(hcr, 12);
  }

  #fail1(kind: string, level: number): never {
    throw new Fault({ type: "fault", kind, level, stage: 1, onStage1Walk: false, ipa: 0n });
  }

  #stage1(): { address: bigint; secure: boolean; memory: Stage1Attributes } {
    const { regime, read, physicalAddressBits } = this.#input;
    const suffix = regime.startsWith("EL2") ? "EL2" : regime === "EL3" ? "EL3" : "EL1";
    const sctlr = read(`SCTLR_${suffix}`);
    const tcr = read(`TCR_${suffix}`);
    const two = regime.endsWith("&0");
    const secure = regime === "EL3" || regime.startsWith("Secure");
    const hcr = regime === "EL1&0" ? read("HCR_EL2") : 0n;
    const upperHalf = two && bit(this.#va, 55);
    const tbi = two ? bit(tcr, upperHalf ? 38 : 37) : bit(tcr, 20);
    const top = tbi ? 55 : 63;
    const enabled = bit(sctlr, 0) && !bit(hcr, 12) && !bit(hcr, 27);
    if (!enabled) {
      if (slice(this.#va, top, physicalAddressBits === 64 ? 63 : physicalAddressBits) !== 0n) {
        this.#fail1("addressSize", 0);
      }
      const memory = this.#memoryWithoutStage1(sctlr, hcr);
      if (memory.byte < 16 && this.#access.unaligned && this.#access.kind !== "execute")
        this.#fail1("alignment", 0);
      return { address: slice(this.#va, 47, 0), secure, memory };
    }
    const inputSize = 64 - (upperHalf ? field(tcr, 21, 16) : field(tcr, 5, 0));
    if (inputSize > 48 || inputSize < 25) this.#fail1("translation", 0);
    const above = slice(this.#va, top, inputSize);
    if (above !== (upperHalf ? (1n << BigInt(top - inputSize + 1)) - 1n : 0n)) this.#fail1("translation", 0);
    if (two && bit(tcr, upperHalf ? 23 : 7)) this.#fail1("translation", 0);
    if (two && bit(tcr, upperHalf ? 56 : 55) && !this.#access.privileged) this.#fail1("translation", 0);
    const granule = upperHalf ? GRANULE1[field(tcr, 31, 30)]! : GRANULE0[field(tcr, 15, 14)]!;
    const outputSize = Math.min(SIZES[two ? field(tcr, 34, 32) : field(tcr, 18, 16)]!, physicalAddressBits);
    const base = read(upperHalf ? (`TTBR1_${suffix}` as TranslationRegisterName) : `TTBR0_${suffix}`);
    const leaf = this.#walk({
      granule,
      startLevel: 4 - Math.ceil((inputSize - granule) / (granule - 3)),
      inputSize,
      outputSize,
      base,
      address: this.#va,
      secure,
      bigEndian: bit(sctlr, 25),
      stage: 1,
      fail: (kind, level) => this.#fail1(kind, level),
      locate: (address) => (this.#stage2Enabled() ? this.#stage2(address, "table").address : address),
    });
    const hardwareFlag = bit(tcr, two ? 39 : 21);
    const hardwareDirty = hardwareFlag && bit(tcr, two ? 40 : 22);
    return this.#stage1Leaf(leaf, { sctlr, two, secure, hardwareFlag, hardwareDirty, suffix });
  }

  #memoryWithoutStage1(sctlr: bigint, hcr: bigint): Stage1Attributes {
    if (bit(hcr, 12)) return { byte: 0xff, shareability: 0 };
    if (this.#access.kind !== "execute") return { byte: 0, shareability: 2 };
    return { byte: bit(sctlr, 12) ? 0xaa : 0x44, shareability: 2 };
  }

  #stage1Leaf(
    leaf: Leaf,
    regime: {
      sctlr: bigint;
      two: boolean;
      secure: boolean;
      hardwareFlag: boolean;
      hardwareDirty: boolean;
      suffix: "EL1" | "EL2" | "EL3";
    },
  ): { address: bigint; secure: boolean; memory: Stage1Attributes } {
    const { descriptor, level } = leaf;
    const { kind, privileged, pan, unaligned, addressTranslation } = this.#access;
    let wanted = descriptor;
    if (!bit(descriptor, 10)) {
      if (!regime.hardwareFlag) this.#fail1("accessFlag", level);
      wanted |= 1n << 10n;
    }
    let ap2 = bit(descriptor, 7);
    let canMark = false;
    if (regime.hardwareDirty && bit(descriptor, 51) && ap2) {
      ap2 = false;
      canMark = true;
    }
    const ns = !regime.secure || leaf.nsTable || bit(descriptor, 5);
    const mair = this.#input.read(`MAIR_${regime.suffix}`);
    let byte = field(mair >> BigInt(8 * field(descriptor, 4, 2)), 7, 0);
    if (byte >= 16 && !bit(regime.sctlr, kind === "execute" ? 12 : 2)) byte = 0x44;
    const memory = { byte, shareability: field(descriptor, 9, 8) };
    if (unaligned && kind !== "execute" && byte < 16) this.#fail1("alignment", 0);
    const noWrite = ap2 || (leaf.apTable & 2) !== 0;
    const user = bit(descriptor, 6) && (leaf.apTable & 1) === 0;
    const xn = bit(descriptor, 54) || leaf.xnTable;
    const pxn = bit(descriptor, 53) || leaf.pxnTable;
    const wxn = bit(regime.sctlr, 19);
    let allowed: { r: boolean; w: boolean; x: boolean };
    if (!regime.two) allowed = { r: true, w: !noWrite, x: !xn && !(wxn && !noWrite) };
    else if (privileged) {
      const hidden = pan && user;
      allowed = {
        r: !hidden,
        w: !hidden && !noWrite,
        x: !pxn && !(wxn && !noWrite) && !(user && !noWrite),
      };
    } else allowed = { r: user, w: user && !noWrite, x: !xn && !(wxn && user && !noWrite) };
    const secureOnly = regime.secure && bit(this.#input.read("SCR_EL3"), 9);
    if (secureOnly && ns) allowed.x = false;
    if (!allowed[kind === "read" ? "r" : kind === "write" ? "w" : "x"]) this.#fail1("permission", level);
    if (canMark && kind === "write" && !addressTranslation) wanted &= ~(1n << 7n);
    if (wanted !== descriptor) {
      const physical = this.#stage2Enabled() ? this.#stage2(leaf.address, "update").address : leaf.physical;
      this.#update(physical, leaf.physicalSecure, wanted, bit(regime.sctlr, 25));
    }
    return { address: leaf.output, secure: !ns, memory };
  }

  #update(address: bigint, secure: boolean, value: bigint, bigEndian: boolean): void {
    this.updates.push({ address, secure, value: bigEndian ? swap(value) : value });
  }

  #stage2(
    ipa: bigint,
    purpose: "access" | "table" | "update",
  ): { address: bigint; memAttr: number; shareability: number } {
    const { read, physicalAddressBits } = this.#input;
    const fail = (kind: string, level: number): never => {
      throw new Fault({ type: "fault", kind, level, stage: 2, onStage1Walk: purpose !== "access", ipa });
    };
    const vtcr = read("VTCR_EL2");
    const granule = GRANULE0[field(vtcr, 15, 14)]!;
    const inputSize = 64 - field(vtcr, 5, 0);
    const sl0 = field(vtcr, 7, 6);
    const level = granule === 12 ? 2 - sl0 : 3 - sl0;
    const firstIndexBits = inputSize - ((3 - level) * (granule - 3) + granule);
    if (inputSize < 25 || inputSize > 48 || inputSize > physicalAddressBits) fail("translation", 0);
    if (sl0 === 3 || firstIndexBits < 1 || firstIndexBits > granule - 3 + 4) fail("translation", 0);
    if (granule === 12 && level === 0 && physicalAddressBits <= 42) fail("translation", 0);
    if (granule === 14 && level === 1 && physicalAddressBits <= 40) fail("translation", 0);
    if (granule === 16 && level === 1 && physicalAddressBits <= 42) fail("translation", 0);
    if (ipa >> BigInt(inputSize) !== 0n) fail("translation", 0);
    const leaf = this.#walk({
      granule,
      startLevel: level,
      inputSize,
      outputSize: Math.min(SIZES[field(vtcr, 18, 16)]!, physicalAddressBits),
      base: read("VTTBR_EL2"),
      address: ipa,
      secure: false,
      bigEndian: bit(read("SCTLR_EL2"), 25),
      stage: 2,
      fail,
      locate: (address) => address,
    });
    return this.#stage2Leaf(leaf, purpose, fail);
  }

  #stage2Leaf(
    leaf: Leaf,
    purpose: "access" | "table" | "update",
    fail: (kind: string, level: number) => never,
  ): { address: bigint; memAttr: number; shareability: number } {
    const vtcr = this.#input.read("VTCR_EL2");
    const { descriptor, level } = leaf;
    const { kind, unaligned, addressTranslation } = this.#access;
    let wanted = descriptor;
    if (!bit(descriptor, 10)) {
      if (!bit(vtcr, 21)) fail("accessFlag", level);
      wanted |= 1n << 10n;
    }
    const canMark = bit(vtcr, 21) && bit(vtcr, 22) && bit(descriptor, 51) && !bit(descriptor, 7);
    const memAttr = field(descriptor, 5, 2);
    if (memAttr < 4 && unaligned && purpose === "access" && kind !== "execute") fail("alignment", 0);
    const writable = bit(descriptor, 7) || canMark;
    const readable = bit(descriptor, 6);
    let allowed: boolean;
    if (purpose === "update") allowed = writable;
    else if (purpose === "table") allowed = readable;
    else if (kind === "execute") allowed = !bit(descriptor, 54);
    else allowed = kind === "write" ? writable : readable;
    if (!allowed) fail("permission", level);
    if (memAttr < 4 && purpose !== "access" && bit(this.#input.read("HCR_EL2"), 2)) fail("permission", level);
    const writes = purpose === "update" || (purpose === "access" && kind === "write" && !addressTranslation);
    if (canMark && writes) wanted |= 1n << 7n;
    if (wanted !== descriptor) {
      this.#update(leaf.physical, false, wanted, bit(this.#input.read("SCTLR_EL2"), 25));
    }
    return { address: leaf.output, memAttr, shareability: field(descriptor, 9, 8) };
  }

  #walk(walk: WalkInput): Leaf {
    const { granule, inputSize, outputSize, fail } = walk;
    const stride = granule - 3;
    let level = walk.startLevel;
    let top = inputSize - 1;
    const bottomOf = (at: number) => (3 - at) * stride + granule;
    if (slice(walk.base, 47, 0) >> BigInt(outputSize) !== 0n) fail("addressSize", 0);
    const baseLowBit = 3 + inputSize - bottomOf(level);
    let table = slice(walk.base, 47, baseLowBit) << BigInt(baseLowBit);
    let nsTable = false;
    let apTable = 0;
    let xnTable = false;
    let pxnTable = false;
    for (;;) {
      const bottom = bottomOf(level);
      const address = table | (slice(walk.address, top, bottom) << 3n);
      const physical = walk.locate(address);
      const physicalSecure = walk.secure && !nsTable;
      // The walk may have changed the very descriptor that it reads next.
      const raw = this.#fetch(physical, physicalSecure);
      if (raw === undefined) return fail("externalAbortOnWalk", level);
      const descriptor = walk.bigEndian ? swap(raw) : raw;
      const type = field(descriptor, 1, 0);
      if (!bit(descriptor, 0) || (type === 1 && level === 3)) fail("translation", level);
      const isLeaf = type === 1 || level === 3;
      if (isLeaf && level < (granule === 12 ? 1 : 2)) fail("translation", level);
      if (slice(descriptor, 47, 0) >> BigInt(outputSize) !== 0n) fail("addressSize", level);
      if (isLeaf) {
        const output = (slice(descriptor, 47, bottom) << BigInt(bottom)) | slice(walk.address, bottom - 1, 0);
        return {
          descriptor,
          address,
          level,
          output,
          physical,
          physicalSecure,
          nsTable,
          apTable,
          xnTable,
          pxnTable,
        };
      }
      nsTable ||= bit(descriptor, 63);
      apTable |= field(descriptor, 62, 61);
      xnTable ||= bit(descriptor, 60);
      pxnTable ||= bit(descriptor, 59);
      table = slice(descriptor, 47, granule) << BigInt(granule);
      level++;
      top = bottom - 1;
    }
  }

  #fetch(address: bigint, secure: boolean): bigint | undefined {
    const own = this.updates.findLast((update) => update.address === address);
    return own === undefined ? this.#input.fetch(address, secure) : own.value;
  }
}

function swap(value: bigint): bigint {
  let result = 0n;
  for (let index = 0; index < 8; index++) result = (result << 8n) | ((value >> BigInt(8 * index)) & 0xffn);
  return result;
}

function forced(memory: Stage1Attributes): number {
  return memory.byte < 16 || memory.byte === 0x44 ? 2 : memory.shareability;
}

/** Combining of both stages' attributes, from the tables of the manual. */
function combine(
  one: Stage1Attributes,
  two: { memAttr: number; shareability: number },
  disabled: boolean,
): Stage1Attributes {
  const either = (value: number) => one.shareability === value || two.shareability === value;
  const shareability = either(2) ? 2 : either(3) ? 3 : 0;
  const device1 = one.byte < 16 ? (one.byte >> 2) & 3 : undefined;
  const device2 = two.memAttr < 4 ? two.memAttr : undefined;
  if (device1 !== undefined || device2 !== undefined) {
    return { byte: Math.min(device1 ?? 3, device2 ?? 3) << 2, shareability };
  }
  if (disabled) return { byte: 0x44, shareability };
  const part = (nibble: number, other: number): number => {
    const type1 = nibble === 4 ? "NC" : (nibble & 4) !== 0 ? "WB" : "WT";
    const type2 = ["NC", "NC", "WT", "WB"][other]!;
    if (type1 === "NC" || type2 === "NC") return 4;
    const type = type1 === "WT" || type2 === "WT" ? "WT" : "WB";
    const hints = nibble & 3;
    const transient = (nibble & 8) === 0;
    return (transient ? 0 : 8) | (type === "WB" ? 4 : 0) | hints;
  };
  return {
    byte: (part(one.byte >> 4, two.memAttr >> 2) << 4) | part(one.byte & 15, two.memAttr & 3),
    shareability,
  };
}
