import { expect, it } from "vitest";
import { ProcessorMachine } from "../../test/support/processor-machine.ts";
import type { TimerName } from "./timers.ts";

const REGISTERS = {
  physical: ["CNTP_CTL_EL0", "CNTP_CVAL_EL0"],
  virtual: ["CNTV_CTL_EL0", "CNTV_CVAL_EL0"],
  hypervisor: ["CNTHP_CTL_EL2", "CNTHP_CVAL_EL2"],
  hypervisorVirtual: ["CNTHV_CTL_EL2", "CNTHV_CVAL_EL2"],
  secure: ["CNTPS_CTL_EL1", "CNTPS_CVAL_EL1"],
} as const satisfies Record<TimerName, readonly [string, string]>;
const NAMES = ["physical", "virtual", "hypervisor", "hypervisorVirtual", "secure"] as const;

const ENABLE = 1n;
const IMASK = 2n;
const ISTATUS = 4n;

it.each(NAMES)("the %s timer drives its line, and no other, at its time", (name) => {
  const machine = new ProcessorMachine();
  machine.clock.advance(50);
  machine.set("CNTVOFF_EL2", 30n);
  const [control, compare] = REGISTERS[name];
  machine.set(compare, 100n);
  machine.set(control, ENABLE);
  const high = (): string[] => NAMES.filter((line) => machine.lines[line]);
  const due = name === "virtual" ? 130 : 100;
  machine.clock.advance(due - 51);
  expect(high()).toEqual([]);
  expect(machine.get(control)).toBe(ENABLE);
  machine.clock.advance(1);
  expect(high()).toEqual([name]);
  expect(machine.get(control)).toBe(ENABLE | ISTATUS);
  machine.set(control, ENABLE | IMASK);
  expect(high()).toEqual([]);
  expect(machine.get(control)).toBe(ENABLE | IMASK | ISTATUS);
  machine.set(control, ENABLE);
  expect(high()).toEqual([name]);
  machine.set(control, 0n);
  expect(high()).toEqual([]);
  expect(machine.get(control)).toBe(0n);
});

it("a compare value that the virtual counter never reaches is waited for by nobody", () => {
  const machine = new ProcessorMachine();
  machine.clock.advance(20);
  machine.set("CNTVOFF_EL2", 10n);
  machine.set("CNTV_CVAL_EL0", -5n & 0xffff_ffff_ffff_ffffn);
  machine.set("CNTV_CTL_EL0", ENABLE);
  machine.clock.advance(1);
  expect([machine.lines.virtual, machine.get("CNTV_CTL_EL0")]).toEqual([false, ENABLE]);
});
