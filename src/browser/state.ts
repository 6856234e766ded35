import { assertNever } from "../base/errors.ts";
import type { ExitReason } from "../machine/virtual-machine-interface.ts";

/** What the page shows of a machine. */
export type MachineState =
  | { readonly kind: "loading"; readonly name: string; readonly received: number; readonly size: number }
  | { readonly kind: "running"; readonly speed: Speed | undefined }
  | { readonly kind: "ended"; readonly reason: ExitReason };

/** How fast a machine ran lately. */
export interface Speed {
  /** Million instructions per second of the user's time. */
  readonly mips: number;
  /** Instructions since the start. */
  readonly instructions: number;
}

/** Below this a guest does little more than keep its clock. */
const IDLE_MIPS = 2;
const MEBIBYTE = 2 ** 20;

/** One line about a machine. */
export function describeState(state: MachineState): string {
  switch (state.kind) {
    case "loading":
      return `Loading ${state.name}: ${mebibytes(state.received)} of ${mebibytes(state.size)} MiB`;
    case "running":
      return state.speed === undefined ? "Starting" : describeSpeed(state.speed);
    case "ended":
      return "Off";
    default:
      return assertNever(state, "the state of a machine");
  }
}

function describeSpeed({ mips, instructions }: Speed): string {
  const activity = mips < IDLE_MIPS ? "Idle" : "Running";
  return `${activity} · ${mips.toFixed(mips < 10 ? 1 : 0)} MIPS · ${(instructions / 1e9).toFixed(2)} billion instructions`;
}

function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(1);
}

/** A sentence about the end of a machine. */
export function describeEnd(reason: ExitReason): string {
  switch (reason.kind) {
    case "power-off":
      return "The guest has switched the machine off.";
    case "reboot":
      return "The guest wants to start again.";
    case "stopped":
      return "The machine was stopped.";
    case "failed":
      return reason.sentence;
    default:
      return assertNever(reason, "the reason for an end");
  }
}

/** The speed between two points of a machine's life. */
export class SpeedGauge {
  #last = { milliseconds: 0, instructions: 0 };

  next(milliseconds: number, instructions: number): Speed {
    const elapsed = milliseconds - this.#last.milliseconds;
    const mips = elapsed <= 0 ? 0 : (instructions - this.#last.instructions) / elapsed / 1000;
    this.#last = { milliseconds, instructions };
    return { mips, instructions };
  }
}
