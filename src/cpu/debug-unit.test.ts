import { describe, expect, it } from "vitest";
import { ProcessorMachine, RAM_BASE } from "../../test/support/processor-machine.ts";
import { SLOT } from "./element-state.ts";

const SS = 1n << 0n;
const KDE = 1n << 13n;
const MDE = 1n << 15n;
const TX_FULL = 1n << 29n;
const RX_FULL = 1n << 30n;
const EC = 26n;

function unlocked(level: 1 | 2 | 3 = 1, hooks = {}) {
  const machine = new ProcessorMachine({ secure: true, virtualization: true }, hooks);
  machine.set("OSLAR_EL1", 0n);
  machine.enter(level, { pc: BigInt(RAM_BASE) });
  return machine;
}

describe("OS lock", () => {
  it("is set after reset, shows in OSLSR_EL1 and silences breakpoints", () => {
    const machine = new ProcessorMachine();
    machine.enter(1, { pc: BigInt(RAM_BASE) });
    expect(machine.get("OSLSR_EL1")).toBe(0xan);
    machine.set("MDSCR_EL1", MDE | KDE);
    machine.processor.execute("writeProcessState", 3, 7, 8);
    machine.processor.state.write(SLOT["DBGBCR0_EL1"]!, 0x1e5n);
    machine.set("DBGBVR0_EL1", BigInt(RAM_BASE));
    expect(machine.processor.needsCarefulMode).toBe(false);
    machine.set("OSLAR_EL1", 0n);
    expect(machine.get("OSLSR_EL1")).toBe(0x8n);
    expect(machine.processor.needsCarefulMode).toBe(true);
  });

  it("opens the save and restore bits of MDSCR_EL1", () => {
    const machine = unlocked();
    machine.set("MDSCR_EL1", TX_FULL | MDE);
    expect(machine.get("MDSCR_EL1")).toBe(MDE);
    machine.set("OSLAR_EL1", 1n);
    machine.set("MDSCR_EL1", TX_FULL | MDE);
    expect(machine.get("MDSCR_EL1")).toBe(TX_FULL | MDE);
  });
});

describe("debug communication channel", () => {
  it("keeps a word that nobody takes", () => {
    const machine = unlocked();
    expect(machine.get("MDCCSR_EL0")).toBe(0n);
    machine.set("DBGDTRRX_EL0", 0x1_2345_6789n);
    expect(machine.get("MDCCSR_EL0")).toBe(TX_FULL);
    expect(machine.get("OSDTRTX_EL1")).toBe(0x2345_6789n);
  });

  it("hands words to a listener", () => {
    const heard: number[] = [];
    const machine = unlocked(1, { debugTransmit: (value: number) => heard.push(value) > 0 });
    machine.set("DBGDTRRX_EL0", 7n);
    expect(heard).toEqual([7]);
    expect(machine.get("MDCCSR_EL0")).toBe(0n);
  });

  it("gives the received word once", () => {
    const machine = unlocked();
    machine.set("OSLAR_EL1", 1n);
    machine.set("OSDTRRX_EL1", 0x55n);
    machine.set("MDSCR_EL1", RX_FULL);
    machine.set("OSLAR_EL1", 0n);
    expect(machine.get("MDCCSR_EL0")).toBe(RX_FULL);
    expect(machine.get("DBGDTRRX_EL0")).toBe(0x55n);
    expect(machine.get("MDCCSR_EL0")).toBe(0n);
  });
});

describe("claim tags", () => {
  it("are set by one name and cleared by the other", () => {
    const machine = unlocked();
    machine.set("DBGCLAIMSET_EL1", 0x0fn);
    machine.set("DBGCLAIMCLR_EL1", 0x05n);
    expect(machine.get("DBGCLAIMCLR_EL1")).toBe(0x0an);
    expect(machine.get("DBGCLAIMSET_EL1")).toBe(0xffn);
  });
});

describe("breakpoints", () => {
  const enabled = (machine: ProcessorMachine, control: bigint) => {
    machine.set("DBGBVR0_EL1", BigInt(RAM_BASE));
    machine.set("DBGBCR0_EL1", control);
    machine.set("MDSCR_EL1", MDE | KDE);
    machine.processor.execute("writeProcessState", 3, 7, 8);
  };

  it("stop before the instruction they name", () => {
    const machine = unlocked();
    const { processor } = machine;
    enabled(machine, 0x1e3n);
    processor.state.pc = BigInt(RAM_BASE) + 4n;
    expect(processor.beforeInstruction()).toBe(false);
    processor.state.pc = BigInt(RAM_BASE);
    expect(processor.beforeInstruction()).toBe(true);
    expect(processor.state.read(SLOT.ESR_EL1) >> EC).toBe(0x31n);
    expect(processor.state.read(SLOT.ELR_EL1)).toBe(BigInt(RAM_BASE));
  });

  it("link to a context", () => {
    const machine = unlocked();
    const { processor } = machine;
    machine.set("CONTEXTIDR_EL1", 42n);
    machine.set("DBGBVR4_EL1", 41n);
    // Linked context match (BT 3) in breakpoint 4; breakpoint 0 links to it (BT 1, LBN 4).
    machine.set("DBGBCR4_EL1", 0x30_01e3n);
    enabled(machine, 0x14_01e3n);
    processor.state.pc = BigInt(RAM_BASE);
    expect(processor.beforeInstruction()).toBe(false);
    machine.set("DBGBVR4_EL1", 42n);
    expect(processor.beforeInstruction()).toBe(true);
  });

  it("do not interrupt with PSTATE.D set at the level they go to", () => {
    const machine = unlocked();
    enabled(machine, 0x1e3n);
    expect(machine.processor.needsCarefulMode).toBe(true);
    machine.processor.execute("writeProcessState", 3, 6, 8);
    expect(machine.processor.needsCarefulMode).toBe(false);
  });
});

describe("watchpoints", () => {
  it.each([
    ["the byte itself", 0x1e3fn & ~0x1e00n, 0n, 1, true],
    ["a neighbour", 0x003fn, 1n, 1, false],
    ["a pair around it", 0x003fn, -8n, 16, true],
  ])("match %s", (_, control, offset, size, expected) => {
    const machine = unlocked();
    const address = BigInt(RAM_BASE + 0x1000);
    machine.set("DBGWVR0_EL1", address);
    machine.set("DBGWCR0_EL1", control);
    machine.set("MDSCR_EL1", MDE | KDE);
    machine.processor.execute("writeProcessState", 3, 7, 8);
    expect(machine.processor.mmu.context.slowOnly).toBe(true);
    expect(machine.processor.debug.watchpointMatches(address + offset, size, false, true)).toBe(expected);
  });

  it("match a masked range", () => {
    const machine = unlocked();
    machine.set("DBGWVR0_EL1", 0x1_0000n);
    // MASK 12: 4 KiB.
    machine.set("DBGWCR0_EL1", 0x0c00_1ffbn);
    const { debug } = machine.processor;
    expect(debug.watchpointMatches(0x1_0ffcn, 4, true, false)).toBe(true);
    expect(debug.watchpointMatches(0x1_1000n, 4, true, false)).toBe(false);
    expect(debug.watchpointMatches(0xfffcn, 4, true, false)).toBe(false);
  });
});

describe("software step", () => {
  it("lets one instruction through and then stops, without mistaking a second question for a second one", () => {
    const machine = unlocked(2);
    machine.set("MDSCR_EL1", SS | KDE);
    machine.set("SPSR_EL2", (1n << 21n) | 5n);
    machine.set("ELR_EL2", BigInt(RAM_BASE));
    const { processor } = machine;
    processor.execute("exceptionReturn", 0, 0, 0);
    expect(processor.needsCarefulMode).toBe(true);
    expect(processor.beforeInstruction()).toBe(false);
    expect(processor.beforeInstruction()).toBe(false);
    machine.completeInstruction();
    expect(processor.beforeInstruction()).toBe(true);
    // ISV and the debug status.
    expect(processor.state.read(SLOT.ESR_EL1)).toBe((0x33n << EC) | (1n << 25n) | (1n << 24n) | 0x22n);
    expect(processor.state.read(SLOT.ELR_EL1)).toBe(BigInt(RAM_BASE) + 4n);
  });
});
