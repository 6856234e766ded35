import { describe, expect, it } from "vitest";
import { ProcessorMachine, RAM_BASE } from "../../test/support/processor-machine.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { SLOT } from "./element-state.ts";
import { EXCEPTION_CLASS } from "./syndrome.ts";

const START = BigInt(RAM_BASE);
const NO_SIGNALS = { irq: false, fiq: false, virq: false, vfiq: false };
const EVNTEN = 1n << 2n;
const EVNTDIR = 1n << 3n;
const interval = (bit: number): bigint => BigInt(bit) << 4n;
const E2H_TGE = (1n << 34n) | (1n << 27n);

function machineAt(el: 0 | 1 | 2 | 3): ProcessorMachine {
  const machine = new ProcessorMachine();
  machine.set("SCR_EL3", 0x531n);
  machine.set("SCTLR_EL1", 0x30d0_0980n | (1n << 16n) | (1n << 18n));
  machine.enter(el, { pc: START });
  // The ERET was an event.
  machine.processor.execute("waitForEvent", 0, 0, 0);
  expect(machine.processor.sleeping).toBe(false);
  return machine;
}

/** Executes WFE; whether it waits. */
function waits({ processor }: ProcessorMachine): boolean {
  processor.state.pc = START;
  processor.execute("waitForEvent", 0, 0, 0);
  return processor.sleeping;
}

describe("WFE", () => {
  it("waits until an event comes, which it consumes", () => {
    const machine = machineAt(1);
    const { processor } = machine;
    expect(waits(machine)).toBe(true);
    expect(processor.state.pc).toBe(START + 4n);
    processor.signalEvent();
    expect(processor.sleeping).toBe(false);
    expect(waits(machine)).toBe(true);
  });

  it("does not wait when an event came before, once", () => {
    const machine = machineAt(1);
    const { processor } = machine;
    for (const operation of ["sendEventLocal", "sendEvent"] as const) {
      processor.execute(operation, 0, 0, 0);
      processor.execute(operation, 0, 0, 0);
      expect(waits(machine)).toBe(false);
      expect(waits(machine)).toBe(true);
      processor.wake();
    }
  });

  it("goes on for an interrupt that is not masked, and for no other", () => {
    const machine = machineAt(1);
    const { processor } = machine;
    expect(waits(machine)).toBe(true);
    processor.setInterruptSignals({ ...NO_SIGNALS, irq: true });
    expect(processor.sleeping).toBe(true);
    processor.setInterruptSignals(NO_SIGNALS);
    processor.wake();
    processor.state.setWord(PE_LAYOUT.DAIF, 0);
    expect(waits(machine)).toBe(true);
    processor.setInterruptSignals({ ...NO_SIGNALS, irq: true });
    expect(processor.sleeping).toBe(false);
    expect(waits(machine)).toBe(false);
  });

  it("is trapped only when it would wait", () => {
    const machine = machineAt(0);
    const { processor } = machine;
    const { state } = processor;
    state.write(SLOT.SCTLR_EL1, state.read(SLOT.SCTLR_EL1) & ~(1n << 18n));
    processor.execute("sendEventLocal", 0, 0, 0);
    expect(waits(machine)).toBe(false);
    expect(state.el).toBe(0);
    expect(waits(machine)).toBe(false);
    expect(state.el).toBe(1);
    expect(Number(state.read(SLOT.ESR_EL1)) >>> 26).toBe(EXCEPTION_CLASS.WAIT);
  });
});

describe("a timer's event stream", () => {
  /** Ticks, out of the next `count`, at which a waiting WFE goes on. */
  function events(machine: ProcessorMachine, count: number): number[] {
    const found: number[] = [];
    for (let tick = 0; tick < count; tick++) {
      if (!machine.processor.sleeping && waits(machine)) {
        found.push(machine.clock.ticks());
      }
      machine.clock.advance(1);
    }
    // The first WFE waited because nothing had come yet.
    return found.slice(1);
  }

  it("sends an event when the chosen bit of the virtual counter becomes one", () => {
    const machine = machineAt(1);
    machine.set("CNTKCTL_EL1", EVNTEN | interval(3));
    expect(events(machine, 50)).toEqual([8, 24, 40]);
  });

  it("or zero", () => {
    const machine = machineAt(1);
    machine.set("CNTKCTL_EL1", EVNTEN | EVNTDIR | interval(3));
    expect(events(machine, 50)).toEqual([16, 32, 48]);
  });

  it("counts with CNTVOFF_EL2", () => {
    const machine = machineAt(2);
    machine.set("CNTVOFF_EL2", -3n & 0xffff_ffff_ffff_ffffn);
    machine.set("CNTKCTL_EL1", EVNTEN | interval(3));
    expect(events(machine, 50)).toEqual([5, 21, 37]);
  });

  it("comes from CNTHCTL_EL2 on the physical counter, and under a host at EL2 from nowhere else", () => {
    const machine = machineAt(2);
    machine.set("CNTVOFF_EL2", 5n);
    machine.set("CNTHCTL_EL2", EVNTEN | interval(4));
    machine.set("CNTKCTL_EL1", EVNTEN | interval(0));
    expect(events(machine, 6)).not.toEqual([]);
    machine.processor.wake();
    machine.set("HCR_EL2", E2H_TGE);
    // CNTKCTL_EL1 means CNTHCTL_EL2 here.
    expect(machine.get("CNTKCTL_EL1")).toBe(EVNTEN | interval(4));
    waits(machine);
    expect(events(machine, 60)).toEqual([48]);
  });

  it("is remembered while nobody waits, and when its setting changes", () => {
    const machine = machineAt(1);
    machine.set("CNTKCTL_EL1", EVNTEN | interval(3));
    machine.clock.advance(7);
    expect(waits(machine)).toBe(true);
    machine.processor.wake();
    machine.clock.advance(1);
    machine.set("CNTKCTL_EL1", 0n);
    machine.clock.advance(100);
    expect(waits(machine)).toBe(false);
    expect(waits(machine)).toBe(true);
  });
});
