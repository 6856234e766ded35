import type { AccessWidth, MmioDevice } from "../../src/memory/mmio-device.ts";

/** Accesses of a fuzz test. The full test run raises it through ELVISOR_FUZZ to 10^6. */
export const FUZZ_ACCESSES = Number(process.env["ELVISOR_FUZZ"] ?? 100_000);

/** A small reproducible generator (xorshift); tests print its seed. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = Math.floor(Math.random() * 0x7fff_ffff) + 1) {
    this.seed = seed;
    this.#state = seed;
  }

  /** An unsigned 32-bit number. */
  word(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** A number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.word() % limit;
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!;
  }

  /** Words that find edges: all zeros, all ones, single bits, small numbers, anything. */
  edge(): number {
    switch (this.below(5)) {
      case 0:
        return this.pick([0, 0xffff_ffff, 0x8000_0000, 0x7fff_ffff]);
      case 1:
        return (1 << this.below(32)) >>> 0;
      case 2:
        return this.below(256);
      default:
        return this.word();
    }
  }
}

/** Random accesses of every width, aligned, anywhere in the device; checks the range of what is read. */
export function fuzzDevice(device: MmioDevice, random: Random, accesses = FUZZ_ACCESSES): void {
  for (let i = 0; i < accesses; i++) {
    const width = random.pick<AccessWidth>([1, 2, 4]);
    // Half of the accesses go to the first kilobyte, where most registers are.
    const limit = random.below(2) === 0 ? device.size : Math.min(device.size, 1024);
    const offset = random.below(limit / width) * width;
    const secure = random.below(2) === 0;
    if (random.below(2) === 0) {
      const value = device.read(offset, width, secure);
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * width))
        throw new Error(`${device.name}: read of ${offset} (${width} bytes) gave ${value}`);
    } else {
      const value = random.edge();
      device.write(offset, width, width === 4 ? value : value & ((1 << (8 * width)) - 1), secure);
    }
  }
}
