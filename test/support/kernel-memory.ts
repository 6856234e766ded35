import type { HalfDocument, RangeDocument } from "../../src/introspection/scan/scan-document.ts";

/** A line of /proc/vmallocinfo: addresses of the first byte and of that after the last, and pages that it has. */
export interface VmallocArea {
  readonly line: string;
  readonly first: bigint;
  readonly end: bigint;
  readonly pages: number;
}

export function vmallocArea(line: string): VmallocArea[] {
  const [, first, end, pages] = /^(0x[0-9a-f]+)-(0x[0-9a-f]+) .* pages=(\d+) /.exec(line) ?? [];
  if (first === undefined || end === undefined) return [];
  return [{ line, first: BigInt(first), end: BigInt(end), pages: Number(pages) }];
}

/** A program header of /proc/kcore; `physical` where it is one piece of memory. */
export interface CoreSegment {
  readonly first: bigint;
  readonly end: bigint;
  readonly physical: bigint | undefined;
}

/** All that are PT_LOAD. */
export function coreSegments(header: Buffer): CoreSegment[] {
  const begin = Number(header.readBigUInt64LE(32));
  return Array.from({ length: header.readUInt16LE(56) }, (_, index) => begin + index * 56)
    .filter((at) => header.readUInt32LE(at) === 1)
    .map((at) => {
      const [first, physical] = [header.readBigUInt64LE(at + 16), header.readBigUInt64LE(at + 24)];
      const end = first + header.readBigUInt64LE(at + 40);
      return { first, end, physical: physical >> 48n === 0n ? physical : undefined };
    });
}

/** What a scan found mapped. */
export class Mapped {
  readonly half: HalfDocument;

  constructor(half: HalfDocument) {
    this.half = half;
  }

  ranges(from: bigint, to: bigint): RangeDocument[] {
    return this.half.ranges.filter(({ start, end }) => BigInt(start) < to && BigInt(end) > from);
  }

  /** Bytes between two addresses that are mapped. */
  size(from: bigint, to: bigint): number {
    return this.ranges(from, to).reduce((sum, { start, end }) => {
      const first = BigInt(start) > from ? BigInt(start) : from;
      const last = BigInt(end) < to ? BigInt(end) : to;
      return sum + Number(last - first);
    }, 0);
  }
}
