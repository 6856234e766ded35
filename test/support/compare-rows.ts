import { extractFields, insertFields, parseEncodingPattern } from "../../src/isa/encoding-pattern.ts";
import type { Instruction } from "../../src/isa/instruction.ts";
import { DOUBLE, HALF, SINGLE } from "../../src/isa/softfloat/format.ts";
import { ORACLE_REGISTERS, type OracleCase, QemuOracle } from "./qemu-oracle.ts";
import type { Random } from "./random.ts";
import { randomControl, randomFloat } from "./random-floats.ts";
import { EvaluatorState, SemanticsEvaluator } from "./semantics-evaluator.ts";

const REGISTER_FIELD = /^R[dnmat]\d?$/;

export interface ChosenWord {
  readonly row: Instruction;
  readonly word: number;
  readonly fields: Readonly<Record<string, number>>;
}

/** Registers, flags and floating-point control and status. */
export type Comparable = Omit<OracleCase, "instruction">;

/** Executes one of the words it was made for, by its index, on a state. */
export type Execute = (index: number, before: Comparable) => Comparable;

/** The evaluator of test/support. */
export function evaluatorOf(words: readonly ChosenWord[]): Execute {
  return (index, before) => evaluate(words[index]!, before);
}

/**
 * Runs random words of each row, which touches only X0 to X7 and V0 to V7, by an executor and under QEMU.
 * Returns a line for every difference in registers, flags or FPSR.
 */
export function compareRowsWithQemu(
  rows: readonly Instruction[],
  random: Random,
  options: {
    wordsPerRow: number;
    statesPerWord: number;
    /** Contents of a vector register; floating-point numbers when not given. */
    vector?: (random: Random) => bigint;
    /** What executes the words; the evaluator when not given. */
    executor?: (words: readonly ChosenWord[]) => Execute;
  },
): { cases: number; differences: string[] } {
  const words = rows
    .filter((row) => row.execute !== undefined)
    .flatMap((row) => randomWords(row, random, options.wordsPerRow));
  const execute = (options.executor ?? evaluatorOf)(words);
  const oracle = new QemuOracle(words.map(({ word }) => `.inst 0x${word.toString(16)}`));
  try {
    const cases = words.flatMap((_, instruction) =>
      Array.from({ length: options.statesPerWord }, () => randomState(random, instruction, options.vector)),
    );
    const answers = oracle.run(cases);
    const differences: string[] = [];
    cases.forEach((one, index) => {
      const chosen = words[one.instruction]!;
      const before = describe(one);
      const ours = execute(one.instruction, one);
      const answer = answers[index]!;
      const after = { ...answer, fpcr: one.fpcr };
      if (describe(ours) !== describe(after)) {
        differences.push(
          `${chosen.row.name} ${chosen.word.toString(16)} ${JSON.stringify(chosen.fields)}\n` +
            `  before ${before}\n  ours   ${changes(one, ours)}\n  QEMU   ${changes(one, after)}`,
        );
      }
    });
    return { cases: cases.length, differences };
  } finally {
    oracle.dispose();
  }
}

function randomWords(row: Instruction, random: Random, count: number): ChosenWord[] {
  const pattern = parseEncodingPattern(row.encoding);
  const chosen: ChosenWord[] = [];
  for (let attempt = 0; chosen.length < count && attempt < 100 * count; attempt++) {
    const values: Record<string, number> = {};
    const listed = Number(/<list(\d)\w* Rn/.exec(String(row.assembly))?.[1] ?? 1);
    for (const { name, width } of pattern.fields) {
      const value = random.below(2 ** width);
      const registers = ORACLE_REGISTERS - (name === "Rn" ? listed - 1 : 0);
      values[name] = REGISTER_FIELD.test(name) ? value % registers : value;
      if (name === "M") values[name] = 0;
    }
    const word = insertFields(pattern, values);
    const fields = extractFields(pattern, word);
    if (row.where && !row.where(fields)) continue;
    if (row.operands && row.operands(fields) === undefined) continue;
    chosen.push({ row, word, fields });
  }
  if (chosen.length === 0) throw new Error(`no word of ${row.name} is allocated`);
  return chosen;
}

function randomState(
  random: Random,
  instruction: number,
  vector: (random: Random) => bigint = randomVector,
): OracleCase {
  const hard = random.below(6) === 0 ? random.pick(HARD_NUMBERS) : undefined;
  const v = Array.from({ length: ORACLE_REGISTERS }, () =>
    hard && vector === randomVector ? hardVector(random, hard) : vector(random),
  );
  if (random.below(4) === 0) v[random.below(ORACLE_REGISTERS)] = v[random.below(ORACLE_REGISTERS)]!;
  return {
    instruction,
    fpcr: randomControl(random),
    fpsr: random.pick([0, 16, 16, 0x9f]),
    nzcv: random.below(16),
    x: Array.from({ length: ORACLE_REGISTERS }, () => random.u64() >> BigInt(random.below(64))),
    v,
  };
}

/**
 * Small sets from which every operand of a case is drawn: products that round up to the smallest normal
 * number, and sums that end halfway between two numbers but for a tiny term.
 */
const HARD_NUMBERS: readonly { width: number; numbers: readonly bigint[] }[] = [
  { width: 32, numbers: [0x3f7fffffn, 0x00800000n, 0x3f800001n, 0x807fffffn] },
  { width: 32, numbers: [0x3f800800n, 0x1c800000n, 0x9c800000n, 0xbf800800n] },
  { width: 64, numbers: [0x3fefffffffffffffn, 0x0010000000000000n, 0x3ff0000000000001n] },
  { width: 64, numbers: [0x3ff0000004000000n, 0x3900000000000000n, 0xb900000000000000n] },
];

function hardVector(random: Random, { width, numbers }: (typeof HARD_NUMBERS)[number]): bigint {
  let vector = 0n;
  for (let at = 0; at < 128; at += width) vector |= random.pick(numbers) << BigInt(at);
  return vector;
}

function randomVector(random: Random): bigint {
  const style = random.below(8);
  if (style === 0) return (random.u64() << 64n) | random.u64();
  const format = random.pick([HALF, SINGLE, SINGLE, SINGLE, DOUBLE, DOUBLE]);
  let vector = 0n;
  const isPlain = random.below(3) === 0;
  for (let at = 0; at < 128; at += format.width) {
    const number = isPlain ? plainFloat(random, format === DOUBLE) : randomFloat(random, format);
    vector |= BigInt.asUintN(format.width, number) << BigInt(at);
  }
  return vector;
}

/** Ordinary values, so that fast paths are taken in every lane. */
function plainFloat(random: Random, isDouble: boolean): bigint {
  const view = new DataView(new ArrayBuffer(8));
  const value =
    random.below(2) === 0
      ? random.below(2001) - 1000
      : (random.u32() / 2 ** 32 - 0.5) * 2 ** random.below(40);
  if (isDouble) {
    view.setFloat64(0, value);
    return view.getBigUint64(0);
  }
  view.setFloat32(0, value);
  return BigInt(view.getUint32(0));
}

function evaluate({ row, fields }: ChosenWord, one: Comparable): Comparable {
  const state = new EvaluatorState();
  state.fpcr = one.fpcr;
  state.fpsr = one.fpsr;
  state.nzcv = one.nzcv;
  one.x.forEach((value, register) => {
    state.x[register] = value;
  });
  one.v.forEach((value, register) => {
    const view = new DataView(state.v[register]!.buffer);
    view.setBigUint64(0, BigInt.asUintN(64, value), true);
    view.setBigUint64(8, value >> 64n, true);
  });
  if (!new SemanticsEvaluator(state).execute(row, fields)) throw new Error(`${row.name} has no meaning`);
  const v = one.v.map((_, register) => {
    const view = new DataView(state.v[register]!.buffer);
    return view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n);
  });
  const x = one.x.map((_, register) => state.x[register]!);
  return { fpcr: state.fpcr, fpsr: state.fpsr, nzcv: state.nzcv, x, v };
}

function describe({ fpcr, fpsr, nzcv, x, v }: Comparable): string {
  const hex = (value: number | bigint) => value.toString(16);
  return `fpcr ${hex(fpcr)} fpsr ${hex(fpsr)} nzcv ${hex(nzcv)} x ${x.map(hex)} v ${v.map(hex)}`;
}

function changes(before: Comparable, after: Comparable): string {
  const parts = [`fpsr ${after.fpsr.toString(16)} nzcv ${after.nzcv.toString(16)}`];
  for (const file of ["x", "v"] as const) {
    after[file].forEach((value, register) => {
      if (value !== before[file][register]) parts.push(`${file}${register}=${value.toString(16)}`);
    });
  }
  return parts.join(" ");
}
