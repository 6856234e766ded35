import { expect, test } from "vitest";
import { fuzzDevice } from "../../test/support/device-fuzz.ts";
import { Random } from "../../test/support/random.ts";
import { RateLimitedLog } from "./access-log.ts";
import { Pl011 } from "./pl011.ts";

function build() {
  const output: number[] = [];
  let level = false;
  const uart = new Pl011({
    line: { set: (value) => (level = value) },
    output: { write: (bytes) => output.push(...bytes) },
  });
  return { uart, output, level: () => level };
}

test("identification and reset values", () => {
  const { uart } = build();
  const identification = Array.from({ length: 8 }, (_, index) => uart.read(0xfe0 + 4 * index, 4));
  expect(identification).toEqual([0x11, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]);
  expect(uart.read(0x18, 4)).toBe(0x90);
  expect(uart.read(0x30, 2)).toBe(0x300);
  expect(uart.read(0x34, 4)).toBe(0x12);
});

test("bytes go out at any width and raise the transmit interrupt", () => {
  const { uart, output, level } = build();
  uart.write(0x38, 4, 0x20);
  uart.write(0, 1, 0x41);
  expect(level()).toBe(true);
  uart.write(0x44, 2, 0x20);
  expect(level()).toBe(false);
  uart.write(0, 2, 0x42);
  uart.write(0, 4, 0x43);
  expect(output).toEqual([0x41, 0x42, 0x43]);
  expect(uart.read(0x40, 4)).toBe(0x20);
});

test("input waits until the FIFO has room", async () => {
  const { uart, level } = build();
  uart.write(0x2c, 4, 0x10);
  uart.write(0x38, 4, 0x10);
  let done = false;
  const sent = uart.receive(Uint8Array.from({ length: 20 }, (_, index) => index)).then(() => (done = true));
  expect(level()).toBe(true);
  expect(uart.read(0x18, 4)).toBe(0xc0);
  for (let i = 0; i < 3; i++) expect(uart.read(0, 4)).toBe(i);
  await Promise.resolve();
  expect(done).toBe(false);
  expect(uart.read(0, 1)).toBe(3);
  await sent;
  for (let i = 4; i < 20; i++) expect(uart.read(0, 4)).toBe(i);
  expect(level()).toBe(false);
  expect(uart.read(0x18, 4)).toBe(0x90);
  expect(uart.read(0, 4)).toBe(0);
});

test("without FIFOs there is room for one byte", () => {
  const { uart } = build();
  void uart.receive(Uint8Array.of(1, 2));
  expect(uart.read(0x18, 4)).toBe(0xc0);
  expect(uart.read(0, 4)).toBe(1);
  expect(uart.read(0, 4)).toBe(2);
});

test("unknown offsets read as zero and are counted, not all of them passed on", () => {
  const sentences: string[] = [];
  const clock = {
    ticks: () => 0,
    nanoseconds: () => 0,
    wallSeconds: () => 0,
    schedule: () => ({ cancel() {} }),
  };
  const log = new RateLimitedLog(clock, (sentence) => sentences.push(sentence), 3);
  const uart = new Pl011({ line: { set() {} }, output: { write() {} }, log });
  for (let i = 0; i < 100; i++) expect(uart.read(0x800, 4)).toBe(0);
  expect(log.counts.get("pl011")).toBe(100);
  expect(sentences).toEqual(Array.from({ length: 3 }, () => "pl011: 4-byte read of unknown offset 0x800."));
});

test("random accesses never throw", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`pl011 fuzz seed ${random.seed}`);
  const { uart } = build();
  void uart.receive(new Uint8Array(1000));
  fuzzDevice(uart, random);
});
