import { expect, test } from "vitest";
import { fuzzDevice } from "../../test/support/device-fuzz.ts";
import { Random } from "../../test/support/random.ts";
import { COUNTER_FREQUENCY } from "../base/clock.ts";
import { Pl031 } from "./pl031.ts";

function build(start = 1_000_000) {
  let seconds = 0;
  let level = false;
  const alarms: { at: number; callback: () => void }[] = [];
  const clock = {
    ticks: () => seconds * COUNTER_FREQUENCY,
    nanoseconds: () => seconds * 1e9,
    wallSeconds: () => start + seconds,
    schedule: (at: number, callback: () => void) => {
      const alarm = { at, callback };
      alarms.push(alarm);
      return {
        cancel: () => {
          const index = alarms.indexOf(alarm);
          if (index >= 0) alarms.splice(index, 1);
        },
      };
    },
  };
  const rtc = new Pl031({ clock, line: { set: (value) => (level = value) } });
  const advance = (by: number) => {
    seconds += by;
    for (const alarm of alarms.splice(0)) {
      if (alarm.at <= clock.ticks()) alarm.callback();
      else alarms.push(alarm);
    }
  };
  return { rtc, advance, level: () => level, alarms };
}

test("tells and takes the time", () => {
  const { rtc, advance } = build();
  expect(rtc.read(0, 4)).toBe(1_000_000);
  expect(rtc.read(0xfe0, 4)).toBe(0x31);
  expect(rtc.read(0x0c, 4)).toBe(1);
  rtc.write(8, 4, 0xffff_fffe);
  advance(3);
  expect(rtc.read(0, 4)).toBe(1);
});

test("the alarm rings at its second, once", () => {
  const { rtc, advance, level } = build();
  rtc.write(0x10, 4, 1);
  rtc.write(4, 4, 1_000_005);
  advance(4);
  expect(level()).toBe(false);
  advance(1);
  expect(level()).toBe(true);
  expect(rtc.read(0x18, 4)).toBe(1);
  rtc.write(0x1c, 4, 1);
  expect(level()).toBe(false);
});

test("an alarm far away does not overflow the counter", () => {
  const { rtc, advance, level, alarms } = build();
  rtc.write(0x10, 4, 1);
  rtc.write(4, 4, 999_999);
  expect(alarms[0]!.at).toBeLessThan(2 ** 53);
  advance(86_400);
  expect(level()).toBe(false);
  expect(alarms).toHaveLength(1);
});

test("random accesses never throw and leave at most one alarm", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`pl031 fuzz seed ${random.seed}`);
  const { rtc, alarms } = build();
  fuzzDevice(rtc, random);
  expect(alarms.length).toBeLessThan(2);
});
