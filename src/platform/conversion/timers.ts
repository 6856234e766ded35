import type { GtdtInput, PlatformTimer, TimerFrame, TimerInterrupt } from "../acpi/gtdt.ts";
import { TIMER_INTERRUPT_NAMES } from "../timer-interrupts.ts";
import { type Conversion, Refusal } from "./context.ts";
import type { TreeNode } from "./tree-index.ts";

/** Timers of the processors, memory-mapped timers, and watchdogs: what each node's `compatible` may be. */
export const PROCESSOR_TIMERS: readonly string[] = ["arm,armv8-timer", "arm,armv7-timer"];
export const MAPPED_TIMERS: readonly string[] = ["arm,armv7-timer-mem"];
export const WATCHDOGS: readonly string[] = ["arm,sbsa-gwdt"];

type Wire = ReturnType<Conversion["interrupts"]["gicWires"]>[number];

/** GTDT's contents. A board without the architecture's timer cannot run ACPI systems. */
export function readTimers(conversion: Conversion): GtdtInput {
  const { index, account, interrupts } = conversion;
  const [timer] = index.compatibleWith(...PROCESSOR_TIMERS);
  if (timer === undefined)
    throw new Refusal("It has no arm,armv8-timer, without which there is no ACPI on Arm.");
  account.node(timer, "converted", "GTDT");
  account.properties(
    timer,
    ["compatible", "interrupts", "interrupts-extended", "always-on", "interrupt-names"],
    "converted",
    "GTDT",
  );
  account.properties(timer, ["interrupt-parent", "status"], "used", "GTDT");
  account.property(timer, "clock-frequency", "left-out", "CNTFRQ_EL0 says it");
  account.properties(
    timer,
    ["arm,no-tick-in-suspend", "allwinner,erratum-unknown1", "fsl,erratum-a008585"],
    "left-out",
    "GTDT has no place for it",
  );
  const wires = interrupts.gicWires(timer);
  const names = timer.strings("interrupt-names");
  const alwaysOn = timer.has("always-on");
  const named = TIMER_INTERRUPT_NAMES.map((name, position) => {
    const wire = names.length > 0 ? wires[names.indexOf(name)] : wires[position];
    return wire === undefined ? undefined : describe(wire, alwaysOn);
  });
  const [secureEl1, nonSecureEl1, virtualEl1, el2, virtualEl2] = named;
  if (nonSecureEl1 === undefined && virtualEl1 === undefined) {
    throw new Refusal(`Its timer ${timer.path} has no interrupt that reaches the interrupt controller.`);
  }
  const platformTimers = [...readMapped(conversion), ...readWatchdogs(conversion)];
  return { secureEl1, nonSecureEl1, virtualEl1, el2, virtualEl2, platformTimers };
}

function describe(wire: NonNullable<Wire>, alwaysOn: boolean): TimerInterrupt {
  return {
    id: wire.id,
    trigger: wire.signal.mode,
    polarity: wire.signal.polarity === "active-low" ? "low" : "high",
    alwaysOn,
  };
}

/** Frames that a table counts. */
const MOST_FRAMES = 8;

function readMapped({ index, account, addresses, interrupts }: Conversion): PlatformTimer[] {
  const timers: PlatformTimer[] = [];
  for (const node of index.compatibleWith(...MAPPED_TIMERS)) {
    account.node(node, "converted", "GTDT");
    account.properties(node, ["compatible", "reg", "ranges", "status"], "converted", "GTDT");
    account.property(node, "clock-frequency", "left-out", "CNTFRQ says it");
    const [control] = addresses.registers(node);
    const frames = node.children.map((child) => {
      account.node(
        child,
        child.enabled ? "converted" : "left-out",
        child.enabled ? "GTDT" : "it is disabled",
      );
      account.properties(child, ["reg", "frame-number", "interrupts"], "converted", "GTDT");
      account.property(child, "status", "used", "GTDT");
      if (!child.enabled) return undefined;
      return readFrame(child, addresses.registers(child), interrupts.gicWires(child));
    });
    const usable = frames.filter((frame) => frame !== undefined).slice(0, MOST_FRAMES);
    if (control !== undefined && usable.length > 0) {
      timers.push({ kind: "generic-timer", control: control.base, frames: usable });
    }
  }
  return timers;
}

function readFrame(
  node: TreeNode,
  registers: readonly { base: number }[],
  wires: readonly Wire[],
): TimerFrame | undefined {
  const [first, second] = registers;
  const [physical, virtual] = wires;
  if (first === undefined || physical === undefined) return undefined;
  return {
    number: (node.cell("frame-number") ?? 0) & 7,
    base: first.base,
    el0Base: second?.base,
    physical: describe(physical, false),
    virtual: virtual && describe(virtual, false),
  };
}

function readWatchdogs({ index, account, addresses, interrupts }: Conversion): PlatformTimer[] {
  const timers: PlatformTimer[] = [];
  for (const node of index.compatibleWith(...WATCHDOGS)) {
    account.node(node, "converted", "GTDT");
    account.properties(
      node,
      ["compatible", "reg", "interrupts", "interrupt-parent", "status"],
      "converted",
      "GTDT",
    );
    account.properties(node, ["timeout-sec", "clocks"], "left-out", "GTDT has no place for it");
    const [control, refresh] = addresses.registers(node);
    const [wire] = interrupts.gicWires(node);
    if (control === undefined || refresh === undefined || wire === undefined) {
      account.warn(node, "reg", "A watchdog needs two register frames and an interrupt.");
      continue;
    }
    timers.push({
      kind: "watchdog",
      control: control.base,
      refresh: refresh.base,
      interrupt: describe(wire, false),
    });
  }
  return timers;
}
