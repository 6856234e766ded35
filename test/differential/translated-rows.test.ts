import { describe, expect, test } from "vitest";
import {
  importRuntimeFunctions,
  REGION_SIGNATURE,
  translatorImports,
} from "../../src/engine/interpreter/core-module.ts";
import { HandlerSet } from "../../src/engine/interpreter/handler-set.ts";
import { InstructionWords } from "../../src/engine/translator/instruction-words.ts";
import { findRegion, type Region, type RegionSource } from "../../src/engine/translator/region.ts";
import { RegionEmitter } from "../../src/engine/translator/region-emitter.ts";
import type { EncodedInstruction } from "../../src/isa/decoder.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { ModuleWriter } from "../../src/wasm/module-writer.ts";
import { EngineMachine } from "../support/engine-machine.ts";
import { Random } from "../support/random.ts";
import { PROGRAM_ROWS, ProgramMaker } from "../support/random-program.ts";
import { randomWord } from "../support/random-words.ts";
import { UNTRANSLATED } from "./untranslated.ts";

const ROWS = DECODER.rows.filter(({ instruction }) => instruction.execute);
const isListed = ({ instruction }: EncodedInstruction) =>
  UNTRANSLATED.some(({ row }) => row.test(instruction.name));

/** Regions of one instruction each: of a random word of the row, or undefined where none was found. */
function regionOf(row: EncodedInstruction, handlers: HandlerSet, random: Random): Region | undefined {
  const decode = (word: number) => DECODER.decode(word, IMPLEMENTED_FEATURES);
  for (let attempt = 0; attempt < 400; attempt++) {
    const word = randomWord(row, random);
    if (decode(word)?.instruction !== row.instruction) continue;
    const source: RegionSource = {
      words: new InstructionWords({ decode, handlers, onNewHandler: () => {} }),
      page: (delta) => (delta === 0 ? { delta, frame: 1, records: 0 } : undefined),
      word: (_, index) => (index === 500 ? word : 0),
      isKnown: () => true,
      isUsed: () => true,
      isCalledOften: () => false,
      oftenJumpedTo: () => [],
    };
    return findRegion(source, 500 * 4);
  }
  return undefined;
}

const isTranslated = ({ blocks, entry }: Region) => blocks.get(entry)?.instructions.length === 1;

describe("every table row", () => {
  const random = Random.ofThisRun();
  const handlers = new HandlerSet();
  const regions = ROWS.flatMap((row) => {
    const region = regionOf(row, handlers, random);
    return region === undefined ? [] : [{ row, region }];
  });

  test("has a word to try", () => {
    console.log(`${ROWS.length} rows, seed ${random.seed}`);
    expect(regions.length).toBe(ROWS.length);
  });

  test("is translated or stands on the list with a reason", () => {
    const wrong = regions.filter(({ row, region }) => isTranslated(region) === isListed(row));
    expect(wrong.map(({ row }) => row.instruction.name)).toEqual([]);
  });

  test("the list names rows that exist, with reasons", () => {
    for (const { row, reason } of UNTRANSLATED) {
      expect(
        ROWS.some(({ instruction }) => row.test(instruction.name)),
        `${row}`,
      ).toBe(true);
      expect(reason).not.toBe("");
    }
  });

  test("becomes valid WebAssembly of bounded size", () => {
    const translated = regions.filter(({ region }) => isTranslated(region));
    const module = new ModuleWriter();
    const imports = translatorImports(module, 1024);
    const used = translated.flatMap(({ region }) => region.blocks.get(region.entry)!.instructions);
    importRuntimeFunctions(
      imports,
      used.map(({ known }) => known.handler),
    );
    const sizes = translated.map(({ row, region }) => {
      const { body } = module.function(REGION_SIGNATURE);
      new RegionEmitter(body, imports, region, {
        tracksRegisters: true,
        element: undefined,
        unusual: undefined,
        entryTable: () => module.variable("entries"),
        pageRecords: () => module.variable("records"),
      }).emit();
      return { name: row.instruction.name, bytes: body.finish().length };
    });
    expect(WebAssembly.validate(module.finish())).toBe(true);
    const largest = sizes.reduce((a, b) => (a.bytes > b.bytes ? a : b));
    console.log(`largest: ${largest.name}, ${largest.bytes} bytes`);
    // 400 of them in one function must stay far below V8's limit of 7.6 MB.
    expect(largest.bytes).toBeLessThan(8192);
  });
});

test("regions execute every row but branches without leaving", { timeout: 300_000 }, async () => {
  const random = Random.ofThisRun();
  console.log(`seed ${random.seed}`);
  const maker = new ProgramMaker(random);
  const machine = new EngineMachine({ threshold: 1 });
  const left: string[] = [];
  for (const [number, row] of PROGRAM_ROWS.entries()) {
    if (isListed(row)) continue;
    const program = maker.makeSample(row);
    if (program === undefined) {
      left.push(`${row.instruction.name}: no word was found`);
      continue;
    }
    machine.end = program.end;
    for (const { address, words } of program.pieces) machine.writeCode(address, words);
    machine.restart(program.settings, program.start, program.data);
    machine.run(100);
    machine.restart(program.settings, program.start, program.data);
    // The first access to a page is the interpreter's.
    machine.run(100);
    machine.startAgain(program.settings, program.start, program.data);
    const before = machine.interpreter.translator!.statistics();
    const done = machine.run(100);
    const after = machine.interpreter.translator!.statistics();
    // All but perhaps the branch into the region; a row that leaves takes the branch after it along.
    if (after.instructions - before.instructions < done - 1) left.push(row.instruction.name);
    if (number % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(left).toEqual([]);
});
