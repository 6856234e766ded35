import { expect, test } from "vitest";
import { assembleInstruction } from "../../src/isa/assembler.ts";
import type { EncodedInstruction } from "../../src/isa/decoder.ts";
import { disassemble } from "../../src/isa/disassembler.ts";
import { SHOULD_BE_ONE } from "../../src/isa/encoding-pattern.ts";
import { SYSTEM_INSTRUCTIONS } from "../../src/isa/system-registers/system-instructions.ts";
import { DECODER } from "../../src/isa/table.ts";
import { normalizeAssembly, objdump } from "../support/objdump.ts";
import { Random } from "../support/random.ts";
import { randomWord } from "../support/random-words.ts";
import { OBJDUMP_DIFFERENCES } from "./objdump-differences.ts";

const WORDS_PER_ROW = process.env["ELVISOR_FULL"] ? 1000 : 50;
const PC = 0x1000_0000n;

/** Words of every row that the decoder gives to that row and that are allocated. */
function wordsOfTable(random: Random): { row: EncodedInstruction; word: number }[] {
  console.log(`seed ${random.seed}`);
  return DECODER.rows.flatMap((row) => {
    const found: { row: EncodedInstruction; word: number }[] = [];
    for (let attempt = 0; attempt < 100 * WORDS_PER_ROW && found.length < WORDS_PER_ROW; attempt++) {
      const word = shouldBeOne(row, randomWord(row, random));
      if (DECODER.match(word)?.row === row && !disassemble(word, PC).startsWith(".inst"))
        found.push({ row, word });
      // Some rows have just one word.
      if (row.pattern.fields.length === 0) break;
    }
    return found;
  });
}

/** objdump knows these encodings only with the bits that should be one as ones. */
function shouldBeOne({ pattern }: EncodedInstruction, word: number): number {
  const mask = pattern.fields
    .filter(({ name }) => SHOULD_BE_ONE.test(name))
    .reduce((sum, { low, width }) => sum | ((2 ** width - 1) << low), 0);
  return (word | mask) >>> 0;
}

test("disassemble() prints what GNU objdump prints, with or without its aliases", {
  timeout: 1_800_000,
}, () => {
  const cases = wordsOfTable(Random.ofThisRun());
  const words = cases.map(({ word }) => word);
  const plain = objdump(words, { aliases: false });
  const aliased = objdump(words, { aliases: true });
  const differences = cases.flatMap(({ row, word }, index) => {
    const ours = normalizeAssembly(disassemble(word, BigInt(index * 4)));
    const theirs = plain[index]!;
    if (ours === theirs || ours === aliased[index]) return [];
    const { name } = row.instruction;
    const known = OBJDUMP_DIFFERENCES.some((each) => each.row.test(name) && each.explains(ours, theirs));
    return known ? [] : [`${name} ${word.toString(16).padStart(8, "0")}: "${ours}", objdump "${theirs}"`];
  });
  expect(differences.slice(0, 40)).toEqual([]);
});

test("every row has words that were compared", () => {
  const compared = new Set(wordsOfTable(new Random(1)).map(({ row }) => row));
  const without = DECODER.rows.filter((row) => !compared.has(row)).map(({ instruction }) => instruction.name);
  expect(without).toEqual([]);
});

/** Rows with several encodings of one meaning: the assembler chooses the plainest. */
const REDUNDANT: readonly { readonly row: RegExp; readonly reason: string }[] = [
  { row: /_log_imm$/, reason: "the rotation of a logical immediate counts modulo its element's size" },
  { row: /^DUP_asimdins_DR_r$/, reason: "bits of imm5 above the element's size are ignored" },
  { row: /^INS_asimdins_IV_v$/, reason: "bits of imm4 below the element's index are ignored" },
];

test("assembleInstruction() rebuilds the word from our text", { timeout: 1_800_000 }, () => {
  const wrong = wordsOfTable(Random.ofThisRun()).flatMap(({ row, word }) => {
    const text = disassemble(word, PC);
    const { name } = row.instruction;
    try {
      const again = assembleInstruction(text, PC);
      if (((again ^ word) & ~ignoredBits(row)) === 0) return [];
      const redundant = REDUNDANT.some((each) => each.row.test(name)) && disassemble(again, PC) === text;
      return redundant ? [] : [`${name} ${word.toString(16)}: "${text}" became ${again.toString(16)}`];
    } catch (error) {
      return [`${name} ${word.toString(16)}: ${String(error)}`];
    }
  });
  expect(wrong.slice(0, 40)).toEqual([]);
});

test("assembleInstruction() gives the word for GNU objdump's text, with and without its aliases", {
  timeout: 1_800_000,
}, () => {
  const cases = wordsOfTable(Random.ofThisRun());
  const words = cases.map(({ word }) => word);
  const wrong = [false, true].flatMap((aliases) => {
    const texts = objdump(words, { aliases });
    return cases.flatMap(({ row, word }, index) => {
      const text = texts[index]!;
      const { name } = row.instruction;
      if (/^\.inst/.test(text)) return [];
      if (namesUnknown(name, text, disassemble(word, 0n))) return [];
      const pc = BigInt(index * 4);
      try {
        const again = assembleInstruction(text, pc);
        if (((again ^ word) & ~ignoredBits(row)) === 0) return [];
        if (
          REDUNDANT.some((each) => each.row.test(name)) &&
          disassemble(again, pc) === disassemble(word, pc)
        ) {
          return [];
        }
        return [`${name} ${word.toString(16)}: "${text}" became ${again.toString(16)}`];
      } catch (error) {
        return [`${name} ${word.toString(16)}: ${String(error)}`];
      }
    });
  });
  expect(wrong.slice(0, 40)).toEqual([]);
});

const SYSTEM_OPERATIONS = new Set(SYSTEM_INSTRUCTIONS.map(({ name }) => name.toLowerCase()));

/**
 * Texts that cannot be compared: objdump has a name for a register or a SYS operation that is not implemented here,
 * where we write the generic form (`s3_0_c15_c0_0`, `sys #0, ...`); or the SYS operation takes no register and objdump
 * prints none, whatever the register field holds, while our generic form prints it.
 */
function namesUnknown(row: string, theirs: string, ours: string): boolean {
  if (row === "SYS_systeminstrs") {
    if (theirs.startsWith("sys ")) return false;
    const leavesOut = !theirs.includes(",") && ours.startsWith("sys ");
    return leavesOut || !SYSTEM_OPERATIONS.has(theirs.split(",")[0]!);
  }
  const generic = /\bs[23]_[0-7]_c/;
  return row.endsWith("_systemmove") && generic.test(ours) && !generic.test(theirs);
}

function ignoredBits({ pattern }: EncodedInstruction): number {
  return pattern.fields.reduce(
    (mask, { name, low, width }) => (SHOULD_BE_ONE.test(name) ? mask : mask & ~((2 ** width - 1) << low)),
    ~pattern.mask,
  );
}
