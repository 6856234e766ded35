import { BLOCK_SIZE } from "./layout.ts";

/** A name in a directory. */
export interface DirectoryEntry {
  readonly name: string;
  readonly inode: number;
  /** The type in the entry (FILE_TYPE). */
  readonly type: number;
}

const ENTRY_HEADER = 8;

/** The blocks of a directory that holds `entries`, "." and ".." among them, at least `blocks` of them. */
export function encodeDirectory(entries: readonly DirectoryEntry[], blocks = 1): Uint8Array {
  const pieces: Uint8Array[] = [];
  let block = new Uint8Array(BLOCK_SIZE);
  let at = 0;
  let last = 0;
  const close = (): void => {
    // The last entry reaches to the end of its block; a block without any holds one that is not in use.
    new DataView(block.buffer).setUint16(last + 4, BLOCK_SIZE - last, true);
    pieces.push(block);
    block = new Uint8Array(BLOCK_SIZE);
    at = 0;
    last = 0;
  };
  for (const { name, inode, type } of entries) {
    const text = Buffer.from(name);
    const length = (ENTRY_HEADER + text.length + 3) & ~3;
    if (at + length > BLOCK_SIZE) close();
    const view = new DataView(block.buffer);
    view.setUint32(at, inode, true);
    view.setUint16(at + 4, length, true);
    view.setUint8(at + 6, text.length);
    view.setUint8(at + 7, type);
    block.set(text, at + ENTRY_HEADER);
    last = at;
    at += length;
  }
  close();
  while (pieces.length < blocks) close();
  return Buffer.concat(pieces);
}
