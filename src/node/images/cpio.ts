/** One entry of an archive for the kernel's initial file system. */
export type CpioEntry =
  | { readonly kind: "directory"; readonly path: string; readonly mode?: number }
  | { readonly kind: "file"; readonly path: string; readonly content: Uint8Array; readonly mode?: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | {
      readonly kind: "character-device";
      readonly path: string;
      readonly major: number;
      readonly minor: number;
    };

/** File types in a mode (POSIX, sys/stat.h). */
const TYPE = { directory: 0o040000, file: 0o100000, link: 0o120000, "character-device": 0o020000 } as const;
const DEFAULT_MODE = { directory: 0o755, file: 0o644, link: 0o777, "character-device": 0o600 } as const;

/** Length of the header: six signs of magic, thirteen fields of eight. */
const HEADER_SIZE = 110;
const TRAILER = "TRAILER!!!";

/**
 * An archive in the format "newc" (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 * Everything belongs to root and has the time 0, so equal entries give equal bytes.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [index, entry] of entries.entries()) {
    const content =
      entry.kind === "file"
        ? entry.content
        : entry.kind === "link"
          ? Buffer.from(entry.target)
          : new Uint8Array(0);
    const permissions = "mode" in entry && entry.mode !== undefined ? entry.mode : DEFAULT_MODE[entry.kind];
    const device = entry.kind === "character-device" ? entry : { major: 0, minor: 0 };
    pieces.push(
      header(entry.path, {
        inode: index + 1,
        mode: TYPE[entry.kind] | permissions,
        size: content.length,
        device,
      }),
      content,
      padding(content.length),
    );
  }
  pieces.push(header(TRAILER, { inode: 0, mode: 0, size: 0, device: { major: 0, minor: 0 } }));
  return Buffer.concat(pieces);
}

interface Attributes {
  readonly inode: number;
  readonly mode: number;
  readonly size: number;
  readonly device: { readonly major: number; readonly minor: number };
}

function header(path: string, { inode, mode, size, device }: Attributes): Uint8Array {
  const name = Buffer.from(`${path}\0`);
  const userAndGroup = [0, 0];
  const links = 1;
  const time = 0;
  const ownDevice = [0, 0];
  const checksum = 0;
  const fields = [inode, mode, ...userAndGroup, links, time, size, ...ownDevice];
  fields.push(device.major, device.minor, name.length, checksum);
  const text = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  return Buffer.concat([Buffer.from(text), name, padding(HEADER_SIZE + name.length)]);
}

/** Zeros up to the next multiple of four. */
function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
