import { describe, expect, test } from "vitest";
import { Random } from "../../test/support/random.ts";
import { UserError } from "../base/errors.ts";
import {
  arrayField,
  bytesField,
  choiceField,
  flagField,
  listField,
  nestedFields,
  numberField,
  numberFields,
  type StateField,
  u64Field,
} from "../base/state-fields.ts";
import type { StatePart } from "./part-codec.ts";
import { PIECE, StateRestorer, type StateSubject, writeState } from "./state-stream.ts";

const COLOURS = ["red", "green"] as const;

/** A part with a field of each kind. */
class Sample implements StatePart {
  readonly name = "sample";
  small = 7;
  below = -3;
  wide = 2n ** 64n - 2n;
  readonly words = Uint32Array.of(1, 2, 0xffff_ffff);
  list: readonly number[] = [1, 2, 255];
  bytes: Uint8Array = Uint8Array.of(9, 8);
  colour: (typeof COLOURS)[number] = "green";
  on = true;
  restored = 0;

  stateFields(): readonly StateField[] {
    return [
      ...numberFields<"small">(this, { small: 100 }),
      numberField(
        "below",
        5,
        () => this.below,
        (value) => {
          this.below = value;
        },
        -5,
      ),
      u64Field(
        "wide",
        () => this.wide,
        (value) => {
          this.wide = value;
        },
      ),
      ...nestedFields("inner", [arrayField("words", this.words)]),
      listField(
        "list",
        { longest: 4, most: 255 },
        () => this.list,
        (value) => {
          this.list = value;
        },
      ),
      bytesField(
        "bytes",
        3,
        () => this.bytes,
        (value) => {
          this.bytes = value;
        },
      ),
      choiceField(
        "colour",
        COLOURS,
        () => this.colour,
        (value) => {
          this.colour = value;
        },
      ),
      flagField(
        "on",
        () => this.on,
        (value) => {
          this.on = value;
        },
      ),
    ];
  }

  stateRestored(): void {
    this.restored++;
  }

  get values() {
    const { small, below, wide, words, list, bytes, colour, on } = this;
    return { small, below, wide, words: [...words], list, bytes: [...bytes], colour, on };
  }
}

const SIZE = 3 * PIECE;

function subject(sample: Sample, memory: Uint8Array, description = { "--cpus": 2 }): StateSubject {
  return {
    description,
    contents: [
      {
        name: "memory",
        size: memory.length,
        *pieces() {
          for (let at = 0; at < memory.length; at += PIECE) {
            const bytes = memory.subarray(at, at + PIECE);
            if (bytes.some((byte) => byte !== 0)) yield { offset: at, bytes };
          }
        },
        write: (offset, bytes) => memory.set(bytes, offset),
      },
    ],
    parts: [sample],
  };
}

function changed(): Sample {
  const sample = new Sample();
  Object.assign(sample, { small: 100, below: -5, wide: 5n, list: [], colour: "red", on: false });
  sample.words.set([7, 8, 9]);
  sample.bytes = Uint8Array.of(1, 2, 3);
  return sample;
}

function restore(stream: Uint8Array, into: StateSubject, cut: () => number = () => stream.length): void {
  const restorer = new StateRestorer(into);
  for (let at = 0; at < stream.length; ) {
    const length = Math.max(1, cut());
    restorer.take(stream.subarray(at, at + length));
    at += length;
  }
  restorer.finish();
}

describe("a state stream", () => {
  const memory = new Uint8Array(SIZE);
  memory[SIZE - 1] = 77;
  const stream = Buffer.concat([...writeState(subject(changed(), memory))]);

  test("brings back all that was kept, however it is cut", () => {
    const random = Random.ofThisRun();
    const sample = new Sample();
    const target = new Uint8Array(SIZE);
    restore(stream, subject(sample, target), () => random.below(300_000));
    expect(sample.values, `seed ${random.seed}`).toEqual(changed().values);
    expect(sample.restored).toBe(1);
    expect(Buffer.compare(target, memory)).toBe(0);
    // What is empty takes no room.
    expect(stream.length).toBeLessThan(PIECE + 2000);
  });

  test("fits no other machine, and says what differs", () => {
    const target = new Uint8Array(SIZE);
    expect(() => restore(stream, subject(new Sample(), target, { "--cpus": 4 }))).toThrow(
      /--cpus is 2 there and 4 here; give the options/,
    );
    const other = new Sample();
    const renamed = { ...subject(other, target), parts: [{ name: "other", stateFields: () => [] }] };
    expect(() => restore(stream, renamed)).toThrow(/it has "sample" where this machine has "other"/);
    const fewer = { name: "sample", stateFields: () => other.stateFields().slice(1) };
    expect(() => restore(stream, { ...subject(other, target), parts: [fewer] })).toThrow(
      /"sample" has 8 values there and 7 here/,
    );
    expect(() => restore(stream, { ...subject(other, target), parts: [] })).toThrow(/it has more parts/);
    expect(other.values).toEqual(new Sample().values);
  });

  test("of a later version is refused by its number", () => {
    const later = Buffer.from(stream.toString("latin1").replace('"version":1', '"version":9'), "latin1");
    expect(() => restore(later, subject(new Sample(), new Uint8Array(SIZE)))).toThrow(
      /form is version 9, and this version of elvisor reads 1; restore it with the version that took it/,
    );
  });

  test("that is cut short sets nothing", () => {
    const random = Random.ofThisRun();
    for (let trial = 0; trial < 40; trial++) {
      const sample = new Sample();
      const into = subject(sample, new Uint8Array(SIZE));
      const length = trial === 0 ? stream.length - 1 : random.below(stream.length);
      expect(() => restore(stream.subarray(0, length), into), `seed ${random.seed}`).toThrow(UserError);
      expect(sample.values).toEqual(new Sample().values);
      expect(sample.restored).toBe(0);
    }
  });

  test("in which bits are wrong is refused, or gives values that may be", () => {
    const random = Random.ofThisRun();
    const target = new Uint8Array(SIZE);
    // The memory's piece is nothing but bytes; all else is where damage could do harm.
    const small = Buffer.concat([...writeState(subject(changed(), new Uint8Array(PIECE)))]);
    for (let trial = 0; trial < 20_000; trial++) {
      const bytes = Buffer.from(small);
      for (let flips = 1 + random.below(3); flips > 0; flips--) {
        const at = random.below(bytes.length);
        bytes[at] = bytes[at]! ^ (1 << random.below(8));
      }
      const sample = new Sample();
      try {
        restore(bytes, subject(sample, target));
      } catch (error) {
        if (!(error instanceof UserError))
          throw new Error(`seed ${random.seed}, trial ${trial}`, { cause: error });
        expect(sample.values).toEqual(new Sample().values);
        continue;
      }
      const { small: number, below, list, bytes: few } = sample;
      expect(number >= 0 && number <= 100 && below >= -5 && below <= 5).toBe(true);
      expect(list.length <= 4 && few.length <= 3).toBe(true);
    }
  });
});
