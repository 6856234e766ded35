import { expect, test } from "vitest";
import { fuzzDevice } from "../../test/support/device-fuzz.ts";
import { Random } from "../../test/support/random.ts";
import { Flash } from "./flash.ts";

const SIZE = 1 << 20;

function build() {
  const bytes = new Uint8Array(SIZE).fill(0xff);
  const modes: boolean[] = [];
  const flash = new Flash({
    size: SIZE,
    storage: {
      readInto: (offset, target) => target.set(bytes.subarray(offset, offset + target.length)),
      write: (offset, source) => {
        bytes.set(source, offset);
        return true;
      },
    },
    onModeChange: (arrayMode) => modes.push(arrayMode),
  });
  return { flash, bytes, modes };
}

test("reads its contents at every width", () => {
  const { flash, bytes } = build();
  bytes.set([1, 2, 3, 0x84], 0x100);
  expect(flash.read(0x100, 4)).toBe(0x8403_0201);
  expect(flash.read(0x102, 2)).toBe(0x8403);
  expect(flash.read(0x101, 1)).toBe(2);
});

test("identifies itself and answers the query, from both devices", () => {
  const { flash, modes } = build();
  flash.write(0, 4, 0x0090_0090);
  expect(flash.read(0, 4)).toBe(0x0089_0089);
  expect(flash.read(4, 4)).toBe(0x0018_0018);
  flash.write(0x154, 4, 0x0098_0098);
  expect([0x10, 0x11, 0x12].map((index) => flash.read(index * 4, 4) & 0xff)).toEqual([0x51, 0x52, 0x59]);
  expect(flash.read(0x27 * 4, 4)).toBe(0x0019_0019);
  flash.write(0, 4, 0x00ff_00ff);
  expect(flash.read(0, 4)).toBe(0xffff_ffff);
  expect(modes).toEqual([false, true]);
});

test("programming clears bits, erasing sets a sector", () => {
  const { flash, bytes } = build();
  flash.write(8, 4, 0x0040_0040);
  flash.write(8, 4, 0x1234_5678);
  expect(flash.read(8, 4)).toBe(0x0080_0080);
  flash.write(8, 4, 0x0040_0040);
  flash.write(8, 4, 0xffff_0000);
  flash.write(0, 4, 0x00ff_00ff);
  expect(flash.read(8, 4)).toBe(0x1234_0000);
  bytes[0x40000] = 5;
  flash.write(8, 4, 0x0020_0020);
  flash.write(8, 4, 0x00d0_00d0);
  flash.write(0, 4, 0x00ff_00ff);
  expect(flash.read(8, 4)).toBe(0xffff_ffff);
  expect(bytes[0x40000]).toBe(5);
});

test("a buffered write lands on confirmation only", () => {
  const { flash } = build();
  const load = (confirmation: number) => {
    flash.write(0x1000, 4, 0x00e8_00e8);
    expect(flash.read(0x1000, 4)).toBe(0x0080_0080);
    flash.write(0x1000, 4, 0x0001_0001);
    flash.write(0x1000, 4, 0x1111_1111);
    flash.write(0x1004, 4, 0x2222_2222);
    flash.write(0x1000, 4, confirmation);
  };
  load(0x00ff_00ff);
  expect(flash.read(0, 4)).toBe(0x00b0_00b0);
  flash.write(0, 4, 0x0050_0050);
  flash.write(0, 4, 0x00ff_00ff);
  expect(flash.read(0x1000, 4)).toBe(0xffff_ffff);
  load(0x00d0_00d0);
  flash.write(0, 4, 0x00ff_00ff);
  expect(flash.read(0x1000, 4)).toBe(0x1111_1111);
  expect(flash.read(0x1004, 4)).toBe(0x2222_2222);
});

test("a wrong second command is a sequence error", () => {
  const { flash } = build();
  flash.write(0, 4, 0x20);
  flash.write(0, 4, 0x12);
  expect(flash.read(0, 2)).toBe(0xb0);
});

test("random accesses never throw, and reset returns to array mode", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`flash fuzz seed ${random.seed}`);
  const { flash, modes } = build();
  fuzzDevice(flash, random);
  for (let i = 0; i < 50_000; i++)
    flash.write(
      random.below(SIZE / 4) * 4,
      4,
      random.pick([0x10, 0x20, 0x40, 0x60, 0x90, 0xd0, 0xe8, 0xff, 1]),
    );
  flash.write(0, 4, 0x90);
  flash.reset();
  expect(modes.at(-1)).toBe(true);
});
