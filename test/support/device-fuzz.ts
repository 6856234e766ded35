import type { AccessWidth, MmioDevice } from "../../src/memory/mmio-device.ts";
import type { Random } from "./random.ts";

/** Accesses of a fuzz test, each device; more in the full test run. */
export const FUZZ_ACCESSES = process.env["ELVISOR_FULL"] ? 1_000_000 : 100_000;

/** Words that find edges: all zeros, all ones, single bits, small numbers, anything. */
export function edgeWord(random: Random): number {
  switch (random.below(5)) {
    case 0:
      return random.pick([0, 0xffff_ffff, 0x8000_0000, 0x7fff_ffff]);
    case 1:
      return (1 << random.below(32)) >>> 0;
    case 2:
      return random.below(256);
    default:
      return random.u32();
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
      const value = edgeWord(random);
      device.write(offset, width, width === 4 ? value : value & ((1 << (8 * width)) - 1), secure);
    }
  }
}
