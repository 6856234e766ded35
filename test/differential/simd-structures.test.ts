import { expect, test } from "vitest";
import { extractFields, insertFields, parseEncodingPattern } from "../../src/isa/encoding-pattern.ts";
import { rows } from "../../src/isa/encodings/simd-load-store.ts";
import type { Instruction } from "../../src/isa/instruction.ts";
import { type OracleCase, type OracleState, QemuOracle } from "../support/qemu-oracle.ts";
import { Random } from "../support/random.ts";
import { randomVector } from "../support/random-vectors.ts";
import { EvaluatorState, SemanticsEvaluator } from "../support/semantics-evaluator.ts";

const WORDS_PER_ROW = 6;
const STATES_PER_WORD = 3;
/** Where the evaluator's memory lies; under QEMU it is on the stack. */
const MEMORY = 0x1000n;
const MEMORY_BYTES = 128;

interface Word {
  readonly row: Instruction;
  readonly word: number;
  readonly fields: Readonly<Record<string, number>>;
  /** Of the accessed address from the start of memory. */
  readonly offset: number;
}

const isLoad = (row: Instruction): boolean => row.name.startsWith("LD");

function randomWords(row: Instruction, random: Random): Word[] {
  const pattern = parseEncodingPattern(row.encoding);
  const words: Word[] = [];
  for (let attempt = 0; words.length < WORDS_PER_ROW && attempt < 200; attempt++) {
    const values = Object.fromEntries(
      pattern.fields.map(({ name, width }) => [name, random.below(2 ** width)]),
    );
    // Registers that the oracle shows; the list may wrap around where its registers need no value.
    values["Rt"] = isLoad(row) && random.below(4) === 0 ? 28 + random.below(4) : random.below(4);
    values["Rn"] = random.below(8);
    if ("Rm" in values) values["Rm"] = (values["Rn"]! + 1 + random.below(7)) & 7;
    const word = insertFields(pattern, values);
    const fields = extractFields(pattern, word);
    if (row.operands?.(fields) === undefined) continue;
    words.push({ row, word, fields, offset: random.below(17) });
  }
  return words;
}

/** V4 to V7 go to memory, the instruction runs, and after a store memory comes back in them. */
function stub({ row, word, fields, offset }: Word): string {
  const base = `x${fields["Rn"]}`;
  return [
    `sub sp, sp, #${MEMORY_BYTES}`,
    "stp q4, q5, [sp]",
    "stp q6, q7, [sp, #32]",
    "stp q4, q5, [sp, #64]",
    "stp q6, q7, [sp, #96]",
    `add ${base}, sp, #${offset}`,
    `.inst 0x${word.toString(16)}`,
    "mov x9, sp",
    `sub ${base}, ${base}, x9`,
    ...(isLoad(row) ? [] : ["ldp q4, q5, [sp]", "ldp q6, q7, [sp, #32]"]),
    `add sp, sp, #${MEMORY_BYTES}`,
  ].join("\n ");
}

function evaluate({ row, fields, offset }: Word, one: OracleCase): Pick<OracleState, "x" | "v"> {
  const memory = new Uint8Array(MEMORY_BYTES);
  const state = new EvaluatorState();
  one.x.forEach((value, register) => {
    state.x[register] = value;
  });
  one.v.forEach((value, register) => {
    const view = new DataView(state.v[register]!.buffer);
    view.setBigUint64(0, BigInt.asUintN(64, value), true);
    view.setBigUint64(8, value >> 64n, true);
    if (register >= 4) {
      memory.set(state.v[register]!, 16 * (register - 4));
      memory.set(state.v[register]!, 64 + 16 * (register - 4));
    }
  });
  const base = fields["Rn"]!;
  state.x[base] = MEMORY + BigInt(offset);
  const world = {
    readMemory: (address: bigint, bytes: number) => {
      const start = Number(address - MEMORY);
      return memory.slice(start, start + bytes);
    },
    writeMemory: (address: bigint, data: Uint8Array) => memory.set(data, Number(address - MEMORY)),
  };
  if (!new SemanticsEvaluator(state, world).execute(row, fields))
    throw new Error(`${row.name} has no meaning`);
  state.x[base] = state.x[base]! - MEMORY;
  if (!isLoad(row)) for (let i = 0; i < 4; i++) state.v[4 + i]!.set(memory.subarray(16 * i, 16 * i + 16));
  return {
    x: one.x.map((_, register) => state.x[register]!),
    v: one.v.map((_, register) => {
      const view = new DataView(state.v[register]!.buffer);
      return view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n);
    }),
  };
}

const hex = (values: readonly bigint[]): string => values.map((value) => value.toString(16)).join(" ");

test("loads and stores of structures give QEMU's registers and memory", () => {
  const random = Random.ofThisRun();
  const words = rows.flatMap((row) => randomWords(row, random));
  expect(new Set(words.map(({ row }) => row)).size, "rows with words").toBe(rows.length);
  const oracle = new QemuOracle(words.map(stub));
  try {
    const cases = words.flatMap((_, instruction) =>
      Array.from({ length: STATES_PER_WORD }, () => ({
        instruction,
        fpcr: 0,
        fpsr: 0,
        nzcv: 0,
        x: Array.from({ length: 8 }, () => random.u64()),
        v: Array.from({ length: 8 }, () => randomVector(random)),
      })),
    );
    const answers = oracle.run(cases);
    const differences = cases.flatMap((one, index) => {
      const chosen = words[one.instruction]!;
      const ours = evaluate(chosen, one);
      const theirs = answers[index]!;
      if (hex(ours.x) === hex(theirs.x) && hex(ours.v) === hex(theirs.v)) return [];
      const title = `${chosen.row.name} ${chosen.word.toString(16)} offset ${chosen.offset}`;
      return [`${title}\n  ours ${hex(ours.x)} ${hex(ours.v)}\n  QEMU ${hex(theirs.x)} ${hex(theirs.v)}`];
    });
    const title = `seed ${random.seed}: ${differences.length} of ${cases.length} differ`;
    expect(differences.slice(0, 4).join("\n"), title).toBe("");
  } finally {
    oracle.dispose();
  }
});
