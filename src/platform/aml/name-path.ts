import { Bug } from "../../base/errors.ts";

/** ACPI 6.5, section 20.2.2: a name segment is four of these, padded with underscores. */
const SEGMENT = /^[A-Z_][A-Z0-9_]{0,3}$/;

/** What comes before no name, before one, and before two. */
const SHORT_PREFIXES = [[0x00], [], [0x2e]] as const;
const MULTI_NAME = 0x2f;
/** "_" */
const PADDING = 0x5f;

/**
 * A path as ASL writes it ("\\_SB.PCI0", "^GPI0", "_CRS", "\\") as AML has it (section 20.2.2). Segments shorter
 * than four characters are padded.
 */
export function encodeNamePath(path: string): Uint8Array {
  let start = 0;
  while (path[start] === "^" || (start === 0 && path[start] === "\\")) start++;
  const segments = start === path.length ? [] : path.slice(start).split(".");
  if (segments.length > 255) throw new Bug(`${path} has more than 255 names`);
  const prefix = segments.length > 2 ? [MULTI_NAME, segments.length] : SHORT_PREFIXES[segments.length]!;
  const bytes = new Uint8Array(start + prefix.length + 4 * segments.length);
  for (let at = 0; at < start; at++) bytes[at] = path.charCodeAt(at);
  bytes.set(prefix, start);
  let at = start + prefix.length;
  for (const segment of segments) {
    if (!SEGMENT.test(segment)) throw new Bug(`"${segment}" in ${path} is no ACPI name`);
    for (let index = 0; index < 4; index++) {
      bytes[at++] = index < segment.length ? segment.charCodeAt(index) : PADDING;
    }
  }
  return bytes;
}
