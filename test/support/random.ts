/** A seeded generator (Chris Doty-Humphrey's sfc32): equal seeds, equal sequences. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  readonly seed: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#a = this.seed;
    this.#b = 0x9e3779b9;
    this.#c = 0x243f6a88;
    for (let round = 0; round < 16; round++) this.u32();
  }

  /** A new sequence each run; ELVISOR_SEED repeats the one of a seed that a test has printed. */
  static ofThisRun(): Random {
    return new Random(Number(process.env["ELVISOR_SEED"] ?? Date.now()));
  }

  u32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    return result >>> 0;
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.u32() / 2 ** 32) * limit);
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}
