import { concatenate } from "../../base/bytes.ts";
import { LONGEST_READ, type ReadingSpace } from "../../mmu/guest-reader.ts";
import type { ElementView, GuestView } from "./guest-view.ts";

/** The mapped memory around an element's exception vectors: a kernel's code and read-only data. */
export interface KernelImage {
  /** Virtual address of the first byte. */
  readonly base: bigint;
  readonly bytes: Uint8Array;
  readonly element: ElementView;
  readonly space: ReadingSpace;
}

const PAGE = 4096n;
/** Images are smaller. */
const MOST_BYTES = 128 << 20;
/** Linux begins its image at such a boundary; reading goes down from the vectors in these steps. */
const STEP = 1n << 16n;
const FIRST_KERNEL_ADDRESS = 0xff00_0000_0000_0000n;

/** Between read-only and writable data, Linux frees what only its start needed. */
const MOST_FREED = 32 << 20;

/** Of the first element that has a kernel; undefined while none runs with tables. */
export function findKernelImage(view: GuestView): KernelImage | undefined {
  const { reader, elements } = view;
  for (const element of elements) {
    const { vectors } = element;
    const space = element.space();
    if (vectors < FIRST_KERNEL_ADDRESS || !space.stage1.enabled) continue;
    let base = vectors & -PAGE;
    while (vectors - base < BigInt(MOST_BYTES)) {
      const before = (base - 1n) & -STEP;
      if (reader.read(space, before, Number(base - before)).fault !== undefined) break;
      base = before;
    }
    const bytes = readMapped(view, space, base);
    if (bytes.length > 0) return { base, bytes, element, space };
  }
  return undefined;
}

/** What is mapped from an address on, without a gap. */
export function readMapped({ reader }: GuestView, space: ReadingSpace, from: bigint): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < MOST_BYTES) {
    const { bytes, fault } = reader.read(space, from + BigInt(length), LONGEST_READ);
    pieces.push(bytes);
    length += bytes.length;
    if (fault !== undefined) break;
  }
  return concatenate(pieces);
}

/** The kernel's writable data: what is mapped next behind its image. */
export function readKernelData(view: GuestView, image: KernelImage): { base: bigint; bytes: Uint8Array } {
  const end = image.base + BigInt(image.bytes.length);
  for (let at = end; at - end < BigInt(MOST_FREED); at += PAGE) {
    if (view.reader.translate(image.space, at) === undefined) continue;
    return { base: at, bytes: readMapped(view, image.space, at) };
  }
  return { base: end, bytes: new Uint8Array(0) };
}

/** Place of a pattern in bytes from `from` on, or -1. */
export function findBytes(bytes: Uint8Array, pattern: Uint8Array, from = 0): number {
  const first = pattern[0]!;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let length = 1;
    while (length < pattern.length && bytes[at + length] === pattern[length]) length++;
    if (length === pattern.length) return at;
  }
  return -1;
}
