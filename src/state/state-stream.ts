import { concatenate } from "../base/bytes.ts";
import { Bug, UserError } from "../base/errors.ts";
import { ByteReader, ByteWriter, damaged } from "./bytes.ts";
import { decodePart, encodePart, mismatch, type StatePart } from "./part-codec.ts";

/** Version of the stream's form. What parts remember is compared by name, so it needs no version of its own. */
export const STATE_VERSION = 1;

/** Bytes of a piece of memory at most. */
export const PIECE = 1 << 20;
/** A record is a piece, or a part; the largest is what guests have left with their hypervisor. */
const LARGEST_RECORD = 1 << 28;

const RECORD = { DESCRIPTION: 1, CONTENTS: 2, PART: 3, END: 4 } as const;
/** Kind and length, u32 each. */
const HEADER = 8;

/** Memory or the like: large, and mostly nothing. */
export interface StateContents {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** All that is not as in a new machine, in pieces of at most {@link PIECE} bytes; valid until the next one. */
  pieces(): Iterable<{ readonly offset: number; readonly bytes: Uint8Array }>;
  write(offset: number, bytes: Uint8Array): void;
}

/** What must be the same in both machines, by the words that name it in a message. */
export type StateDescription = Readonly<Record<string, string | number | boolean>>;

/** A machine as a stream sees it. */
export interface StateSubject {
  readonly description: StateDescription;
  readonly contents: readonly StateContents[];
  readonly parts: readonly StatePart[];
}

/** The state stream of a machine that stands still (spec S5). */
export function* writeState(subject: StateSubject): Generator<Uint8Array> {
  const description = { ...subject.description, version: STATE_VERSION };
  yield record(RECORD.DESCRIPTION, new TextEncoder().encode(JSON.stringify(description)));
  for (const [index, contents] of subject.contents.entries()) {
    for (const { offset, bytes } of contents.pieces()) {
      const writer = new ByteWriter();
      writer.number(index);
      writer.number(offset);
      writer.bytes(bytes);
      yield record(RECORD.CONTENTS, writer.finish());
    }
  }
  for (const part of subject.parts) yield record(RECORD.PART, encodePart(part));
  yield record(RECORD.END, new Uint8Array(0));
}

/**
 * Takes a state stream and makes an empty machine what it describes. Parts are set only once all of it has come and
 * fits. A machine for which this threw must not run.
 */
export class StateRestorer {
  readonly #subject: StateSubject;
  #rest = new Uint8Array(0);
  #described = false;
  #ended = false;
  readonly #setters: (() => void)[] = [];
  #parts = 0;

  constructor(subject: StateSubject) {
    this.#subject = subject;
  }

  /** The next bytes, however they are cut. What is wrong with them is a UserError. */
  take(bytes: Uint8Array): void {
    const all = this.#rest.length === 0 ? bytes : concatenate(this.#rest, bytes);
    let at = 0;
    while (all.length - at >= HEADER) {
      const view = new DataView(all.buffer, all.byteOffset + at);
      const [kind, length] = [view.getUint32(0, true), view.getUint32(4, true)];
      if (this.#ended || length > LARGEST_RECORD) throw damaged();
      if (all.length - at < HEADER + length) break;
      this.#take(kind, all.subarray(at + HEADER, at + HEADER + length));
      at += HEADER + length;
    }
    this.#rest = all.slice(at);
  }

  /** All has come: the machine becomes what it was. */
  finish(): void {
    if (!this.#ended || this.#rest.length > 0) throw damaged();
    for (const set of this.#setters) set();
    for (const part of this.#subject.parts) part.stateRestored?.();
  }

  #take(kind: number, bytes: Uint8Array): void {
    if (this.#described !== (kind !== RECORD.DESCRIPTION)) throw damaged();
    switch (kind) {
      case RECORD.DESCRIPTION:
        this.#described = true;
        compare(readDescription(bytes), this.#subject.description);
        return;
      case RECORD.CONTENTS:
        this.#takeContents(new ByteReader(bytes));
        return;
      case RECORD.PART: {
        const part = this.#subject.parts[this.#parts++];
        if (part === undefined) throw mismatch("it has more parts");
        this.#setters.push(...decodePart(part, bytes));
        return;
      }
      case RECORD.END:
        if (this.#parts !== this.#subject.parts.length) throw mismatch("it has fewer parts");
        this.#ended = true;
        return;
      default:
        throw damaged();
    }
  }

  #takeContents(reader: ByteReader): void {
    const contents = this.#subject.contents[reader.number(0, this.#subject.contents.length - 1)];
    if (contents === undefined) throw new Bug("a number in range has no contents");
    const offset = reader.number(0, contents.size);
    const bytes = reader.bytes(Math.min(PIECE, contents.size - offset));
    reader.end();
    contents.write(offset, bytes);
  }
}

function record(kind: number, payload: Uint8Array): Uint8Array {
  const whole = new Uint8Array(HEADER + payload.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, kind, true);
  view.setUint32(4, payload.length, true);
  whole.set(payload, HEADER);
  return whole;
}

function readDescription(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw damaged();
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged();
  // Any object is a record of things unknown.
  return value as Record<string, unknown>;
}

function compare(there: Readonly<Record<string, unknown>>, here: StateDescription): void {
  if (there["version"] !== STATE_VERSION) {
    throw new UserError(
      `The snapshot's form is version ${String(there["version"])}, and this version of elvisor reads ${STATE_VERSION}; restore it with the version that took it.`,
    );
  }
  for (const [what, value] of Object.entries(here)) {
    if (there[what] !== value) throw mismatch(`${what} is ${String(there[what])} there and ${value} here`);
  }
}
