import { expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { randomFloat } from "../../../test/support/random-floats.ts";
import { DOUBLE, type FloatFormat, SINGLE } from "./format.ts";
import { multiplyAdd } from "./fused.ts";
import { RegularMultiplyAdd } from "./regular-multiply-add.ts";

const regular = new RegularMultiplyAdd();

function newContext() {
  let flags = 0;
  const raise = (more: number) => {
    flags |= more;
  };
  return { control: 0, raise, flags: () => flags };
}

/** Factors, and an addend that is often about as large as their product, of the opposite sign, or far off. */
function operands(random: Random, format: FloatFormat): [bigint, bigint, bigint] {
  const a = randomFloat(random, format);
  const b = randomFloat(random, format);
  const product = multiplyAdd(format, 0n, a, b, newContext());
  switch (random.below(4)) {
    case 0:
      return [randomFloat(random, format), a, b];
    case 1:
      return [(product ^ format.signBit) + BigInt(random.below(7) - 3), a, b];
    case 2:
      return [product + (BigInt(random.below(130) - 65) << BigInt(format.fractionBits)), a, b];
    default:
      return [product ^ (random.u64() & (format.fractionMask | format.signBit)), a, b];
  }
}

for (const [name, format] of Object.entries({ DOUBLE, SINGLE })) {
  test(`RegularMultiplyAdd gives the exact sum and flags wherever it answers: ${name}`, () => {
    const random = Random.ofThisRun();
    let answered = 0;
    for (let round = 0; round < 60_000; round++) {
      const [addend, a, b] = operands(random, format).map((bits) => bits & format.mask) as [
        bigint,
        bigint,
        bigint,
      ];
      const fast = newContext();
      const result =
        format === DOUBLE
          ? regular.double(fast, addend, a, b)
          : regular.single(fast, Number(addend), Number(a), Number(b));
      if (result === undefined) continue;
      answered++;
      const exact = newContext();
      const expected = multiplyAdd(format, addend, a, b, exact);
      const ours = BigInt.asUintN(format.width, BigInt(result));
      const label = `seed ${random.seed}: ${addend.toString(16)} + ${a.toString(16)} * ${b.toString(16)}`;
      if (ours !== expected || fast.flags() !== exact.flags()) {
        expect([ours.toString(16), fast.flags()], label).toEqual([expected.toString(16), exact.flags()]);
      }
    }
    expect(answered).toBeGreaterThan(15_000);
  });
}
