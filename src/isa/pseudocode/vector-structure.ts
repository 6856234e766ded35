import type { Semantics, V128 } from "../semantics.ts";
import { range } from "./vector.ts";

/** One byte of several vectors. */
interface Pick {
  readonly source: number;
  readonly byte: number;
}

/** 16 bytes gathered from several vectors, one shuffle for each vector but the first. */
function gather(s: Semantics, sources: readonly V128[], picks: readonly Pick[]): V128 {
  const used = [...new Set(picks.map(({ source }) => source))].sort((a, b) => a - b);
  const [first = 0, second = first, ...others] = used;
  const start = picks.map(({ source, byte }) => (source === second && second !== first ? 16 + byte : byte));
  let result = s.shuffle(sources[first]!, sources[second]!, start);
  for (const other of others) {
    const lanes = picks.map(({ source, byte }, i) => (source === other ? 16 + byte : i));
    result = s.shuffle(result, sources[other]!, lanes);
  }
  return result;
}

/** Sizes of an interleaved structure access: elements of some bytes, one of each register in turn. */
export interface Interleaving {
  readonly elementBytes: number;
  readonly registers: number;
  /** 8 or 16 bytes of each register. */
  readonly registerBytes: number;
}

/** The registers of a structure that lies in memory as `chunks` of 16 bytes (LD2 to LD4). */
export function deinterleave(s: Semantics, by: Interleaving, chunks: readonly V128[]): V128[] {
  const { elementBytes, registers, registerBytes } = by;
  return range(registers).map((register) =>
    gather(
      s,
      chunks,
      range(16).map((i) => {
        const byte = i % registerBytes;
        const element = Math.floor(byte / elementBytes);
        const offset = (element * registers + register) * elementBytes + (byte % elementBytes);
        return { source: offset >> 4, byte: offset & 15 };
      }),
    ),
  );
}

/** The 16-byte chunks of memory that registers make, the last one perhaps half (ST2 to ST4). */
export function interleave(s: Semantics, by: Interleaving, values: readonly V128[]): V128[] {
  const { elementBytes, registers, registerBytes } = by;
  const total = registers * registerBytes;
  return range(Math.ceil(total / 16)).map((chunk) =>
    gather(
      s,
      values,
      range(16).map((i) => {
        const offset = (chunk * 16 + i) % total;
        const element = Math.floor(offset / elementBytes);
        const byte = Math.floor(element / registers) * elementBytes + (offset % elementBytes);
        return { source: element % registers, byte };
      }),
    ),
  );
}
