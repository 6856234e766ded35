import { expect, test } from "vitest";
import { describeEnd, describeState, SpeedGauge } from "./state.ts";

test("the line about a machine follows its life", () => {
  const loading = {
    kind: "loading",
    name: "kernel:6.1-cloud",
    received: 3_145_728,
    size: 27_303_872,
  } as const;
  expect(describeState(loading)).toBe("Loading kernel:6.1-cloud: 3.0 of 26.0 MiB");
  expect(describeState({ kind: "running", speed: undefined })).toBe("Starting");
  const gauge = new SpeedGauge();
  const states = [gauge.next(500, 1e8), gauge.next(1500, 1.003e8), gauge.next(1500, 1.003e8)].map((speed) =>
    describeState({ kind: "running", speed }),
  );
  expect(states).toEqual([
    "Running · 200 MIPS · 0.10 billion instructions",
    "Idle · 0.3 MIPS · 0.10 billion instructions",
    "Idle · 0.0 MIPS · 0.10 billion instructions",
  ]);
  expect(describeState({ kind: "ended", reason: { kind: "power-off" } })).toBe("Off");
});

test("the end is a sentence, for failures the machine's own", () => {
  expect(describeEnd({ kind: "power-off" })).toBe("The guest has switched the machine off.");
  expect(describeEnd({ kind: "failed", sentence: "The kernel is empty." })).toBe("The kernel is empty.");
});
