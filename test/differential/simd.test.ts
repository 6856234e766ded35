import { expect, test } from "vitest";
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
import { compareRowsWithQemu } from "../support/compare-rows.ts";
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

for (const [name, rows] of Object.entries(FILES)) {
  test(`${name}: the rows' meanings give QEMU's registers and cumulative saturation`, () => {
    const random = new Random(Date.now());
    const options = { wordsPerRow: 20, statesPerWord: 6, vector: randomVector };
    const { cases, differences } = compareRowsWithQemu(rows, random, options);
    const title = `seed ${random.seed}: ${differences.length} of ${cases} differ`;
    expect(differences.slice(0, 8).join("\n"), title).toBe("");
  });
}
