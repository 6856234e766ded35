import { InvalidArgumentError } from "commander";
import { UserError } from "../../base/errors.ts";
import { parseTimeScale } from "../../base/time-scale.ts";
import type { GuestTimeChoice } from "../../machine/machine.ts";

const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** "512M" or "2G" (powers of 1024) as bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT])(?:i?B)?$/i.exec(text);
  const bytes = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!.toUpperCase()]!;
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new InvalidArgumentError("It must be a number with a unit, such as 512M or 2G.");
  }
  return bytes;
}

/** A whole number from 1 up. */
export function parseCount(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a whole number from 1 up.");
  return value;
}

/** Longest that a timer of the host can run, in seconds. */
const LONGEST_TIMER = 2_147_483;

/** A positive number of seconds. */
export function parseSeconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (!(value > 0 && value <= LONGEST_TIMER)) {
    throw new InvalidArgumentError(
      `It must be a number of seconds, more than 0 and at most ${LONGEST_TIMER}.`,
    );
  }
  return value;
}

/** A file and the address at which it goes into memory. */
export interface FilePlace {
  readonly path: string;
  readonly address: number;
}

/** "FILE@ADDRESS"; the address is the part after the last "@". */
export function parseFilePlace(text: string): FilePlace {
  const at = text.lastIndexOf("@");
  if (at < 1)
    throw new InvalidArgumentError("It must be a file and an address, such as tables.bin@0x48000000.");
  const address = parseAddress(text.slice(at + 1));
  if (address >= 1n << 48n) throw new InvalidArgumentError("Its address is beyond all memory.");
  return { path: text.slice(0, at), address: Number(address) };
}

/** An address: decimal, or hexadecimal after 0x. */
export function parseAddress(text: string): bigint {
  if (!/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text) || BigInt(text) >= 1n << 64n) {
    throw new InvalidArgumentError("It must be an address, such as 0x40080000.");
  }
  return BigInt(text);
}

/** The guest's pace at the start, such as "0.5x" or "2,trap". */
export function parseTime(text: string): GuestTimeChoice {
  const [, factor = "", path] = /^(.*?)(,trap)?$/s.exec(text) ?? [];
  const scale = parseTimeScale(factor);
  if (scale > 0) return { scale, path: path === undefined ? "scaled" : "trap" };
  throw new UserError(
    "A guest whose time stands still does not start; give a factor such as 0.5x, and stop its time later with: elvisor time NAME 0.",
    { exitStatus: 2 },
  );
}
