import { type Alarm, type Clock, COUNTER_FREQUENCY } from "../base/clock.ts";
import type { InterruptLine } from "../base/interrupt-line.ts";
import { numberField, numberFields, type StateField } from "../base/state-fields.ts";
import type { AccessWidth, MmioDevice } from "../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "./access-log.ts";
import { identificationRows, type Register, RegisterFile } from "./register-table.ts";

const SIZE = 0x1000;
/** Longest wait for one alarm, in seconds, so that counter values stay far below 2^53. */
const LONGEST_WAIT = 86_400;

/** What the registers act on; see {@link Pl031}. */
interface RealTimeClock {
  match: number;
  load: number;
  mask: number;
  raw: number;
  now(): number;
  setNow(value: number): void;
  arm(): void;
  update(): void;
}

/** Arm DDI 0224 (PL031), table 3-1. */
export const PL031_REGISTERS: readonly Register<RealTimeClock>[] = [
  { name: "RTCDR", offset: 0x00, read: (rtc) => rtc.now() },
  {
    name: "RTCMR",
    offset: 0x04,
    read: (rtc) => rtc.match,
    write: (rtc, value) => {
      rtc.match = value;
      rtc.arm();
    },
  },
  {
    name: "RTCLR",
    offset: 0x08,
    read: (rtc) => rtc.load,
    write: (rtc, value) => {
      rtc.load = value;
      rtc.setNow(value);
    },
  },
  // Once started the clock cannot be stopped, and it is started at power-on.
  { name: "RTCCR", offset: 0x0c, read: () => 1, write: () => {} },
  {
    name: "RTCIMSC",
    offset: 0x10,
    read: (rtc) => rtc.mask,
    write: (rtc, value) => {
      rtc.mask = value & 1;
      rtc.update();
    },
  },
  { name: "RTCRIS", offset: 0x14, read: (rtc) => rtc.raw },
  { name: "RTCMIS", offset: 0x18, read: (rtc) => rtc.raw & rtc.mask },
  {
    name: "RTCICR",
    offset: 0x1c,
    write: (rtc, value) => {
      rtc.raw &= ~value;
      rtc.update();
    },
  },
  ...identificationRows<RealTimeClock>(0xfe0, [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]),
];

/** Arm PrimeCell real-time clock (PL031): seconds since 1970, modulo 2^32, and one alarm. */
export class Pl031 implements MmioDevice, RealTimeClock {
  readonly name = "pl031";
  readonly size = SIZE;
  match = 0;
  load = 0;
  mask = 0;
  raw = 0;
  /** What a guest that set the clock added to wall time, in seconds. */
  #offset = 0;
  #alarm: Alarm | undefined;
  /** Ticks at which {@link Pl031.#alarm} rings; after a restore, -1 where there is none. */
  #alarmAt = -1;
  /** Wall seconds at which the alarm is due. */
  #due = 0;
  readonly #clock: Clock;
  readonly #line: InterruptLine;
  readonly #registers: RegisterFile<RealTimeClock>;

  constructor(options: { clock: Clock; line: InterruptLine; log?: AccessLog }) {
    this.#clock = options.clock;
    this.#line = options.line;
    this.#registers = new RegisterFile(this.name, PL031_REGISTERS, SIZE, options.log ?? SILENT_LOG);
  }

  read(offset: number, width: AccessWidth): number {
    return this.#registers.read(this, offset, width, false);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#registers.write(this, offset, width, value, false);
  }

  /** The time of day survives a reset, as with a battery. */
  reset(): void {
    this.match = 0;
    this.load = 0;
    this.mask = 0;
    this.raw = 0;
    this.#alarm?.cancel();
    this.#alarm = undefined;
    this.update();
  }

  stateFields(): readonly StateField[] {
    const registers = { match: 0xffff_ffff, load: 0xffff_ffff, mask: 1, raw: 1 };
    return [
      ...numberFields<keyof typeof registers>(this, registers),
      numberField(
        "offset",
        2 ** 31 - 1,
        () => this.#offset,
        (value) => {
          this.#offset = value;
        },
        -(2 ** 31),
      ),
      numberField(
        "due",
        2 ** 53 - 1,
        () => this.#due,
        (value) => {
          this.#due = value;
        },
      ),
      numberField(
        "alarm",
        2 ** 53 - 1,
        () => (this.#alarm === undefined ? -1 : this.#alarmAt),
        (value) => {
          this.#alarmAt = value;
        },
        -1,
      ),
    ];
  }

  stateRestored(): void {
    this.update();
    if (this.#alarmAt < 0) return;
    const wanted = this.#alarmAt;
    this.#wait();
    // The same tick as before, where the date goes on from where it was: then rounding alone makes a difference.
    if (this.#alarm === undefined || Math.abs(wanted - this.#alarmAt) > 1) return;
    this.#alarm.cancel();
    this.#schedule(wanted);
  }

  now(): number {
    return (Math.floor(this.#clock.wallSeconds()) + this.#offset) >>> 0;
  }

  setNow(value: number): void {
    this.#offset = (value - Math.floor(this.#clock.wallSeconds())) | 0;
    this.arm();
  }

  arm(): void {
    this.#alarm?.cancel();
    this.#alarm = undefined;
    const remaining = (this.match - this.now()) >>> 0;
    this.#due = Math.floor(this.#clock.wallSeconds()) + remaining;
    this.#wait();
  }

  update(): void {
    this.#line.set((this.raw & this.mask) !== 0);
  }

  #wait(): void {
    this.#alarm = undefined;
    const remaining = this.#due - this.#clock.wallSeconds();
    if (remaining <= 0) {
      this.raw = 1;
      this.update();
      return;
    }
    const ticks = Math.ceil(Math.min(remaining, LONGEST_WAIT) * (this.#clock.frequency ?? COUNTER_FREQUENCY));
    this.#schedule(this.#clock.ticks() + Math.max(ticks, 1));
  }

  #schedule(at: number): void {
    this.#alarmAt = at;
    this.#alarm = this.#clock.schedule(at, () => this.#wait());
  }
}
