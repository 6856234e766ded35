import { HandlerSet } from "../../src/engine/interpreter/handler-set.ts";
import { assembleInstruction } from "../../src/isa/assembler.ts";
import type { Decoded, EncodedInstruction } from "../../src/isa/decoder.ts";
import { extractFields, insertFields } from "../../src/isa/encoding-pattern.ts";
import { type Block, nodeBlocks } from "../../src/isa/ir.ts";
import type { BaseOperand, ImmediateOperand } from "../../src/isa/operands.ts";
import { DOUBLE, HALF, SINGLE } from "../../src/isa/softfloat/format.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { LAYOUT, type MachineSettings, PAGE_KINDS, pageAddress, type StartState } from "./engine-machine.ts";
import type { Random } from "./random.ts";
import { randomControl, randomFloat } from "./random-floats.ts";
import { NOT_STEPPED } from "./random-steps.ts";
import { randomElement, randomVector } from "./random-vectors.ts";
import { randomWord } from "./random-words.ts";

const NOP = 0xd503_201f;

/** Registers that random instructions read but do not write. */
const INDEX = 25;
const POINTER = 26;
const COUNTER = 27;
const TABLE = 28;
const TARGET = 29;
const FIRST_RESERVED = INDEX;

/** The table of pointers and indices, two double words for each access, fills the first data page. */
const POINTERS = LAYOUT.data;
const ACCESSES = 4096 / 16;
/** Ordinary pages that accesses go to; the rest of the first three. */
const ORDINARY = pageAddress(1);
const ORDINARY_BYTES = 2 * 4096;

/** Rows that programs are made of: all but branches, which programs need as their own, and what leaves EL0. */
export const PROGRAM_ROWS: readonly EncodedInstruction[] = DECODER.rows.filter(
  ({ instruction }) =>
    instruction.execute &&
    !NOT_STEPPED.some(({ row }) => row.test(instruction.name)) &&
    !/branch/.test(instruction.name),
);

/** Those of them that access memory through a base register, exclusive and atomic ones more often. */
export const ACCESSING_ROWS: readonly EncodedInstruction[] = PROGRAM_ROWS.filter(({ pattern }) =>
  pattern.fields.some(({ name }) => name === "Rn"),
).flatMap((row) => {
  const { name } = row.instruction;
  if (/^STX|^LDX|comswap|memop/.test(name)) return new Array<EncodedInstruction>(6).fill(row);
  return /ldst|asisdls/.test(name) ? [row] : [];
});

/** System instructions: regions end before them, or execute them where they may. */
const SYSTEM_LINES = [
  "msr tpidr_el1, x3",
  "mrs x4, tpidr_el1",
  "msr elr_el1, x5",
  "mrs x6, spsr_el1",
  "msr far_el1, x7",
  "mrs x8, sp_el0",
  "msr sp_el0, x8",
  "msr spsel, #0",
  "msr spsel, #1",
  "msr pan, #1",
  "msr pan, #0",
  "msr daifset, #15",
  "msr daifclr, #2",
  "wfi",
  "sevl",
  "mrs x3, nzcv",
  "msr nzcv, x4",
  "mrs x5, fpcr",
  "msr fpcr, x6",
  "mrs x7, fpsr",
  "msr fpsr, x8",
  "msr tpidr_el0, x9",
  "mrs x10, tpidr_el0",
  "mrs x11, ctr_el0",
  "isb",
  "svc #7",
  "yield",
  "udf #1",
] as const;
const SYSTEM_WORDS = SYSTEM_LINES.map((line) => (line === "udf #1" ? 1 : assembleInstruction(line)));

/** One instruction that accesses memory through the pointer table. */
export interface AccessSite {
  readonly row: string;
  readonly bytes: number;
  /** Whether SP is the base. */
  readonly stack: boolean;
  /** The pointer that makes the access go to `target`. */
  readonly pointerFor: (target: number) => bigint;
  /** Where it goes when nothing is wrong. */
  readonly target: number;
}

export interface RandomProgram {
  /** Words by address (EL0's). */
  readonly pieces: readonly { readonly address: number; readonly words: readonly number[] }[];
  readonly sites: readonly AccessSite[];
  readonly settings: MachineSettings;
  readonly start: StartState;
  /** A branch to itself, where everything ends. */
  readonly end: bigint;
  /** What the data pages hold at the start. */
  readonly data: Uint8Array;
}

/** A branch still without target. */
interface Branch {
  readonly word: number;
  readonly block: number;
  readonly low: number;
  readonly bits: number;
}

/** An instruction: done, a branch to a block, or ADR of a block (and some bytes) to {@link TARGET}. */
type Item = number | Branch | { readonly addressOf: number; readonly skew?: number };

const handlers = new HandlerSet();

/** Makes programs of `rows`; each block draws from a few of them, in turn, so that all get their share. */
export class ProgramMaker {
  readonly #random: Random;
  readonly #rows: readonly EncodedInstruction[];
  #next = 0;
  #sites: AccessSite[] = [];

  constructor(random: Random, rows: readonly EncodedInstruction[] = PROGRAM_ROWS) {
    this.#random = random;
    this.#rows = rows;
    this.#next = random.below(rows.length);
  }

  make(): RandomProgram {
    const random = this.#random;
    this.#sites = [];
    const count = 2 + random.below(10);
    const functions = random.below(3);
    const guarded = random.below(3) > 0;
    const blocks: Item[][] = [];
    const end = count + functions;
    for (let block = 0; block < count; block++)
      blocks.push(this.#block(block, { count, functions, guarded }));
    for (let index = 0; index < functions; index++) blocks.push([...this.#straight(), 0xd65f_03c0]);
    blocks.push([{ word: 0x1400_0000, block: end, low: 0, bits: 26 }]);
    const settings = this.#settings();
    const { pieces, addresses } = place(blocks, count, random);
    const kernel = settings.level === 1 ? LAYOUT.kernelCode - LAYOUT.code : 0;
    const data = this.#data();
    return {
      pieces,
      sites: this.#sites,
      settings,
      start: this.#start(BigInt((addresses[0] ?? 0) + kernel)),
      end: BigInt((addresses[end] ?? 0) + kernel),
      data,
    };
  }

  /** A program that executes one instruction of a row, or undefined where no random word of it will do. */
  makeSample(row: EncodedInstruction): RandomProgram | undefined {
    this.#sites = [];
    let words: readonly number[] | undefined;
    for (let attempt = 0; attempt < 300; attempt++) {
      words = this.#tryRow(row);
      if (words !== undefined) break;
    }
    if (words === undefined) return undefined;
    const address = LAYOUT.code + 4 * this.#random.below(64);
    const end = address + 8 + 4 * words.length;
    return {
      // The branch makes its target a region's entry.
      pieces: [{ address, words: [0x1400_0001, NOP, ...words, 0x1400_0000] }],
      sites: this.#sites,
      settings: { level: 0, alignmentChecks: false, hardwareFlags: false, pan: false },
      start: this.#start(BigInt(address)),
      end: BigInt(end),
      data: this.#data(),
    };
  }

  #settings(): MachineSettings {
    const random = this.#random;
    const level = random.below(4) === 0 ? 1 : 0;
    return {
      level,
      alignmentChecks: random.below(6) === 0,
      hardwareFlags: random.below(3) === 0,
      pan: level === 1 && random.below(8) === 0,
      floatingPoint: random.below(12) > 0,
      bigEndian: random.below(12) === 0,
      watchpoints: random.below(8) === 0 ? [ORDINARY + 512, ORDINARY + 1024, pageAddress(7) + 64] : [],
      interrupts: random.below(3) === 0,
    };
  }

  #start(pc: bigint): StartState {
    const random = this.#random;
    const x = Array.from({ length: 31 }, () => randomElement(random, 64));
    x[INDEX] = 0n;
    x[POINTER] = BigInt(ORDINARY);
    x[COUNTER] = BigInt(100 + random.below(400));
    x[TABLE] = BigInt(POINTERS);
    x[TARGET] = pc;
    x[30] = pc;
    const style = random.below(4);
    const v = Array.from({ length: 32 }, () => {
      if (style === 0) return randomVector(random);
      const format = random.pick(style === 1 ? [SINGLE, DOUBLE] : [HALF, SINGLE, DOUBLE]);
      let vector = 0n;
      for (let at = 0; at < 128; at += format.width) {
        vector |= BigInt.asUintN(format.width, randomFloat(random, format)) << BigInt(at);
      }
      return vector;
    });
    return {
      ...{ pc, x, v },
      sp: BigInt(ORDINARY + 1024),
      nzcv: random.below(16),
      fpcr: random.below(2) === 0 ? 0 : randomControl(random),
      fpsr: random.pick([0, 16, 0x9f, 0x0800_0000]),
    };
  }

  #data(): Uint8Array {
    const data = new Uint8Array(PAGE_KINDS.length * 4096);
    const view = new DataView(data.buffer);
    for (let at = 0; at < data.length; at += 4) view.setUint32(at, this.#random.u32(), true);
    this.#sites.forEach((site, index) => {
      writePointer(data, index, site, site.target);
    });
    return data;
  }

  #block(block: number, shape: { count: number; functions: number; guarded: boolean }): Item[] {
    const random = this.#random;
    const { count, functions, guarded } = shape;
    const end = count + functions;
    const items = this.#straight();
    if (functions > 0 && random.below(4) === 0) items.push(...this.#call(count + random.below(functions)));
    if (guarded) items.push(0xd100_077b, { word: 0xb400_0000 | COUNTER, block: end, low: 5, bits: 19 });
    // Back, forward, itself or on: loops, diamonds and irreducible flow come about by themselves.
    const target = random.below(3) === 0 ? Math.min(block + 1 + random.below(2), count) : random.below(count);
    const goal = target === count ? end : target;
    // Now and then to an address that is no instruction's, or into data.
    if (random.below(40) === 0) return [...items, { addressOf: goal, skew: 2 }, 0xd61f_0000 | (TARGET << 5)];
    if (random.below(100) === 0) return [...items, 0xd61f_0000 | (TABLE << 5)];
    switch (random.below(7)) {
      case 0:
        items.push({ word: 0x1400_0000, block: goal, low: 0, bits: 26 });
        break;
      case 1:
        items.push({ addressOf: goal }, 0xd61f_0000 | (TARGET << 5));
        break;
      case 2:
        items.push({ word: 0x3600_0000 | COUNTER | (random.below(6) << 19), block: goal, low: 5, bits: 14 });
        break;
      case 3:
        items.push({
          word: random.pick([0x3400_0000, 0x3500_0000, 0xb400_0000, 0xb500_0000]) | random.below(25),
          block: goal,
          low: 5,
          bits: 19,
        });
        break;
      case 4:
        items.push({
          word: random.pick([0x3600_0000, 0xb700_0000]) | (random.below(32) << 19) | random.below(25),
          block: goal,
          low: 5,
          bits: 14,
        });
        break;
      default:
        items.push({ word: 0x5400_0000 | random.below(16), block: goal, low: 5, bits: 19 });
    }
    if (block === count - 1) items.push({ word: 0x1400_0000, block: end, low: 0, bits: 26 });
    return items;
  }

  #call(block: number): Item[] {
    return this.#random.below(2) === 0
      ? [{ word: 0x9400_0000, block, low: 0, bits: 26 }]
      : [{ addressOf: block }, 0xd63f_0000 | (TARGET << 5)];
  }

  #straight(): Item[] {
    const random = this.#random;
    const items: Item[] = [];
    for (let rest = random.below(12); rest > 0; rest--) {
      if (random.below(40) === 0) items.push(random.pick(SYSTEM_WORDS));
      else items.push(...this.#instruction());
    }
    return items;
  }

  /** The next row's instruction with what must stand before it. */
  #instruction(): number[] {
    for (let attempt = 0; attempt < 50; attempt++) {
      const row = this.#rows[this.#next++ % this.#rows.length]!;
      for (let again = 0; again < 4; again++) {
        const words = this.#tryRow(row);
        if (words !== undefined) return words;
      }
    }
    return [];
  }

  #tryRow(row: EncodedInstruction): number[] | undefined {
    const random = this.#random;
    const values = { ...extractFields(row.pattern, randomWord(row, random)) };
    const first = decode(row, values);
    const base = first?.operands["base"] as BaseOperand | undefined;
    const indexed = first?.operands["extend"] !== undefined && base !== undefined;
    if (base !== undefined) {
      values["Rn"] = random.below(5) === 0 ? 31 : POINTER;
      if (indexed) values["Rm"] = INDEX;
    }
    if (row.instruction.name.endsWith("_loadlit"))
      values["imm19"] = (LAYOUT.data - LAYOUT.code) / 4 + random.below(64);
    const decoded = base === undefined ? first : decode(row, values);
    if (decoded === undefined || writesReserved(decoded)) return undefined;
    const word = insertFields(row.pattern, values);
    if (base === undefined || this.#sites.length >= ACCESSES) return base === undefined ? [word] : undefined;
    return [...this.#pointerTo(decoded), ...this.#armed(word, row.instruction.name), word];
  }

  /** Loads pointer and index of a new access site. */
  #pointerTo(decoded: Decoded): number[] {
    const random = this.#random;
    const { operands, instruction } = decoded;
    const stack = (operands["base"] as BaseOperand).isStackPointer;
    const bytes = accessBytes(decoded);
    const mustAlign = /ldst(ord|excl)|comswap|memop/.test(instruction.name);
    const offset = operands["offset"] as ImmediateOperand<32> | undefined;
    const index = operands["extend"] === undefined ? 0n : randomElement(random, 64);
    let distance = 0n;
    if (offset !== undefined && operands["mode"] !== "postIndex") distance += BigInt(offset.value);
    if (operands["extend"] !== undefined) {
      const extend = operands["extend"];
      const low =
        extend === "uxtw" ? BigInt.asUintN(32, index) : extend === "sxtw" ? BigInt.asIntN(32, index) : index;
      distance += low << BigInt(operands["shift"] as number);
    }
    let target = ORDINARY + 64 + (random.below(ORDINARY_BYTES - 256) & ~15);
    if (stack) target = Number(BigInt(target) + (((distance % 16n) + 16n) % 16n));
    else if (!mustAlign && random.below(3) === 0) target += random.below(16);
    const number = this.#sites.length;
    this.#sites.push({
      ...{ row: instruction.name, bytes, stack, target },
      pointerFor: (to) => BigInt.asUintN(64, BigInt(to) - distance),
    });
    indexOfSite.set(this.#sites[number]!, index);
    const load = (register: number, offsetInTable: number) =>
      (0xf940_0000 | ((offsetInTable / 8) << 10) | (TABLE << 5) | register) >>> 0;
    const words = [load(POINTER, number * 16), load(INDEX, number * 16 + 8)];
    if (stack) words.push(0x9100_0000 | (POINTER << 5) | 31);
    return words;
  }

  /** For a store exclusive, usually, the load exclusive that lets it succeed. */
  #armed(word: number, name: string): number[] {
    if (!/^STX[RP]_/.test(name) || this.#random.below(4) === 0) return [];
    const status = 31 << 16;
    const target = this.#random.below(24);
    const load = ((word | 0x0040_0000 | status) & ~31) | target;
    // The pair's second register may be the base, which the store still needs.
    return [(name.startsWith("STXP") ? (load & ~(31 << 10)) | ((target + 1) << 10) : load) >>> 0];
  }
}

const indexOfSite = new WeakMap<AccessSite, bigint>();

/** Makes access number `index` go to `target`. */
export function writePointer(data: Uint8Array, index: number, site: AccessSite, target: number): void {
  const view = new DataView(data.buffer, data.byteOffset);
  view.setBigUint64(index * 16, site.pointerFor(target), true);
  view.setBigUint64(index * 16 + 8, indexOfSite.get(site) ?? 0n, true);
}

function decode(row: EncodedInstruction, values: Record<string, number>): Decoded | undefined {
  const decoded = DECODER.decode(insertFields(row.pattern, values), IMPLEMENTED_FEATURES);
  return decoded?.instruction === row.instruction ? decoded : undefined;
}

function writesReserved(decoded: Decoded): boolean {
  const { plan } = handlers.handlerOf(decoded).handler;
  return [...plan.writes].some((handle) => {
    const operand = decoded.operands[plan.nameOf(handle) ?? ""];
    const register =
      typeof operand !== "object" || operand.kind === "immediate"
        ? handle
        : operand.kind === "base"
          ? operand.register
          : operand;
    const { file, index } = register;
    const isBase = file === "sp" && index === POINTER;
    return file !== "v" && index >= FIRST_RESERVED && index < 31 && !isBase;
  });
}

/** Bytes of an instruction's memory access, from its meaning. */
function accessBytes(decoded: Decoded): number {
  let bytes = 1;
  const visit = (block: Block): void => {
    for (const statement of block.statements) {
      if (statement.kind === "store") bytes = Math.max(bytes, statement.access.bytes);
      if (statement.kind === "when") for (const inner of [statement.taken, statement.otherwise]) visit(inner);
      if (statement.kind !== "define") continue;
      const { shape } = statement.node;
      if ("access" in shape) bytes = Math.max(bytes, shape.access.bytes);
      for (const inner of nodeBlocks(statement.node)) visit(inner);
    }
  };
  visit(handlers.handlerOf(decoded).handler.block);
  return bytes;
}

/** Lays the blocks out: some across the end of a page, functions often in a page of their own. */
function place(
  blocks: readonly (readonly Item[])[],
  functionsFrom: number,
  random: Random,
): { pieces: RandomProgram["pieces"]; addresses: number[] } {
  let at = LAYOUT.code + (random.below(2) === 0 ? 4 * random.below(64) : 4096 - 4 * random.below(100));
  const addresses = blocks.map((items, index) => {
    if (index === functionsFrom && random.below(2) === 0)
      at = Math.ceil(at / 4096) * 4096 + 4 * random.below(500);
    const address = at;
    at += items.length * 4;
    return address;
  });
  const pieces = blocks.map((items, index) => {
    const address = addresses[index] ?? 0;
    return { address, words: items.map((item, place) => link(item, address + 4 * place, addresses)) };
  });
  return { pieces, addresses };
}

function link(item: Item, at: number, addresses: readonly number[]): number {
  if (typeof item === "number") return item >>> 0;
  if ("addressOf" in item) {
    const distance = (addresses[item.addressOf] ?? 0) + (item.skew ?? 0) - at;
    return (0x1000_0000 | ((distance & 3) << 29) | (((distance >> 2) & 0x7_ffff) << 5) | TARGET) >>> 0;
  }
  const distance = ((addresses[item.block] ?? 0) - at) / 4;
  return (item.word | ((distance & (2 ** item.bits - 1)) << item.low)) >>> 0;
}
