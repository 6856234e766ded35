import { hex } from "../base/bits.ts";
import type { Clock } from "../base/clock.ts";

/** Where devices report accesses that no register answers, and other guest mistakes. Never throws. */
export interface AccessLog {
  /** `what` is a short description without the device's name, such as "read of unknown offset 0x123". */
  report(device: string, what: string): void;
}

/** Drops every report. */
export const SILENT_LOG: AccessLog = { report() {} };

/**
 * Counts reports per device and passes on at most `perSecond` of them each second of machine time, so that a
 * guest that probes or loops cannot flood its host.
 */
export class RateLimitedLog implements AccessLog {
  readonly #counts = new Map<string, number>();
  readonly #clock: Clock;
  readonly #sink: (sentence: string) => void;
  readonly #perSecond: number;
  #second = -1;
  #inSecond = 0;
  #dropped = 0;

  constructor(clock: Clock, sink: (sentence: string) => void, perSecond = 10) {
    this.#clock = clock;
    this.#sink = sink;
    this.#perSecond = perSecond;
  }

  /** Reports so far, by device name. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  report(device: string, what: string): void {
    this.#counts.set(device, (this.#counts.get(device) ?? 0) + 1);
    const second = Math.floor(this.#clock.nanoseconds() / 1e9);
    if (second !== this.#second) {
      if (this.#dropped > 0) this.#sink(`${this.#dropped} more device reports were dropped.`);
      this.#second = second;
      this.#inSecond = 0;
      this.#dropped = 0;
    }
    if (this.#inSecond >= this.#perSecond) {
      this.#dropped++;
      return;
    }
    this.#inSecond++;
    this.#sink(`${device}: ${what}.`);
  }
}

/** The wording of a report about an access that no register answers. */
export function unknownAccess(kind: "read" | "write", offset: number, width: number): string {
  return `${width}-byte ${kind} ${kind === "read" ? "of" : "to"} unknown offset ${hex(offset)}`;
}
