import { describe, expect, test } from "vitest";
import { Bug } from "../../base/errors.ts";
import { FrameTable } from "../../memory/frame-table.ts";
import { MachineMemory } from "../../memory/machine-memory.ts";
import { PhysicalMap } from "../../memory/physical-map.ts";
import { TracedMemory } from "../../memory/traced-memory.ts";
import { TracedStore } from "../../memory/traced-store.ts";
import { applyBootPlan } from "./apply-boot-plan.ts";

const RAM = 0x4000_0000;
const RAM_SIZE = 0x10_0000;

function guestMemory(): TracedMemory {
  const memory = new MachineMemory(16 * 1024 * 1024);
  const frames = new FrameTable(memory);
  const map = new PhysicalMap(memory, frames);
  map.mapRam(RAM, RAM_SIZE);
  return new TracedMemory(map, new TracedStore(memory, frames));
}

function read(memory: TracedMemory, address: number, length: number): number[] {
  const bytes = new Uint8Array(length);
  expect(memory.readInto(address, bytes)).toBe(true);
  return [...bytes];
}

describe("applyBootPlan()", () => {
  const load = { what: "segment 0", address: RAM + 4090, bytes: Uint8Array.of(1, 2, 3), size: 70_000 };

  test("writes the bytes and clears the rest, before and after a guest has run", () => {
    const memory = guestMemory();
    for (const junk of [0, 0xaa]) {
      memory.write(RAM, new Uint8Array(RAM_SIZE).fill(junk));
      applyBootPlan({ loads: [load] }, memory);
      const bytes = read(memory, RAM + 4089, 70_002);
      expect(bytes.slice(0, 4)).toEqual([junk, 1, 2, 3]);
      expect(bytes.slice(4, -1).every((byte) => byte === 0)).toBe(true);
      expect(bytes.at(-1)).toBe(junk);
    }
  });

  test("calls a plan that leaves memory our bug", () => {
    const outside = { ...load, address: RAM + RAM_SIZE - 4 };
    expect(() => applyBootPlan({ loads: [outside] }, guestMemory())).toThrow(Bug);
  });
});
