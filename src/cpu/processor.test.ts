import { describe, expect, it } from "vitest";
import { ProcessorMachine, RAM_BASE } from "../../test/support/processor-machine.ts";
import { systemRegister } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { SLOT } from "./element-state.ts";

const VECTORS = BigInt(RAM_BASE + 0x1000);

function machineAt(el: 0 | 1 | 2 | 3) {
  const machine = new ProcessorMachine();
  machine.set("VBAR_EL1", VECTORS);
  machine.set("VBAR_EL2", VECTORS + 0x1000n);
  machine.set("VBAR_EL3", VECTORS + 0x2000n);
  machine.enter(el, { pc: BigInt(RAM_BASE) });
  return machine;
}

describe("exceptions", () => {
  it("takes SVC from EL0 to EL1 and returns behind it", () => {
    const { processor } = machineAt(0);
    const { state } = processor;
    state.nzcv = 0b1010;
    processor.execute("supervisorCall", 0x1234, 0, 0);
    expect(state.el).toBe(1);
    expect(state.pc).toBe(VECTORS + 0x400n);
    expect(state.read(SLOT.ESR_EL1)).toBe(0x5600_1234n);
    expect(state.read(SLOT.ELR_EL1)).toBe(BigInt(RAM_BASE) + 4n);
    expect(state.read(SLOT.SPSR_EL1)).toBe(0xa000_03c0n);
    processor.execute("exceptionReturn", 0, 0, 0);
    expect(state.el).toBe(0);
    expect(state.pc).toBe(BigInt(RAM_BASE) + 4n);
    expect(state.nzcv).toBe(0b1010);
  });

  it("routes SVC from EL0 to EL2 under HCR_EL2.TGE", () => {
    const machine = machineAt(2);
    machine.set("HCR_EL2", (1n << 27n) | (1n << 31n));
    machine.set("SPSR_EL2", 0x3c0n);
    machine.set("ELR_EL2", BigInt(RAM_BASE));
    const { processor } = machine;
    processor.execute("exceptionReturn", 0, 0, 0);
    expect(processor.state.el).toBe(0);
    processor.execute("supervisorCall", 1, 0, 0);
    expect(processor.state.el).toBe(2);
    expect(processor.state.pc).toBe(VECTORS + 0x1400n);
  });

  it("sets PSTATE.SSBS as SCTLR_ELx.DSSBS says and brings it back", () => {
    const DSSBS = 1n << 44n;
    const machine = machineAt(0);
    const { processor } = machine;
    const { state } = processor;
    state.write(SLOT.SCTLR_EL1, state.read(SLOT.SCTLR_EL1) | DSSBS);
    processor.execute("supervisorCall", 0, 0, 0);
    expect(machine.get("SSBS")).toBe(1n << 12n);
    expect(state.read(SLOT.SPSR_EL1)).toBe(0x3c0n);
    processor.execute("exceptionReturn", 0, 0, 0);
    expect(machine.get("SSBS")).toBe(0n);
    state.write(SLOT.SCTLR_EL1, state.read(SLOT.SCTLR_EL1) & ~DSSBS);
    processor.execute("writeProcessState", 3, 1, 1);
    processor.execute("supervisorCall", 0, 0, 0);
    expect(machine.get("SSBS")).toBe(0n);
    expect(state.read(SLOT.SPSR_EL1)).toBe(0x13c0n);
  });

  it("keeps the stack pointers apart", () => {
    const machine = machineAt(1);
    const { state } = machine.processor;
    state.setStackPointer(0, 0x100n);
    state.setStackPointer(1, 0x200n);
    expect(machine.get("SP_EL0")).toBe(0x100n);
    machine.processor.execute("writeProcessState", 0, 5, 0);
    expect(state.stackPointer(0)).toBe(0x100n);
    state.setStackPointer(0, 0x108n);
    machine.processor.execute("writeProcessState", 0, 5, 1);
    expect(state.stackPointer(1)).toBe(0x200n);
    expect(machine.get("SP_EL0")).toBe(0x108n);
  });

  it.each([
    ["AArch32", 0x10n],
    ["EL3 from EL1", 0xdn],
    ["reserved", 0x6n],
    ["EL0h", 0x1n],
  ])("makes a return to %s illegal", (_, spsr) => {
    const machine = machineAt(1);
    machine.set("SPSR_EL1", spsr);
    machine.set("ELR_EL1", 0x4000_0100n);
    const { processor } = machine;
    processor.execute("exceptionReturn", 0, 0, 0);
    expect(processor.state.el).toBe(1);
    expect(processor.state.word(PE_LAYOUT.IL)).toBe(1);
    expect(processor.state.word(PE_LAYOUT.ATTENTION)).not.toBe(0);
    processor.serviceAttention();
    expect(processor.state.read(SLOT.ESR_EL1) >> 26n).toBe(0x0en);
    expect(processor.state.read(SLOT.ELR_EL1)).toBe(0x4000_0100n);
    expect(processor.state.word(PE_LAYOUT.IL)).toBe(0);
  });
});

describe("system registers", () => {
  it("keeps only writable bits and shows RES1 bits", () => {
    const machine = machineAt(1);
    machine.set("SCTLR_EL1", 0n);
    expect(machine.get("SCTLR_EL1")).toBe(0x3040_0980n);
    machine.set("VBAR_EL1", 0xffff_0000_0000_0fffn);
    expect(machine.get("VBAR_EL1")).toBe(0xffff_0000_0000_0800n);
  });

  it("is UNDEFINED below its level", () => {
    const { processor } = machineAt(0);
    processor.execute("readSystemRegister", systemRegister("SCTLR_EL1").encoding, 0, 0);
    expect(processor.state.el).toBe(1);
    expect(processor.state.read(SLOT.ESR_EL1)).toBe(0x0200_0000n);
  });

  it("traps CNTVCT_EL0 at EL0 by CNTKCTL_EL1", () => {
    const { processor } = machineAt(0);
    processor.execute("readSystemRegister", systemRegister("CNTVCT_EL0").encoding, 5, 0);
    // Op0 3, Op2 2, Op1 3, CRn 14, Rt 5, CRm 0, read.
    const iss = (3n << 20n) | (2n << 17n) | (3n << 14n) | (14n << 10n) | (5n << 5n) | 1n;
    expect(processor.state.read(SLOT.ESR_EL1)).toBe((0x18n << 26n) | (1n << 25n) | iss);
  });

  it("redirects EL1 names at EL2 with E2H, and gives them back by EL12 names", () => {
    const machine = machineAt(2);
    machine.set("HCR_EL2", (1n << 34n) | (1n << 31n));
    machine.set("ELR_EL1", 0x1111n);
    machine.set("ELR_EL12", 0x2222n);
    expect(machine.get("ELR_EL2")).toBe(0x1111n);
    expect(machine.get("ELR_EL12")).toBe(0x2222n);
    expect(machine.processor.state.read(SLOT.ELR_EL1)).toBe(0x2222n);
  });
});

describe("timers", () => {
  it("raises the line when the count reaches the comparator", () => {
    const machine = machineAt(1);
    machine.set("CNTV_TVAL_EL0", 100n);
    machine.set("CNTV_CTL_EL0", 1n);
    machine.clock.advance(99);
    expect(machine.lines.virtual).toBe(false);
    machine.clock.advance(1);
    expect(machine.lines.virtual).toBe(true);
    expect(machine.get("CNTV_CTL_EL0")).toBe(5n);
    machine.set("CNTV_CTL_EL0", 3n);
    expect(machine.lines.virtual).toBe(false);
  });
});

describe("interrupts", () => {
  it("are taken when unmasked, to EL1", () => {
    const { processor } = machineAt(1);
    processor.setInterruptSignals({ irq: true, fiq: false, virq: false, vfiq: false });
    expect(processor.takeInterruptIfPending()).toBe(false);
    processor.execute("writeProcessState", 3, 7, 2);
    expect(processor.state.word(PE_LAYOUT.ATTENTION)).not.toBe(0);
    processor.serviceAttention();
    expect(processor.state.pc).toBe(VECTORS + 0x280n);
  });

  it("end WFI even when masked", () => {
    const { processor } = machineAt(1);
    processor.execute("waitForInterrupt", 0, 0, 0);
    expect(processor.sleeping).toBe(true);
    processor.setInterruptSignals({ irq: true, fiq: false, virq: false, vfiq: false });
    expect(processor.sleeping).toBe(false);
  });
});
