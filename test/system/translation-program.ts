import type { Random } from "../support/random.ts";
import { bareProgram, PROGRAM_ADDRESS, vectorTable } from "./runtime.ts";

/** Where the tables lie, and how much room they have. */
const TABLES = 0x4040_0000;
const TABLE_SPACE = 0x60_0000;
/** The 64 MiB that a stage 2 must map for stage 1's tables to be found. */
const TABLES_END = 0x4400_0000;

interface Granule {
  readonly shift: 12 | 14 | 16;
  readonly tg0: bigint;
  readonly tg1: bigint;
}

const GRANULES: readonly Granule[] = [
  { shift: 12, tg0: 0n, tg1: 2n },
  { shift: 14, tg0: 2n, tg1: 1n },
  { shift: 16, tg0: 1n, tg1: 3n },
];

/** Attributes whose meaning is the same everywhere. */
const ATTRIBUTES = [0x00, 0x04, 0x0c, 0x44, 0xff, 0xbb, 0xee, 0xaa, 0x4f, 0xf4] as const;
/** Stage 2 MemAttr[3:0] that are not reserved. */
const STAGE2_ATTRIBUTES = [0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15] as const;

/**
 * Stage 2 blocks like 0x7fd (Normal write-back, readable and writable, inner shareable, accessed), but invalid,
 * not accessed, and not readable.
 */
const FAULTY = [0x7fcn, 0x3fdn, 0x73dn] as const;

const OPERATIONS = [
  ...["s1e1r", "s1e1w", "s1e0r", "s1e0w", "s12e1r", "s12e1w", "s12e0r", "s12e0w"],
  ...["s1e2r", "s1e2w", "s1e3r", "s1e3w", "s1e1rp", "s1e1wp"],
] as const;

/** The registers and addresses of one set of tables. */
export interface TranslationCase {
  readonly registers: Readonly<Record<string, bigint>>;
  readonly addresses: readonly bigint[];
}

/** Random tables for both stages in memory from TABLES on, a new set for each call of {@link next}. */
class TableMaker {
  readonly #random: Random;
  readonly #view: DataView;
  #used = 0;

  constructor(random: Random, bytes: Uint8Array) {
    this.#random = random;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isFull(): boolean {
    return this.#used > TABLE_SPACE - 0x20_0000;
  }

  /** Address of a root table with everything below it. `bits` is the size of the input address. */
  stage1(granule: Granule, bits: number): number {
    return this.#tree(granule, bits, (level) => this.#stage1Descriptor(granule, level));
  }

  /** Stage 1's tables are found where they are, or (rarely) behind a fault; never in some device. */
  stage2(granule: Granule, bits: number): number {
    const root = this.#tree(granule, bits, (level) => this.#stage2Descriptor(granule, level));
    const shift = levelShift(granule, startLevel(granule, bits));
    const identity = this.#random.below(8) > 0 ? 0x7fdn : this.#random.pick(FAULTY);
    for (let address = 0x4000_0000; address < TABLES_END; address += 2 ** shift) {
      const index = Math.floor(address / 2 ** shift);
      this.#write(root + 8 * index, (BigInt(index) << BigInt(shift)) | identity);
    }
    return root;
  }

  #tree(granule: Granule, bits: number, descriptor: (level: number) => bigint): number {
    const first = startLevel(granule, bits);
    let below: number[] = [];
    for (let level = 3; level > first; level--) {
      const tables = [0, 1].map(() => this.#table(granule, granule.shift - 3, level, below, descriptor));
      below = tables;
    }
    const rootBits = bits - levelShift(granule, first);
    return this.#table(granule, rootBits, first, below, descriptor);
  }

  #table(
    granule: Granule,
    indexBits: number,
    level: number,
    below: readonly number[],
    descriptor: (level: number) => bigint,
  ): number {
    const address = this.#allocate(Math.max(2 ** granule.shift, 8 * 2 ** indexBits));
    const pattern = Array.from({ length: 64 }, () => this.#entry(level, below, descriptor));
    for (let index = 0; index < 2 ** indexBits; index++) {
      this.#write(address + 8 * index, pattern[(index ^ (index >> 6) ^ (index >> 11)) & 63]!);
    }
    return address;
  }

  #entry(level: number, below: readonly number[], descriptor: (level: number) => bigint): bigint {
    const random = this.#random;
    if (random.below(10) === 0) return BigInt(random.u32() & ~3);
    if (below.length > 0 && random.below(5) < 3) {
      // Hierarchical controls now and then; in stage 2 they are ignored.
      const controls = random.below(4) === 0 ? BigInt(random.below(16)) << 59n : 0n;
      return controls | BigInt(random.pick(below)) | 3n;
    }
    return descriptor(level);
  }

  /** A block or page with attributes that stages share: shareability, AF, DBM, contiguous. */
  #output(granule: Granule, level: number): bigint {
    const random = this.#random;
    const shift = levelShift(granule, level);
    const places = [
      0x4040_0000n,
      BigInt(random.u32()),
      random.u64() & 0x3ff_ffff_ffffn,
      random.u64() & 0xffff_ffff_ffffn,
    ];
    const address = ((random.pick(places) >> BigInt(shift)) << BigInt(shift)) & 0xffff_ffff_f000n;
    // Reserved forms: 01 at level 3, and blocks where the granule has none are invalid (see BLOCK_LEVELS).
    const reserved = level === 3 ? random.below(12) === 0 : !BLOCK_LEVELS[granule.shift].includes(level);
    const kind = level === 3 ? (reserved ? 1n : 3n) : reserved ? 0n : 1n;
    const accessed = random.below(10) === 0 ? 0n : 1n << 10n;
    const modifier = BigInt(random.below(2)) << 51n;
    const contiguous = flag(random, 4, 52);
    return address | kind | accessed | modifier | contiguous | (BigInt(random.pick([0, 2, 3])) << 8n);
  }

  #stage1Descriptor(granule: Granule, level: number): bigint {
    const random = this.#random;
    const lower = BigInt(random.below(8)) << 2n;
    const permissions = (BigInt(random.below(4)) << 6n) | (BigInt(random.below(4)) << 53n);
    const flags = (BigInt(random.below(2)) << 5n) | (BigInt(random.below(2)) << 11n);
    return this.#output(granule, level) | lower | permissions | flags;
  }

  #stage2Descriptor(granule: Granule, level: number): bigint {
    const random = this.#random;
    const attributes = BigInt(random.pick(STAGE2_ATTRIBUTES)) << 2n;
    return (
      this.#output(granule, level) |
      attributes |
      (BigInt(random.below(4)) << 6n) |
      (BigInt(random.below(2)) << 54n)
    );
  }

  #allocate(bytes: number): number {
    this.#used = Math.ceil(this.#used / bytes) * bytes;
    const address = TABLES + this.#used;
    this.#used += bytes;
    if (this.#used > TABLE_SPACE) throw new Error("the tables have no room");
    return address;
  }

  #write(address: number, value: bigint): void {
    this.#view.setBigUint64(address - Number(PROGRAM_ADDRESS), BigInt.asUintN(64, value), true);
  }
}

function levelShift(granule: Granule, level: number): number {
  return granule.shift + (3 - level) * (granule.shift - 3);
}

function startLevel(granule: Granule, bits: number): number {
  return 4 - Math.ceil((bits - granule.shift) / (granule.shift - 3));
}

/** Levels at which a granule has blocks. QEMU 7.2 takes them anywhere, so that others are not tried. */
const BLOCK_LEVELS: Record<12 | 14 | 16, readonly number[]> = { 12: [1, 2], 14: [2], 16: [2] };

/** Input sizes of stage 1, by granule. */
const SIZES: Record<12 | 14 | 16, readonly number[]> = {
  12: [48, 42, 39, 36, 32, 30, 25],
  14: [47, 40, 36, 34, 30, 25],
  16: [48, 42, 36, 32, 29, 25],
};
/** Stage 2: input size, VTCR_EL2.SL0 that starts at level 1 (4 KiB) or 2, and PS that is not smaller. */
const STAGE2: Record<12 | 14 | 16, { bits: number; sl0: bigint; ps: bigint }> = {
  12: { bits: 39, sl0: 1n, ps: 2n },
  14: { bits: 36, sl0: 1n, ps: 1n },
  16: { bits: 42, sl0: 1n, ps: 3n },
};

/** A field with one value in so many cases. */
function flag(random: Random, oneIn: number, bit: number): bigint {
  return random.below(oneIn) === 0 ? 1n << BigInt(bit) : 0n;
}

function makeCase(random: Random, maker: TableMaker): TranslationCase {
  const lower = random.pick(GRANULES);
  const upper = random.pick(GRANULES);
  const [lowerBits, upperBits] = [random.pick(SIZES[lower.shift]), random.pick(SIZES[upper.shift])];
  const stage2 = random.pick(GRANULES);
  const { bits: stage2Bits, sl0, ps } = STAGE2[stage2.shift];
  // Output sizes below what either machine implements.
  const size = BigInt(random.below(4));
  const shared = BigInt(64 - lowerBits) | (lower.tg0 << 14n);
  const two = (BigInt(64 - upperBits) << 16n) | (upper.tg1 << 30n) | (size << 32n);
  const disabled = flag(random, 8, 7) | flag(random, 8, 23);
  const ignored = flag(random, 2, 37) | flag(random, 2, 38);
  // HA and HD: access flag and dirty state managed in hardware, or the first only.
  const managed = random.pick([0n, 0n, 1n, 3n]);
  const one = (size << 16n) | flag(random, 2, 20) | (managed << 21n);
  const lowerTable = BigInt(maker.stage1(lower, lowerBits));
  let mair = 0n;
  for (let index = 0; index < 8; index++) mair |= BigInt(random.pick(ATTRIBUTES)) << BigInt(8 * index);
  const withStage2 = random.below(3) > 0;
  const vtcr = (1n << 31n) | BigInt(64 - stage2Bits);
  const registers = {
    mair_el1: mair,
    mair_el2: mair,
    mair_el3: mair,
    ttbr0_el1: lowerTable,
    ttbr0_el2: lowerTable,
    ttbr0_el3: lowerTable,
    ttbr1_el1: BigInt(maker.stage1(upper, upperBits)),
    tcr_el1: shared | two | disabled | ignored | (managed << 39n),
    tcr_el2: 0x8080_0000n | shared | one,
    tcr_el3: 0x8080_0000n | shared | one,
    vttbr_el2: BigInt(maker.stage2(stage2, stage2Bits)),
    vtcr_el2: vtcr | (sl0 << 6n) | (stage2.tg0 << 14n) | (ps << 16n) | (random.pick([0n, 0n, 1n, 3n]) << 21n),
    sctlr_el1: 0x30d0_1984n | flag(random, 3, 19) | (random.below(12) === 0 ? 0n : 1n),
    sctlr_el2: 0x30c5_1835n,
    // The MMU of EL3 stays off, as the program runs there.
    hcr_el2: (1n << 31n) | (withStage2 ? 1n : 0n) | flag(random, 10, 12),
  };
  const addresses = Array.from({ length: 24 }, () => address(random, lowerBits, upperBits));
  return { registers, addresses };
}

function address(random: Random, lowerBits: number, upperBits: number): bigint {
  const value = random.u64();
  switch (random.below(8)) {
    case 0:
      return value;
    case 1:
      return BigInt.asUintN(lowerBits, value) | (BigInt(random.below(256)) << 56n);
    case 2:
    case 3:
    case 4:
      return BigInt.asUintN(64, -1n << BigInt(upperBits)) | BigInt.asUintN(upperBits, value);
    default:
      return BigInt.asUintN(lowerBits, value);
  }
}

function caseCode({ registers, addresses }: TranslationCase, index: number): string {
  return `
${Object.entries(registers)
  .map(([name, value]) => `  ldr x0, =0x${BigInt.asUintN(64, value).toString(16)}\n  msr ${name}, x0`)
  .join("\n")}
  tlbi alle1
  tlbi alle2
  dsb sy
  isb
  adr x19, addresses_${index}
  mov x20, #${addresses.length}
  bl translate
  b after_${index}
  .ltorg
addresses_${index}:
${addresses.map((value) => `  .quad 0x${value.toString(16)}`).join("\n")}
after_${index}:
`;
}

/** A program that translates addresses through random tables, by every AT instruction, and prints PAR_EL1, or "=" for the same again. */
export function translationProgram(random: Random): {
  program: Uint8Array;
  cases: readonly TranslationCase[];
} {
  const image = new Uint8Array(TABLES + TABLE_SPACE - Number(PROGRAM_ADDRESS));
  const maker = new TableMaker(random, image);
  const cases: TranslationCase[] = [];
  while (!maker.isFull) cases.push(makeCase(random, maker));
  const code = bareProgram(`
  mov x0, #0x401
  msr scr_el3, x0
  adr x0, vectors3
  msr vbar_el3, x0
  msr pan, #1
  isb
${cases.map(caseCode).join("\n")}
  b finish
// An AT that takes an exception leaves its syndrome in place of the result.
${vectorTable("vectors3", () => "  mrs x9, esr_el3\n  msr par_el1, x9\n  mrs x9, elr_el3\n  add x9, x9, #4\n  msr elr_el3, x9\n  eret")}
translate:
  mov x21, x30
1: ldr x1, [x19], #8
  mov x22, #-1
${OPERATIONS.map((name) => `  at ${name}, x1\n  isb\n  mrs x9, par_el1\n  bl value`).join("\n")}
  bl newline
  subs x20, x20, #1
  b.ne 1b
  ret x21
value:
  // X9, or "=" where it is the value before.
  cmp x9, x22
  mov x22, x9
  b.ne hex
  movz x10, #0x900, lsl #16
  mov w11, #61
  str w11, [x10]
  mov w11, #32
  str w11, [x10]
  ret
`);
  if (code.length > TABLES - Number(PROGRAM_ADDRESS)) throw new Error("the code reaches the tables");
  image.set(code);
  return { program: image, cases };
}

export const AT_NAMES: readonly string[] = OPERATIONS;
