import { describe, expect, test } from "vitest";
import { Random } from "../../test/support/random.ts";
import type { Alarm, Clock } from "./clock.ts";
import { parseTimeScale, ScaledClock } from "./time-scale.ts";

/** A clock that is moved by hand; alarms are called in order of time. */
class HandClock implements Clock {
  now = 0;
  readonly #alarms = new Set<{ at: number; callback: () => void }>();

  ticks(): number {
    return this.now;
  }

  nanoseconds(): number {
    return this.now * 16;
  }

  wallSeconds(): number {
    return 5;
  }

  schedule(at: number, callback: () => void): Alarm {
    const entry = { at, callback };
    this.#alarms.add(entry);
    return { cancel: () => void this.#alarms.delete(entry) };
  }

  get waiting(): number {
    return this.#alarms.size;
  }

  advance(to: number): void {
    for (;;) {
      const due = [...this.#alarms].filter(({ at }) => at <= to).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#alarms.delete(due);
      this.now = Math.max(this.now, due.at);
      due.callback();
    }
    this.now = to;
  }
}

function setUp(scale = 1) {
  const source = new HandClock();
  const clock = new ScaledClock(source);
  clock.setScale(scale);
  return { source, clock };
}

describe("scaled time", () => {
  test("runs at its pace", () => {
    for (const scale of [0.1, 0.5, 1, 2, 10]) {
      const { source, clock } = setUp(scale);
      source.advance(3_750_000_000);
      expect(Math.abs(clock.ticks() - 3_750_000_000 * scale)).toBeLessThanOrEqual(1);
      expect(clock.scale).toBeCloseTo(scale, 12);
      expect(clock.nanoseconds()).toBe(clock.ticks() * 16);
      expect(clock.wallSeconds()).toBe(5);
    }
  });

  test("calls at the first tick of the machine's that reaches the guest's", () => {
    for (const scale of [0.001, 0.3, 1, 3, 99]) {
      const { source, clock } = setUp(scale);
      source.advance(1_000_003);
      const at = clock.ticks() + 1_000;
      let called: number | undefined;
      clock.schedule(at, () => {
        called = source.now;
        expect(clock.ticks()).toBeGreaterThanOrEqual(at);
      });
      source.advance(3_000_000);
      expect(called).toBeDefined();
      source.now = called! - 1;
      expect(clock.ticks()).toBeLessThan(at);
    }
  });

  test("neither jumps nor goes back when its pace changes, and alarms keep their guest's time", () => {
    const random = Random.ofThisRun();
    const { source, clock } = setUp();
    let last = 0;
    const due: { at: number; called: number | undefined }[] = [];
    for (let round = 0; round < 10_000; round++) {
      source.advance(source.now + random.below(5_000));
      const before = clock.ticks();
      expect(before).toBeGreaterThanOrEqual(last);
      const scale = random.below(8) === 0 ? 0 : (1 + random.below(100_000)) / 1000;
      clock.setScale(scale);
      last = clock.ticks();
      if (last !== before) throw new Error(`a jump: seed ${random.seed}, round ${round}`);
      const alarm = { at: last + random.below(200_000), called: undefined as number | undefined };
      due.push(alarm);
      clock.schedule(alarm.at, () => {
        alarm.called = clock.ticks();
      });
    }
    clock.setScale(100);
    source.advance(source.now + 1_000_000);
    for (const { at, called } of due) {
      if (called === undefined || called < at || called > at + 100) {
        throw new Error(`due at ${at}, called at ${called}: seed ${random.seed}`);
      }
    }
    expect(source.waiting).toBe(0);
  });

  test("stands still at 0, and goes on from there", () => {
    const { source, clock } = setUp();
    let called = 0;
    clock.schedule(2_000, () => called++);
    const cancelled = clock.schedule(2_000, () => called++);
    source.advance(1_000);
    clock.setScale(0);
    source.advance(1_000_000);
    expect([clock.ticks(), called, source.waiting]).toEqual([1_000, 0, 0]);
    cancelled.cancel();
    clock.setScale(2);
    source.advance(1_000_499);
    expect(called).toBe(0);
    source.advance(1_000_500);
    expect([clock.ticks(), called]).toEqual([2_000, 1]);
  });

  test("is written as a factor", () => {
    expect(["0.5x", "2", "0", "100x", ".25x", "0.001"].map(parseTimeScale)).toEqual([
      0.5, 2, 0, 100, 0.25, 0.001,
    ]);
    for (const absurd of ["", "x", "-1", "101", "1e9", "0.0001x", "65537x", "NaN", "0.5 x", "1xx"]) {
      expect(() => parseTimeScale(absurd)).toThrow(
        `"${absurd}" is no time scale; give a factor from 0.001 to 100`,
      );
    }
  });
});

test("goes on at its own frequency behind a source that has another one", () => {
  /** A machine's clock of so many ticks a second; `seconds` is the world's. */
  const world = { seconds: 0 };
  const source = (frequency: number, start: number): Clock => ({
    frequency,
    ticks: () => Math.floor((world.seconds - start) * frequency),
    nanoseconds: () => (world.seconds - start) * 1e9,
    wallSeconds: () => world.seconds,
    schedule: () => ({ cancel: () => {} }),
  });
  world.seconds = 100;
  const there = new ScaledClock(source(62_500_000, 0));
  there.setScale(0.5);
  world.seconds = 200;
  const kept = there.ticks();
  expect(kept).toBe(150 * 62_500_000);

  const here = new ScaledClock(source(24_000_000, 190));
  const values = there.stateFields().map((field) => (field.kind === "array" ? undefined : field.get()));
  here.stateFields().forEach((field, index) => {
    const value = values[index];
    if (field.kind === "number" && typeof value === "number") field.set(value);
    if (field.kind === "u64" && typeof value === "bigint") field.set(value);
  });
  world.seconds = 500;
  here.stateRestored();
  expect(here.ticks()).toBe(kept);
  expect(here.scale).toBeCloseTo(0.5, 12);
  expect(here.frequency).toBe(62_500_000);
  // In a day, to the tick or two: a thousand-millionth.
  world.seconds += 86_400;
  const wanted = kept + (86_400 * 62_500_000) / 2;
  expect(Math.abs(here.ticks() - wanted) / (wanted - kept)).toBeLessThan(1e-9);
  here.setScale(1);
  const before = here.ticks();
  world.seconds += 600;
  expect(Math.abs(here.ticks() - before - 600 * 62_500_000)).toBeLessThan(10);
});
