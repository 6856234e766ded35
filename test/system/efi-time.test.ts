import { describe, expect, test } from "vitest";
import { runtimeServices } from "../../src/firmware/efi/runtime-services.ts";
import { assemble } from "../../src/isa/assembler.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { Random } from "../support/random.ts";
import { smallMachine } from "../support/small-machine.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const SEED = Number(process.env["ELVISOR_SEED"] ?? Date.now() % 2 ** 32);
const COUNT = FULL ? 20_000 : 1000;
/** RAM stands in for the PL031: what is read at offset 0 is the time, what is written to offset 8 sets it. */
const [SERVICES, CLOCK, CASES] = [0x1_0000, 0x2_0000, 0x10_0000].map((offset) => VIRT_MAP.ram.base + offset);
const CASE_SIZE = 64;
const DAY = 86_400;
/** 2106 begins. */
const END = Date.UTC(2106, 0, 1) / 1000;
const INVALID_PARAMETER = 0x8000_0000_0000_0002n;

/** For each case: X21 seconds or EFI_TIME at 0, results behind it. Ends by waiting for ever. */
function runCases(body: string, count: number, fill: (view: DataView, index: number) => void): DataView {
  const { code, entries } = runtimeServices(SERVICES!, CLOCK!);
  const program = assemble(
    `   ldr  x20, =${CLOCK}
        ldr  x21, =${CASES}
        ldr  x22, =${count}
1:      ${body}
        add  x21, x21, #${CASE_SIZE}
        subs x22, x22, #1
        b.ne 1b
        mov  w0, #1
        str  w0, [x20, #16]
2:      wfi
        b    2b`,
    {
      origin: BigInt(VIRT_MAP.ram.base),
      symbols: { get_time: BigInt(entries[0]!), set_time: BigInt(entries[1]!) },
    },
  ).bytes;
  const machine = smallMachine({ memory: program, cpus: 1, translationThreshold: undefined });
  machine.guest.write(SERVICES!, code);
  const cases = new Uint8Array(count * CASE_SIZE);
  for (let index = 0; index < count; index++)
    fill(new DataView(cases.buffer, index * CASE_SIZE, CASE_SIZE), index);
  machine.guest.write(CASES!, cases);
  const end = machine.loop.burst(() => machine.guest.read32(CLOCK! + 16) === 1);
  expect(["busy", "idle"]).toContain(end.kind);
  machine.guest.readInto(CASES!, cases);
  return new DataView(cases.buffer);
}

describe("EFI's time services", () => {
  test(`give and set the date that seconds since 1970 mean (seed ${SEED})`, () => {
    const random = new Random(SEED);
    const corners = [0, DAY - 1, END - 1, Date.UTC(2000, 1, 29) / 1000, Date.UTC(2100, 1, 28) / 1000 + DAY];
    const seconds = Array.from({ length: COUNT }, (_, index) => corners[index] ?? random.u32() % END);
    const results = runCases(
      `ldr  w0, [x21]
       str  w0, [x20]
       add  x0, x21, #8
       add  x1, x21, #24
       bl   get_time
       str  x0, [x21, #40]
       add  x0, x21, #8
       bl   set_time
       ldr  w1, [x20, #8]
       str  w1, [x21, #48]`,
      seconds.length,
      (view, index) => view.setUint32(0, seconds[index]!, true),
    );
    for (const [index, value] of seconds.entries()) {
      const at = index * CASE_SIZE;
      const date = new Date(value * 1000);
      const time = {
        status: results.getBigUint64(at + 40, true),
        day: [results.getUint16(at + 8, true), results.getUint8(at + 10), results.getUint8(at + 11)],
        clock: [results.getUint8(at + 12), results.getUint8(at + 13), results.getUint8(at + 14)],
        zone: results.getUint32(at + 20, true),
        set: results.getUint32(at + 48, true),
      };
      expect(time).toEqual({
        status: 0n,
        day: [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()],
        clock: [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()],
        zone: 0,
        set: value,
      });
    }
  });

  test("refuse dates that do not exist", () => {
    const dates = [
      [1969, 12, 31, 0, 0, 0],
      [2106, 1, 1, 0, 0, 0],
      [2023, 2, 29, 0, 0, 0],
      [2100, 2, 29, 0, 0, 0],
      [2024, 0, 1, 0, 0, 0],
      [2024, 13, 1, 0, 0, 0],
      [2024, 4, 31, 0, 0, 0],
      [2024, 4, 0, 0, 0, 0],
      [2024, 4, 1, 24, 0, 0],
      [2024, 4, 1, 0, 60, 0],
      [2024, 4, 1, 0, 0, 60],
    ] as const;
    const results = runCases(
      `mov  x0, x21
       bl   set_time
       str  x0, [x21, #40]`,
      dates.length,
      (view, index) => {
        const [year, ...rest] = dates[index]!;
        view.setUint16(0, year, true);
        for (const [place, value] of rest.entries()) view.setUint8(2 + place, value);
      },
    );
    for (const [index, date] of dates.entries())
      expect(results.getBigUint64(index * CASE_SIZE + 40, true), date.join(" ")).toBe(INVALID_PARAMETER);
  });
});
