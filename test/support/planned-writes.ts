import { Random } from "./random.ts";

/** One write of a long series. */
export interface PlannedWrite {
  /** From 1 on. */
  readonly sequence: number;
  readonly first: number;
  readonly count: number;
  /** Make everything so far durable after it. */
  readonly flush: boolean;
}

/** Writes that are under way at once are in different parts of the disk. */
const PARTS = 4;

/** An endless series, the same for the same seed. */
export function* plannedWrites(seed: number, sectors: number): Generator<PlannedWrite> {
  const random = new Random(seed);
  const part = Math.floor(sectors / PARTS);
  let unflushed = 0;
  for (let sequence = 1; ; sequence++) {
    const count = 1 + random.below(random.below(6) === 0 ? 300 : 16);
    const first = (sequence % PARTS) * part + random.below(part - count);
    const flush = ++unflushed === PARTS || random.below(3) === 0;
    if (flush) unflushed = 0;
    yield { sequence, first, count, flush };
  }
}

/** What a write puts into a sector: both numbers, and a pattern of them. */
export function sectorContent(sector: number, sequence: number): Uint8Array {
  const bytes = new Uint8Array(512).fill((sector * 31 + sequence * 17) & 0xff);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, sector, true);
  view.setUint32(4, sequence, true);
  return bytes;
}

const ZEROS = new Uint8Array(512);

/** The sequence number of a sector's content; 0 for zeros, undefined where it is neither. */
export function sequenceOf(content: Uint8Array, sector: number): number | undefined {
  if (Buffer.compare(content, ZEROS) === 0) return 0;
  const view = new DataView(content.buffer, content.byteOffset, 8);
  const sequence = view.getUint32(4, true);
  return Buffer.compare(content, sectorContent(sector, sequence)) === 0 ? sequence : undefined;
}
