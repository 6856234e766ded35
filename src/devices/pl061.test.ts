import { expect, test } from "vitest";
import { fuzzDevice } from "../../test/support/device-fuzz.ts";
import { Random } from "../../test/support/random.ts";
import { Pl061 } from "./pl061.ts";

function build() {
  let level = false;
  const outputs: [number, boolean][] = [];
  const gpio = new Pl061({
    line: { set: (value) => (level = value) },
    onOutput: (line, value) => outputs.push([line, value]),
  });
  return { gpio, level: () => level, outputs };
}

test("a key press raises an interrupt on both edges", () => {
  const { gpio, level } = build();
  gpio.write(0x408, 4, 1 << 3);
  gpio.write(0x410, 4, 1 << 3);
  const key = gpio.input(3);
  key.set(true);
  expect(level()).toBe(true);
  expect(gpio.read(0x020, 4)).toBe(8);
  expect(gpio.read(0x3fc, 4)).toBe(8);
  expect(gpio.read(0x004, 4)).toBe(0);
  gpio.write(0x41c, 4, 8);
  expect(level()).toBe(false);
  key.set(false);
  expect(gpio.read(0x418, 4)).toBe(8);
});

test("a level interrupt follows its line", () => {
  const { gpio, level } = build();
  gpio.write(0x404, 4, 1);
  gpio.write(0x40c, 4, 1);
  gpio.write(0x410, 4, 1);
  gpio.input(0).set(true);
  expect(level()).toBe(true);
  gpio.write(0x41c, 4, 1);
  expect(level()).toBe(true);
  gpio.input(0).set(false);
  expect(level()).toBe(false);
});

test("outputs change only through the address mask", () => {
  const { gpio, outputs } = build();
  gpio.write(0x400, 4, 0x0f);
  gpio.write(0x003 << 2, 4, 0xff);
  expect(gpio.read(0x3fc, 4)).toBe(3);
  expect(outputs).toEqual([
    [0, true],
    [1, true],
  ]);
});

test("identification", () => {
  const { gpio } = build();
  expect(gpio.read(0xfe0, 4)).toBe(0x61);
  expect(gpio.read(0xffc, 4)).toBe(0xb1);
});

test("random accesses never throw", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`pl061 fuzz seed ${random.seed}`);
  fuzzDevice(build().gpio, random);
});
