import { findBytes } from "./kernel-image.ts";

/** A symbol of a kernel, as /proc/kallsyms shows it. */
export interface KernelSymbol {
  readonly address: bigint;
  /** One letter: "T" and "t" for code, "D", "B", "R" and others for data. */
  readonly type: string;
  readonly name: string;
}

/**
 * Where the parts of Linux's compressed symbol table (CONFIG_KALLSYMS) lie in an image, as offsets in its bytes. What
 * they hold is read off kernels of the 6 series: names are sequences of indices into 256 tokens, and addresses are
 * 32-bit distances from a base.
 */
export interface KallsymsLayout {
  readonly count: number;
  readonly names: number;
  readonly tokens: readonly string[];
  /** Array of u32. */
  readonly offsets: number;
  readonly base: bigint;
}

const TOKENS = 256;
/** A marker says where each so many-th name is. */
const MARKER_STEP = 256;
/** Bytes of the longest symbol's record. */
const LONGEST_RECORD = 514;
const FEWEST_SYMBOLS = 1000;
const MOST_SYMBOLS = 1_000_000;
/** Places that look like a table at first sight and are looked at closely; kernels have one or two. */
const MOST_TRIES = 32;
/** Letters of a name that are kept (Linux, KSYM_NAME_LEN). */
const LONGEST_NAME = 512;
/** The tokens of the digits, which every kernel has as they are. */
const DIGITS = new TextEncoder().encode("0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00");
const FIRST_DIGIT = "0".charCodeAt(0);
const FIRST_KERNEL_ADDRESS = 0xffff_0000_0000_0000n;

/** Finds the table in a kernel's memory; undefined where there is none. `image` starts 8-byte aligned. */
export function findKallsyms(image: Uint8Array): KallsymsLayout | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  let tries = 0;
  for (let at = findBytes(image, DIGITS); at >= 0; at = findBytes(image, DIGITS, at + 1)) {
    if (++tries > MOST_TRIES) return undefined;
    const found = layoutAround(image, view, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The symbol that an address is named by: of those nearest before it, or at it, the first in the table, as in the kernel
 * itself (get_symbol_pos in kernel/kallsyms.c), whose table puts weak aliases last. Undefined before the first symbol.
 */
export function symbolBefore(symbols: readonly KernelSymbol[], address: bigint): KernelSymbol | undefined {
  const after = firstFrom(symbols, address + 1n);
  const nearest = symbols[after - 1];
  return nearest && symbols[firstFrom(symbols, nearest.address)];
}

/** The index of the first symbol at or after an address; their number where there is none. */
function firstFrom(symbols: readonly KernelSymbol[], address: bigint): number {
  let [low, high] = [0, symbols.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (symbols[middle]!.address < address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** All symbols, in the order of their addresses. */
export function* kernelSymbols(image: Uint8Array, layout: KallsymsLayout): Generator<KernelSymbol> {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  let at = layout.names;
  for (let index = 0; index < layout.count; index++) {
    const record = recordAt(image, at);
    let text = "";
    for (let place = record.first; place < record.end && text.length < LONGEST_NAME; place++) {
      text += layout.tokens[image[place]!];
    }
    at = record.end;
    const address = layout.base + BigInt(view.getUint32(layout.offsets + index * 4, true));
    yield { address, type: text.slice(0, 1), name: text.slice(1) };
  }
}

/** The bytes of a name: a length, of two bytes where the first has bit 7, and token numbers. */
function recordAt(image: Uint8Array, at: number): { first: number; end: number } {
  const length = image[at] ?? 0;
  if (length < 0x80) return { first: at + 1, end: at + 1 + length };
  return { first: at + 2, end: at + 2 + ((length & 0x7f) | ((image[at + 1] ?? 0) << 7)) };
}

function layoutAround(image: Uint8Array, view: DataView, digits: number): KallsymsLayout | undefined {
  const table = tokenTable(image, view, digits);
  if (table === undefined) return undefined;
  for (const markers of markersBefore(view, table.start)) {
    const names = namesBefore(image, view, markers);
    if (names === undefined) continue;
    // Until Linux 6.3 the addresses stand before the names, since then after the tokens.
    const addresses =
      addressesAt(view, names.count, align(table.indexEnd)) ??
      addressesAt(view, names.count, names.start - 16 - align(4 * names.count));
    if (addresses === undefined) continue;
    return { count: names.count, names: names.start, tokens: table.tokens, ...addresses };
  }
  return undefined;
}

/** The 256 tokens around those of the digits, and the array of their 16-bit offsets that follows. */
function tokenTable(image: Uint8Array, view: DataView, digits: number) {
  let end = digits;
  for (let token = FIRST_DIGIT; token < TOKENS; token++) {
    const next = image.indexOf(0, end);
    if (next < 0 || next - end > 64) return undefined;
    end = next + 1;
  }
  const index = align(end);
  const indexEnd = index + TOKENS * 2;
  if (indexEnd > image.length) return undefined;
  const start = digits - view.getUint16(index + FIRST_DIGIT * 2, true);
  if (start < 0 || start % 8 !== 0) return undefined;
  const tokens: string[] = [];
  let at = start;
  for (let token = 0; token < TOKENS; token++) {
    if (view.getUint16(index + token * 2, true) !== at - start) return undefined;
    const next = image.indexOf(0, at);
    let text = "";
    for (; at < next; at++) text += String.fromCharCode(image[at]!);
    tokens.push(text);
    at = next + 1;
  }
  return { start, tokens, indexEnd };
}

interface Markers {
  readonly start: number;
  readonly values: readonly number[];
}

/**
 * Arrays of u32 before the tokens that may be the markers: increasing, the first is 0. Between them and the tokens
 * some kernels have three bytes for each symbol, the order of the names.
 */
function* markersBefore(view: DataView, end: number): Generator<Markers> {
  for (const bytesEach of [0, 3]) {
    let [last, lastLength] = [-1, 0];
    for (let count = FEWEST_SYMBOLS; count < MOST_SYMBOLS; count++) {
      const length = Math.ceil(count / MARKER_STEP);
      const start = end - align(bytesEach * count) - align(4 * length);
      if (start < 0) break;
      if (start === last && length === lastLength) continue;
      [last, lastLength] = [start, length];
      if (view.getUint32(start, true) !== 0) continue;
      const values = markersAt(view, start, length);
      if (values !== undefined) yield { start, values };
    }
  }
}

function markersAt(view: DataView, start: number, length: number): number[] | undefined {
  const values = [0];
  for (let index = 1; index < length; index++) {
    const value = view.getUint32(start + 4 * index, true);
    const step = value - values[index - 1]!;
    if (step < MARKER_STEP || step > MARKER_STEP * LONGEST_RECORD) return undefined;
    values.push(value);
  }
  return values;
}

/** The names end before their markers; their count stands before them, and each marker must fit. */
function namesBefore(image: Uint8Array, view: DataView, markers: Markers) {
  const { start: end, values } = markers;
  const most = values.length * MARKER_STEP;
  const latest = (end - values.at(-1)!) & ~7;
  const earliest = Math.max(8, latest - MARKER_STEP * LONGEST_RECORD);
  for (let start = latest; start >= earliest; start -= 8) {
    const count = view.getUint32(start - 8, true);
    if (count > most || count <= most - MARKER_STEP || view.getUint32(start - 4, true) !== 0) continue;
    if (count < FEWEST_SYMBOLS || count > MOST_SYMBOLS) continue;
    if (fits(image, start, count, markers)) return { start, count };
  }
  return undefined;
}

function fits(image: Uint8Array, start: number, count: number, markers: Markers): boolean {
  let at = start;
  for (let index = 0; index < count; index++) {
    if (index % MARKER_STEP === 0 && at - start !== markers.values[index / MARKER_STEP]) return false;
    at = recordAt(image, at).end;
    if (at > markers.start) return false;
  }
  return markers.start - at < 8;
}

/** Increasing distances, and after them the base, which is a kernel's address. */
function addressesAt(view: DataView, count: number, offsets: number) {
  const base = offsets + align(count * 4);
  if (offsets < 0 || base + 8 > view.byteLength) return undefined;
  const address = view.getBigUint64(base, true);
  if (address < FIRST_KERNEL_ADDRESS) return undefined;
  let last = 0;
  for (let index = 0; index < count; index++) {
    const offset = view.getUint32(offsets + index * 4, true);
    if (offset < last) return undefined;
    last = offset;
  }
  return { offsets, base: address };
}

function align(offset: number): number {
  return Math.ceil(offset / 8) * 8;
}
