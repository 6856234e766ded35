import type { Alias } from "./aliases.ts";

const list = (operands: readonly (string | undefined)[]): string => operands.join(", ");
const ELEMENT = /^v\d\d?\.[bhsd]\[\d+\]$/;
const WHOLE = /^v\d\d?\.(?:8|16)b$/;
const GENERAL = /^(?:[xw](?:\d\d?|zr))$/;
const SCALAR = /^[bhsd]\d\d?$/;

/** MOV between vector registers, elements and general registers: INS, DUP, UMOV, ORR. */
export function vectorMove([d, n]: readonly string[]): string | undefined {
  if (d === undefined || n === undefined) return undefined;
  if (ELEMENT.test(d) && (ELEMENT.test(n) || GENERAL.test(n))) return `ins ${d}, ${n}`;
  if (SCALAR.test(d) && ELEMENT.test(n)) return `dup ${d}, ${n}`;
  if (GENERAL.test(d) && ELEMENT.test(n)) return `umov ${d}, ${n}`;
  return WHOLE.test(d) && WHOLE.test(n) ? `orr ${list([d, n, n])}` : undefined;
}

/** MVN of a vector is NOT. */
export function vectorNot([d, n]: readonly string[]): string | undefined {
  return WHOLE.test(d ?? "") ? `not ${list([d, n])}` : undefined;
}

/** "uxtl v0.8h, v1.8b" is "ushll v0.8h, v1.8b, #0". */
const lengthen =
  (mnemonic: string): Alias =>
  ([d, n]) =>
    d === undefined || n === undefined ? undefined : `${mnemonic} ${list([d, n])}, #0`;

export const VECTOR_ALIASES: readonly (readonly [mnemonic: string, alias: Alias])[] = [
  ["uxtl", lengthen("ushll")],
  ["uxtl2", lengthen("ushll2")],
  ["sxtl", lengthen("sshll")],
  ["sxtl2", lengthen("sshll2")],
];
