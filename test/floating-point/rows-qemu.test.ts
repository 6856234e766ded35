import { describe, expect, test } from "vitest";
import { rows as compare } from "../../src/isa/encodings/fp-compare.ts";
import { rows as convert } from "../../src/isa/encodings/fp-convert.ts";
import { rows as dataProcessing } from "../../src/isa/encodings/fp-data-processing.ts";
import { rows as move } from "../../src/isa/encodings/fp-move.ts";
import { rows as byElement } from "../../src/isa/encodings/fp-simd-by-element.ts";
import { rows as fixedPoint } from "../../src/isa/encodings/fp-simd-fixed-point.ts";
import { rows as reduce } from "../../src/isa/encodings/fp-simd-reduce.ts";
import { rows as threeSame } from "../../src/isa/encodings/fp-simd-three-same.ts";
import { rows as twoRegister } from "../../src/isa/encodings/fp-simd-two-register.ts";
import { engineOf } from "../support/bare-engine.ts";
import { compareRowsWithQemu, evaluatorOf } from "../support/compare-rows.ts";
import { Random } from "../support/random.ts";

const FILES = {
  dataProcessing,
  compare,
  convert,
  move,
  threeSame,
  byElement,
  reduce,
  fixedPoint,
  twoRegister,
};
const EXECUTORS = {
  evaluator: { executor: evaluatorOf, wordsPerRow: 8, statesPerWord: 40 },
  interpreter: { executor: engineOf, wordsPerRow: 8, statesPerWord: 60 },
};

for (const [executorName, options] of Object.entries(EXECUTORS)) {
  describe(`floating-point rows in the ${executorName}`, () => {
    for (const [name, rows] of Object.entries(FILES)) {
      test(`${name}: registers, flags and exceptions are QEMU's`, () => {
        const random = Random.ofThisRun();
        const { cases, differences } = compareRowsWithQemu(rows, random, options);
        const title = `seed ${random.seed}: ${differences.length} of ${cases} differ`;
        expect(differences.slice(0, 8).join("\n"), title).toBe("");
      });
    }
  });
}
