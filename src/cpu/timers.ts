import type { Alarm, Clock } from "../base/clock.ts";
import { PRIVATE_INTERRUPT } from "../base/interrupt-ids.ts";
import type { InterruptLine } from "../base/interrupt-line.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

/** The timers of one processing element. */
export const TIMER_NAMES = ["physical", "virtual", "hypervisor", "hypervisorVirtual", "secure"] as const;
export type TimerName = (typeof TIMER_NAMES)[number];

/** Private peripheral interrupts on `virt`, as interrupt identifiers. */
export const TIMER_INTERRUPTS = {
  physical: PRIVATE_INTERRUPT.physicalTimer,
  virtual: PRIVATE_INTERRUPT.virtualTimer,
  hypervisor: PRIVATE_INTERRUPT.hypervisorTimer,
  hypervisorVirtual: PRIVATE_INTERRUPT.hypervisorVirtualTimer,
  secure: PRIVATE_INTERRUPT.securePhysicalTimer,
} as const satisfies Record<TimerName, number>;

interface TimerRegisters {
  readonly control: number;
  readonly compare: number;
  /** Its counter runs CNTVOFF_EL2 behind. */
  readonly isVirtual: boolean;
  /** Its counter is the one below EL2, at CNTSCALE_EL2's pace. */
  readonly isLower: boolean;
}

const LOWER = { isLower: true } as const;
const UPPER = { isLower: false, isVirtual: false } as const;

const TIMER_REGISTERS: Record<TimerName, TimerRegisters> = {
  physical: { control: SLOT.CNTP_CTL_EL0, compare: SLOT.CNTP_CVAL_EL0, ...LOWER, isVirtual: false },
  virtual: { control: SLOT.CNTV_CTL_EL0, compare: SLOT.CNTV_CVAL_EL0, ...LOWER, isVirtual: true },
  hypervisor: { control: SLOT.CNTHP_CTL_EL2, compare: SLOT.CNTHP_CVAL_EL2, ...UPPER },
  // Its counter is CNTVCT_EL0 as EL2 sees it: without an offset.
  hypervisorVirtual: { control: SLOT.CNTHV_CTL_EL2, compare: SLOT.CNTHV_CVAL_EL2, ...UPPER },
  secure: { control: SLOT.CNTPS_CTL_EL1, compare: SLOT.CNTPS_CVAL_EL1, ...UPPER },
};

const ENABLE = 0;
const IMASK = 1;
const ISTATUS = 4n;
const CONTROL_WRITABLE = 3n;
/** Counter values from here on never come. */
const NEVER = 2n ** 53n;

/** What all timers of an element share. */
interface TimerParts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly clock: Clock;
  readonly lowerClock: Clock;
}

/** One timer: a comparator on the system counter that drives a level-sensitive line (DDI 0487, D11.2.4). */
export class Timer {
  readonly #state: ElementState;
  readonly #privilege: Privilege;
  readonly #clock: Clock;
  readonly #line: InterruptLine;
  readonly #registers: TimerRegisters;
  #alarm: Alarm | undefined;

  constructor(name: TimerName, parts: TimerParts & { line: InterruptLine }) {
    this.#state = parts.state;
    this.#privilege = parts.privilege;
    this.#registers = TIMER_REGISTERS[name];
    this.#clock = this.#registers.isLower ? parts.lowerClock : parts.clock;
    this.#line = parts.line;
  }

  get #offset(): bigint {
    return this.#registers.isVirtual && this.#privilege.hasEl2 ? this.#state.read(SLOT.CNTVOFF_EL2) : 0n;
  }

  get #count(): bigint {
    return BigInt.asUintN(64, BigInt(this.#clock.ticks()) - this.#offset);
  }

  get #isMet(): boolean {
    return this.#count >= this.#state.read(this.#registers.compare);
  }

  /** CTL: ISTATUS shows the condition while the timer is enabled. */
  readControl(): bigint {
    const control = this.#state.read(this.#registers.control) & CONTROL_WRITABLE;
    return (control & 1n) !== 0n && this.#isMet ? control | ISTATUS : control;
  }

  writeControl(value: bigint): void {
    this.#state.write(this.#registers.control, value & CONTROL_WRITABLE);
    this.update();
  }

  readCompare(): bigint {
    return this.#state.read(this.#registers.compare);
  }

  writeCompare(value: bigint): void {
    this.#state.write(this.#registers.compare, value);
    this.update();
  }

  /** TVAL: signed 32 bits, relative to the present count. `offset` replaces the timer's own (see registers). */
  readValue(): bigint {
    return BigInt.asUintN(32, this.readCompare() - this.#count);
  }

  writeValue(value: bigint): void {
    this.writeCompare(BigInt.asUintN(64, this.#count + BigInt.asIntN(32, value)));
  }

  /** Sets the line and waits for the next change: after every write, and when the offset changes. */
  update(): void {
    this.#alarm?.cancel();
    this.#alarm = undefined;
    const { control } = this.#registers;
    const enabled = this.#state.bit(control, ENABLE) === 1;
    const met = enabled && this.#isMet;
    this.#line.set(met && this.#state.bit(control, IMASK) === 0);
    if (!enabled) return;
    // The condition ends when the 64-bit count wraps: soon only where CNTVOFF_EL2 is ahead of the counter.
    const next = met ? 1n << 64n : this.readCompare();
    const at = BigInt(this.#clock.ticks()) + (next - this.#count);
    if (at < NEVER) this.#alarm = this.#clock.schedule(Number(at), () => this.update());
  }

  reset(): void {
    this.#state.write(this.#registers.control, 0n);
    this.#state.write(this.#registers.compare, 0n);
    this.update();
  }
}

/** Every timer of an element, each with its line to the interrupt controller. */
export function makeTimers(
  parts: TimerParts,
  lines: Readonly<Record<TimerName, InterruptLine>>,
): Readonly<Record<TimerName, Timer>> {
  const timer = (name: TimerName) => new Timer(name, { ...parts, line: lines[name] });
  return {
    physical: timer("physical"),
    virtual: timer("virtual"),
    hypervisor: timer("hypervisor"),
    hypervisorVirtual: timer("hypervisorVirtual"),
    secure: timer("secure"),
  };
}
