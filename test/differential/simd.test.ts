import { describe, expect, test } from "vitest";
import { rows as acrossLanes } from "../../src/isa/encodings/simd-across-lanes.ts";
import { rows as byElement } from "../../src/isa/encodings/simd-by-element.ts";
import { rows as copy } from "../../src/isa/encodings/simd-copy.ts";
import { rows as crypto } from "../../src/isa/encodings/simd-crypto.ts";
import { rows as modifiedImmediate } from "../../src/isa/encodings/simd-modified-immediate.ts";
import { rows as permute } from "../../src/isa/encodings/simd-permute.ts";
import { rows as shiftImmediate } from "../../src/isa/encodings/simd-shift-immediate.ts";
import { rows as threeDifferent } from "../../src/isa/encodings/simd-three-different.ts";
import { rows as threeSame } from "../../src/isa/encodings/simd-three-same.ts";
import { rows as threeSameExtra } from "../../src/isa/encodings/simd-three-same-extra.ts";
import { rows as twoRegisterMisc } from "../../src/isa/encodings/simd-two-register-misc.ts";
import { engineOf } from "../support/bare-engine.ts";
import { compareRowsWithQemu, evaluatorOf } from "../support/compare-rows.ts";
import { Random } from "../support/random.ts";
import { randomVector } from "../support/random-vectors.ts";

const FILES = {
  threeSame,
  threeSameExtra,
  threeDifferent,
  twoRegisterMisc,
  acrossLanes,
  byElement,
  shiftImmediate,
  modifiedImmediate,
  copy,
  permute,
  crypto,
};

const EXECUTORS = {
  evaluator: { executor: evaluatorOf, wordsPerRow: 12, statesPerWord: 6 },
  interpreter: { executor: engineOf, wordsPerRow: 12, statesPerWord: 16 },
};

for (const [executorName, options] of Object.entries(EXECUTORS)) {
  describe(`integer Advanced SIMD rows in the ${executorName}`, () => {
    for (const [name, rows] of Object.entries(FILES)) {
      test(`${name}: registers and cumulative saturation are QEMU's`, () => {
        const random = Random.ofThisRun();
        const { cases, differences } = compareRowsWithQemu(rows, random, {
          ...options,
          vector: randomVector,
        });
        const title = `seed ${random.seed}: ${differences.length} of ${cases} differ`;
        expect(differences.slice(0, 8).join("\n"), title).toBe("");
      });
    }
  });
}
