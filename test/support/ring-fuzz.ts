import type { VirtioDevice } from "../../src/devices/virtio/device.ts";
import { edgeWord, FUZZ_ACCESSES, fuzzDevice } from "./device-fuzz.ts";
import type { FlatMemory } from "./flat-memory.ts";
import type { Random } from "./random.ts";
import { VirtioDriver } from "./virtio-driver.ts";
import { attach, BASE } from "./virtio-machine.ts";

const MEMORY_BYTES = 1 << 16;
/** What is done to the rings between two resets. */
const STEPS = 50;

export interface RingFuzzOptions {
  /** Features of the device type that the driver accepts, bits 31:0; those of the rings are drawn. */
  readonly features?: number;
  /** Bytes that look like a request to queue `index`, so that noise gets past the first check. */
  readonly request?: (random: Random, index: number) => Uint8Array;
  /** Called after each step, for a device that does something on its own or waits for its host. */
  readonly between?: () => void;
  /** Resets with another choice of features and rings. */
  readonly rounds?: number;
}

/**
 * A driver that breaks every rule it can: random registers, then rings whose descriptors loop, point outside memory
 * or at the rings themselves, are too long, or hold half-true requests; indices that jump; queues reset or set up
 * again under way. The device must neither throw nor reach outside memory, and must work again after a reset: its
 * status shows DRIVER_OK. What it reports while DEVICE_NEEDS_RESET is set must name what was wrong.
 */
export function fuzzRings(device: VirtioDevice, random: Random, options: RingFuzzOptions = {}): void {
  const { mmio, memory, reports } = attach(device, MEMORY_BYTES);
  fuzzDevice(mmio, random);
  for (let round = 0; round < (options.rounds ?? FUZZ_ACCESSES / 500); round++) {
    const packed = random.below(2) === 0;
    const driver = new VirtioDriver(mmio, memory, {
      packed,
      eventIndex: random.below(2) === 0,
      indirect: random.below(2) === 0,
      queueReset: random.below(2) === 0,
    });
    const sizes = device.queueSizes.map((most) => Math.min(most, 1 << random.below(5)));
    driver.start(sizes, options.features ?? 0);
    if ((mmio.read(0x70, 4) & 0x0f) !== 0x0f) throw new Error(`${device.name}: dead after a reset`);
    reports.length = 0;
    for (let step = 0; step < STEPS; step++) {
      const queue = random.below(sizes.length);
      if (random.below(20) === 0) disturbSetup(driver, queue, random);
      scribble(driver, memory, queue, step, random, options.request);
      driver.notify(queue);
      options.between?.();
    }
    const needsReset = (mmio.read(0x70, 4) & 64) !== 0;
    if (needsReset && !reports.some((report) => /driver error.*: ./.test(report)))
      throw new Error(`${device.name}: needs a reset without a word why: ${reports.join("; ")}`);
  }
}

/** Resets a queue, or sets it up again, perhaps over another's ring or half outside memory. */
function disturbSetup(driver: VirtioDriver, queue: number, random: Random): void {
  driver.write(0x30, queue);
  driver.write(random.pick([0x44, 0xc0]), random.below(2));
  for (const offset of [0x80, 0x90, 0xa0])
    if (random.below(3) === 0) driver.write(offset, BASE + random.below(MEMORY_BYTES) - 64);
  if (random.below(4) === 0) driver.write(0x38, edgeWord(random));
  driver.write(0x44, random.below(4) === 0 ? 0 : 1);
}

function scribble(
  driver: VirtioDriver,
  memory: FlatMemory,
  index: number,
  step: number,
  random: Random,
  request: RingFuzzOptions["request"],
): void {
  const { descriptors, driver: available, size } = driver.queue(index);
  const { packed } = driver;
  for (let i = 0; i < size; i++) {
    const at = descriptors + 16 * i;
    const address = BASE + random.below(MEMORY_BYTES);
    if (request !== undefined && random.below(2) === 0) memory.write(address, request(random, index));
    memory.write64(at, BigInt(random.below(12) === 0 ? edgeWord(random) : address));
    memory.write32(at + 8, random.below(12) === 0 ? edgeWord(random) : random.below(600));
    const flags = random.below(12) === 0 ? random.u32() : random.below(8) | (packed ? 0x80 : 0);
    memory.write16(at + 12, packed ? random.u32() : flags);
    memory.write16(at + 14, packed ? flags : random.below(size + 1));
  }
  memory.write16(available + 2, random.below(4) === 0 ? random.u32() : step + 1);
  memory.write16(available + 4 + 2 * random.below(size), random.below(size));
}
