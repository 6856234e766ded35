import { Bug } from "../../base/errors.ts";

/** ACPI 6.5, section 20.2.2: a name segment is four of these, padded with underscores. */
const SEGMENT = /^[A-Z_][A-Z0-9_]{0,3}$/;

const ROOT = 0x5c;
const PARENT = 0x5e;
const NULL_NAME = 0x00;
const DUAL_NAME = 0x2e;
const MULTI_NAME = 0x2f;

/**
 * A path as ASL writes it ("\\_SB.PCI0", "^GPI0", "_CRS", "\\") as AML has it (section 20.2.2). Segments shorter
 * than four characters are padded.
 */
export function encodeNamePath(path: string): Uint8Array {
  const [, prefix = "", rest = ""] = /^(\\|\^*)(.*)$/.exec(path) ?? [];
  const segments = rest === "" ? [] : rest.split(".");
  const bytes: number[] = [...prefix].map((character) => (character === "\\" ? ROOT : PARENT));
  if (segments.length === 0) bytes.push(NULL_NAME);
  else if (segments.length === 2) bytes.push(DUAL_NAME);
  else if (segments.length > 255) throw new Bug(`${path} has more than 255 names`);
  else if (segments.length > 2) bytes.push(MULTI_NAME, segments.length);
  for (const segment of segments) {
    if (!SEGMENT.test(segment)) throw new Bug(`"${segment}" in ${path} is no ACPI name`);
    for (const character of segment.padEnd(4, "_")) bytes.push(character.charCodeAt(0));
  }
  return Uint8Array.from(bytes);
}
