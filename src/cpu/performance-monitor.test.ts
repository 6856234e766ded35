import { describe, expect, it } from "vitest";
import { ProcessorMachine, RAM_BASE } from "../../test/support/processor-machine.ts";

const E = 1n;
const LC = 1n << 6n;
const CYCLES = 1n << 31n;
const [INST_RETIRED, CPU_CYCLES, CHAIN] = [0x08n, 0x11n, 0x1en];

function machineAt(level: 0 | 1 | 2 | 3 = 1): ProcessorMachine {
  const machine = new ProcessorMachine();
  machine.enter(level, { pc: BigInt(RAM_BASE) });
  return machine;
}

describe("cycle counter", () => {
  it("counts nanoseconds while it is enabled", () => {
    const machine = machineAt();
    machine.set("PMCR_EL0", E | LC);
    machine.clock.advance(10);
    expect(machine.get("PMCCNTR_EL0")).toBe(0n);
    machine.set("PMCNTENSET_EL0", CYCLES);
    machine.clock.advance(10);
    machine.set("PMCNTENCLR_EL0", CYCLES);
    machine.clock.advance(10);
    expect(machine.get("PMCCNTR_EL0")).toBe(160n);
    machine.set("PMCR_EL0", E | LC | 4n);
    expect(machine.get("PMCCNTR_EL0")).toBe(0n);
  });

  it("overflows at 32 bits without LC, and interrupts", () => {
    const machine = machineAt();
    machine.set("PMCR_EL0", E);
    machine.set("PMCCNTR_EL0", 0xffff_fff0n);
    machine.set("PMINTENSET_EL1", CYCLES);
    machine.set("PMCNTENSET_EL0", CYCLES);
    expect(machine.lines.performanceMonitor).toBe(false);
    machine.clock.advance(2);
    expect(machine.lines.performanceMonitor).toBe(true);
    expect(machine.get("PMOVSCLR_EL0")).toBe(CYCLES);
    machine.set("PMOVSCLR_EL0", CYCLES);
    expect(machine.lines.performanceMonitor).toBe(false);
  });

  it("does not count at levels that its filter names", () => {
    const machine = machineAt();
    machine.set("PMCCFILTR_EL0", 1n << 31n);
    machine.set("PMCR_EL0", E | LC);
    machine.set("PMCNTENSET_EL0", CYCLES);
    machine.clock.advance(10);
    expect(machine.get("PMCCNTR_EL0")).toBe(0n);
  });
});

describe("event counters", () => {
  it("count instructions", () => {
    const machine = machineAt();
    machine.set("PMEVTYPER2_EL0", INST_RETIRED);
    machine.set("PMCR_EL0", E);
    machine.set("PMCNTENSET_EL0", 4n);
    for (let instruction = 0; instruction < 5; instruction++) machine.completeInstruction();
    expect(machine.get("PMEVCNTR2_EL0")).toBe(5n);
    machine.set("PMSELR_EL0", 2n);
    expect(machine.get("PMXEVCNTR_EL0")).toBe(5n);
    expect(machine.get("PMXEVTYPER_EL0")).toBe(INST_RETIRED);
  });

  it("chain in pairs", () => {
    const machine = machineAt();
    machine.set("PMEVTYPER0_EL0", CPU_CYCLES);
    machine.set("PMEVTYPER1_EL0", CHAIN);
    machine.set("PMEVCNTR0_EL0", 0xffff_ffffn);
    machine.set("PMCR_EL0", E);
    machine.set("PMCNTENSET_EL0", 3n);
    machine.clock.advance(1);
    expect(machine.get("PMEVCNTR0_EL0")).toBe(15n);
    expect(machine.get("PMEVCNTR1_EL0")).toBe(1n);
  });

  it("increment by software", () => {
    const machine = machineAt();
    machine.set("PMCR_EL0", E);
    machine.set("PMCNTENSET_EL0", 1n);
    machine.set("PMSWINC_EL0", 1n);
    machine.set("PMSWINC_EL0", 3n);
    expect(machine.get("PMEVCNTR0_EL0")).toBe(2n);
    expect(machine.get("PMEVCNTR1_EL0")).toBe(0n);
  });

  it("from MDCR_EL2.HPMN on are invisible at EL1", () => {
    const machine = new ProcessorMachine();
    machine.set("SCR_EL3", 0x501n);
    machine.set("MDCR_EL2", 2n);
    machine.enter(1);
    expect((machine.get("PMCR_EL0") >> 11n) & 31n).toBe(2n);
    machine.set("PMCNTENSET_EL0", 0xffff_ffffn);
    expect(machine.get("PMCNTENSET_EL0")).toBe(CYCLES | 3n);
  });
});

it("says which events it counts", () => {
  const machine = machineAt();
  expect(machine.get("PMCEID0_EL0")).toBe((1n << 0n) | (1n << 8n) | (1n << 17n) | (1n << 30n));
  expect(machine.get("PMCEID1_EL0")).toBe(0n);
});
