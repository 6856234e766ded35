import { ByteWriter } from "../../base/byte-writer.ts";
import { acpiTable, TABLE_HEADER_SIZE, type TableIdentity } from "./table.ts";

/** A timer's interrupt. */
export interface TimerInterrupt {
  /** INTID. */
  readonly id: number;
  readonly trigger: "level" | "edge";
  readonly polarity: "high" | "low";
  /** It also wakes an element from its deepest sleep. */
  readonly alwaysOn?: boolean;
  /** Secure: it belongs to the Secure world. Only for memory-mapped timers and watchdogs. */
  readonly secure?: boolean;
}

/** One frame of a memory-mapped generic timer. */
export interface TimerFrame {
  readonly number: number;
  readonly base: number;
  readonly el0Base?: number | undefined;
  readonly physical: TimerInterrupt;
  readonly virtual?: TimerInterrupt | undefined;
}

/** Timers outside of the processing elements. */
export type PlatformTimer =
  | { readonly kind: "generic-timer"; readonly control: number; readonly frames: readonly TimerFrame[] }
  | {
      readonly kind: "watchdog";
      readonly refresh: number;
      readonly control: number;
      readonly interrupt: TimerInterrupt;
    };

/** The generic timers of a machine (ACPI 6.4, section 5.2.24). */
export interface GtdtInput {
  readonly secureEl1?: TimerInterrupt | undefined;
  readonly nonSecureEl1?: TimerInterrupt | undefined;
  readonly virtualEl1?: TimerInterrupt | undefined;
  readonly el2?: TimerInterrupt | undefined;
  /** The virtual timer of EL2 (FEAT_VHE), which takes revision 3 of the table. */
  readonly virtualEl2?: TimerInterrupt | undefined;
  /** Physical addresses of CNTControlBase and CNTReadBase; most machines hide them. */
  readonly counterControl?: number | undefined;
  readonly counterRead?: number | undefined;
  readonly platformTimers?: readonly PlatformTimer[];
  readonly identity?: TableIdentity;
}

/** "There is no such frame." */
const ABSENT = 0xffff_ffff_ffff_ffffn;
const FLAG = { edge: 1 << 0, low: 1 << 1, alwaysOn: 1 << 2 } as const;
/** Flags of frames and watchdogs (tables 5.115 and 5.117). */
const FRAME = { secure: 1 << 0, alwaysOn: 1 << 1 } as const;
const WATCHDOG_SECURE = 1 << 2;

const BLOCK_HEADER = 20;
const FRAME_SIZE = 40;
const WATCHDOG_SIZE = 28;
/** Bytes of the body before the platform timers, without and with what revision 3 added. */
const FIXED = { 2: 60, 3: 68 } as const;

/** The Generic Timer Description Table: revision 2, or 3 where EL2 has a virtual timer. */
export function writeGtdt(input: GtdtInput): Uint8Array {
  const timers = input.platformTimers ?? [];
  const revision = input.virtualEl2 === undefined ? 2 : 3;
  const body = new ByteWriter().u64(input.counterControl ?? ABSENT).u32(0);
  for (const timer of [input.secureEl1, input.nonSecureEl1, input.virtualEl1, input.el2])
    writeInterrupt(body, timer);
  body
    .u64(input.counterRead ?? ABSENT)
    .u32(timers.length)
    .u32(timers.length === 0 ? 0 : TABLE_HEADER_SIZE + FIXED[revision]);
  if (revision === 3) writeInterrupt(body, input.virtualEl2);
  for (const timer of timers) writePlatformTimer(body, timer);
  return acpiTable("GTDT", revision, body.finish(), input.identity);
}

function writeInterrupt(body: ByteWriter, timer: TimerInterrupt | undefined): ByteWriter {
  const alwaysOn = timer?.alwaysOn === true ? FLAG.alwaysOn : 0;
  return body.u32(timer?.id ?? 0).u32(wireFlags(timer) | alwaysOn);
}

function wireFlags(timer: TimerInterrupt | undefined): number {
  return (timer?.trigger === "edge" ? FLAG.edge : 0) | (timer?.polarity === "low" ? FLAG.low : 0);
}

function writePlatformTimer(body: ByteWriter, timer: PlatformTimer): void {
  if (timer.kind === "watchdog") {
    const secure = timer.interrupt.secure === true ? WATCHDOG_SECURE : 0;
    body.u8(1).u16(WATCHDOG_SIZE).u8(0).u64(timer.refresh).u64(timer.control);
    body.u32(timer.interrupt.id).u32(wireFlags(timer.interrupt) | secure);
    return;
  }
  const { frames } = timer;
  body.u8(0).u16(BLOCK_HEADER + frames.length * FRAME_SIZE);
  body.u8(0).u64(timer.control).u32(frames.length).u32(BLOCK_HEADER);
  for (const frame of frames) {
    const { physical, virtual } = frame;
    const common =
      (physical.secure === true ? FRAME.secure : 0) | (physical.alwaysOn === true ? FRAME.alwaysOn : 0);
    body
      .u8(frame.number)
      .zeros(3)
      .u64(frame.base)
      .u64(frame.el0Base ?? ABSENT);
    body.u32(physical.id).u32(wireFlags(physical));
    body
      .u32(virtual?.id ?? 0)
      .u32(wireFlags(virtual))
      .u32(common);
  }
}
