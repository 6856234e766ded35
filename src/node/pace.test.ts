import { expect, test } from "vitest";
import { Pace } from "./pace.ts";

/** Of `count` small requests, how many are handed over where those that are tried take `milliseconds`. */
function handedOver(pace: Pace, count: number, milliseconds: (tried: number) => number): number {
  let [over, tried] = [0, 0];
  for (let request = 0; request < count; request++) {
    if (pace.isQuick(4096)) pace.judge(0, milliseconds(tried++));
    else over++;
  }
  return over;
}

test("what the host has in memory is done at once, large requests never", () => {
  const pace = new Pace();
  expect(handedOver(pace, 1000, () => 0.1)).toBe(0);
  expect(pace.isQuick(1 << 20)).toBe(false);
});

test("a slow request now and then costs one that is handed over", () => {
  expect(handedOver(new Pace(), 1000, (tried) => (tried % 50 === 49 ? 3 : 0.1))).toBeLessThan(25);
});

test("where all are slow, few are tried; where they no longer are, all are soon done at once", () => {
  const pace = new Pace();
  expect(handedOver(pace, 1000, () => 3)).toBeGreaterThan(970);
  expect(handedOver(pace, 1000, () => 0.1)).toBeLessThan(65);
});
