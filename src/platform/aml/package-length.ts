import { Bug } from "../../base/errors.ts";

/**
 * PkgLength (ACPI 6.5, section 20.2.4) of an object whose bytes after it are `contentLength` long. The
 * length counts itself: one byte holds up to 63; each of one to three more bytes holds eight bits above four.
 */
export function packageLength(contentLength: number): Uint8Array {
  if (contentLength + 1 < 1 << 6) return Uint8Array.of(contentLength + 1);
  for (let following = 1; following <= 3; following++) {
    const total = contentLength + 1 + following;
    if (total >= 1 << (4 + 8 * following)) continue;
    const bytes = [(following << 6) | (total & 0xf)];
    for (let index = 0; index < following; index++) bytes.push((total >>> (4 + 8 * index)) & 0xff);
    return Uint8Array.from(bytes);
  }
  throw new Bug(`an AML object of ${contentLength} bytes is longer than a PkgLength can say`);
}
