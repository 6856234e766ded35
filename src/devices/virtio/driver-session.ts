import { UserError } from "../../base/errors.ts";
import {
  choiceField,
  flagField,
  listField,
  nestedFields,
  numberField,
  numberFields,
  type StateField,
  u64Field,
} from "../../base/state-fields.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { AccessLog } from "../access-log.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { PackedRing } from "./packed-ring.ts";
import { DESCRIPTOR_SIZE, FEATURE, featureMask, STATUS } from "./protocol.ts";
import { VirtQueue } from "./queue.ts";
import { SplitRing } from "./split-ring.ts";

/** Status bits that a driver may set. */
const DRIVER_STATUS =
  STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.DRIVER_OK | STATUS.FEATURES_OK | STATUS.FAILED;

/** The three addresses of a queue that a driver sets. */
const QUEUE_PARTS = ["descriptors", "driver", "device"] as const;
export type QueuePart = (typeof QUEUE_PARTS)[number];

/** A queue as the driver sets it up. */
export interface QueueSetup {
  size: number;
  /** Low and high halves of the three addresses. */
  readonly descriptors: [number, number];
  readonly driver: [number, number];
  readonly device: [number, number];
  live: VirtQueue | undefined;
  /** What a stream says of `live`, until that is made of it. */
  restored?: RestoredQueue | undefined;
}

const LIVES = ["none", "live", "dead"] as const;

interface RestoredQueue {
  readonly life: (typeof LIVES)[number];
  readonly ring: readonly number[];
}

/** How a transport tells the driver of something. */
export interface TransportInterrupts {
  usedBuffers(queue: number): void;
  configurationChanged(): void;
}

export interface DriverSessionOptions {
  readonly name: string;
  readonly memory: GuestMemory;
  readonly device: VirtioDevice;
  readonly interrupts: TransportInterrupts;
  /** Offer packed rings besides split ones. */
  readonly packed: boolean;
  readonly log: AccessLog;
}

/**
 * What one driver and one device have agreed on: status, features, queues (virtio 1.2, chapters 2 and 3). The
 * transports differ only in the registers through which a driver reaches it. When the driver breaks a rule the
 * device stops, sets DEVICE_NEEDS_RESET and sends a configuration change interrupt.
 */
export class DriverSession implements VirtioHost {
  readonly device: VirtioDevice;
  status = 0;
  /** Counts changes of the configuration space. */
  generation = 0;
  readonly #options: DriverSessionOptions;
  readonly #offered: bigint;
  #accepted = 0n;
  #queues: QueueSetup[] = [];
  /** Between DRIVER_OK and a reset or a broken rule. */
  #running = false;

  constructor(options: DriverSessionOptions) {
    this.#options = options;
    this.device = options.device;
    const rings: number[] = [
      FEATURE.VERSION_1,
      FEATURE.RING_INDIRECT_DESC,
      FEATURE.RING_EVENT_IDX,
      FEATURE.RING_RESET,
    ];
    if (options.packed) rings.push(FEATURE.RING_PACKED);
    this.#offered = options.device.features | featureMask(...rings);
    this.#clear();
  }

  reset(): void {
    this.device.stop();
    this.#clear();
  }

  /** 32 of the features the device offers. */
  offered(half: number): number {
    return half > 1 ? 0 : Number(BigInt.asUintN(32, this.#offered >> BigInt(32 * half)));
  }

  /** 32 of the features the driver has accepted so far. */
  accepted(half: number): number {
    return half > 1 ? 0 : Number(BigInt.asUintN(32, this.#accepted >> BigInt(32 * half)));
  }

  /** `value` is unsigned, 32 bits. Once FEATURES_OK is set the choice is made. */
  accept(half: number, value: number): void {
    if (half > 1 || this.status & STATUS.FEATURES_OK) return;
    const shift = BigInt(32 * half);
    this.#accepted = (this.#accepted & ~(0xffff_ffffn << shift)) | (BigInt(value) << shift);
  }

  setStatus(value: number): void {
    let added = value & DRIVER_STATUS & ~this.status;
    if (added & STATUS.FEATURES_OK && !this.#featuresFit()) added &= ~STATUS.FEATURES_OK;
    this.status |= added;
    if ((added & STATUS.DRIVER_OK) === 0 || this.status & STATUS.DEVICE_NEEDS_RESET) return;
    if ((this.status & STATUS.FEATURES_OK) === 0) this.fail("DRIVER_OK without FEATURES_OK");
    else {
      this.#running = true;
      const start = (): void => this.device.start(this);
      this.#queues.reduce((work, { live }) => (live === undefined ? work : () => live.serve(work)), start)();
    }
  }

  get queueCount(): number {
    return this.#queues.length;
  }

  setup(index: number): QueueSetup | undefined {
    return this.#queues[index];
  }

  /** Queue `index`, if the driver may still change it. */
  unready(index: number): QueueSetup | undefined {
    const queue = this.#queues[index];
    return queue?.live === undefined ? queue : undefined;
  }

  setReady(index: number, ready: boolean): void {
    const queue = this.#queues[index];
    if (queue === undefined) return;
    if (!ready) {
      queue.live?.kill();
      queue.live = undefined;
    } else if (queue.live === undefined && (this.status & STATUS.DEVICE_NEEDS_RESET) === 0)
      this.#enable(queue, index);
  }

  /** Takes one queue back to where it was before it was set up (2.6.1). */
  resetQueue(index: number): void {
    const queue = this.#queues[index];
    if (queue === undefined || !this.has(FEATURE.RING_RESET)) return;
    queue.live?.kill();
    this.#queues[index] = this.#blankQueue(index);
    if (this.#running) this.device.queueReset?.(index);
  }

  notify(queue: number): void {
    const live = this.#queues[queue]?.live;
    if (this.#running && live !== undefined) live.serve(() => this.device.notify(queue));
  }

  readConfiguration(offset: number): number {
    return this.device.configuration[offset] ?? 0;
  }

  writeConfiguration(offset: number, value: number): void {
    this.device.writeConfiguration?.(offset, value);
  }

  stateFields(): readonly StateField[] {
    return [
      numberField(
        "status",
        0xff,
        () => this.status,
        (value) => {
          this.status = value;
        },
      ),
      numberField(
        "generation",
        0xffff_ffff,
        () => this.generation,
        (value) => {
          this.generation = value;
        },
      ),
      u64Field(
        "accepted",
        () => this.#accepted,
        (value) => {
          this.#accepted = value;
        },
      ),
      flagField(
        "running",
        () => this.#running,
        (value) => {
          this.#running = value;
        },
      ),
      ...this.#queues.flatMap((queue, index) => nestedFields(`queue${index}`, queueFields(queue))),
      ...nestedFields(this.device.name, this.device.stateFields?.() ?? []),
    ];
  }

  stateRestored(): void {
    const offered = (this.#accepted & ~this.#offered) === 0n;
    if (!offered)
      throw new UserError(`The snapshot's ${this.#options.name} has features that this one lacks.`);
    this.#queues.forEach((queue, index) => {
      const { restored } = queue;
      queue.restored = undefined;
      if (restored === undefined || restored.life === "none") return;
      this.#enable(queue, index);
      queue.live?.restore(restored.ring);
      if (restored.life === "dead") queue.live?.kill();
    });
    if (this.#running) this.device.resume(this);
  }

  /** Numbers that make up the state, for comparing machines. */
  *state(): Iterable<number> {
    yield* [this.status, this.generation, this.accepted(0), this.accepted(1)];
    for (const queue of this.#queues) {
      yield* [queue.size, ...queue.descriptors, ...queue.driver, ...queue.device];
      yield queue.live?.isLive ? 1 : 0;
      yield* queue.live?.state() ?? [];
    }
    yield* this.device.configuration;
  }

  // What the device asks.

  queue(index: number): VirtQueue | undefined {
    return this.#queues[index]?.live;
  }

  has(feature: number): boolean {
    return ((this.#accepted >> BigInt(feature)) & 1n) === 1n;
  }

  configurationChanged(): void {
    this.generation = (this.generation + 1) >>> 0;
    if (this.status & STATUS.DRIVER_OK) this.#options.interrupts.configurationChanged();
  }

  fail(reason: string): void {
    if (this.status & STATUS.DEVICE_NEEDS_RESET) return;
    this.#options.log.report(this.#options.name, `driver error, device needs a reset: ${reason}`);
    this.#running = false;
    for (const queue of this.#queues) queue.live?.kill();
    this.status |= STATUS.DEVICE_NEEDS_RESET;
    this.device.stop();
    if (this.status & STATUS.DRIVER_OK) this.#options.interrupts.configurationChanged();
  }

  #featuresFit(): boolean {
    return (this.#accepted & ~this.#offered) === 0n && this.has(FEATURE.VERSION_1);
  }

  #enable(queue: QueueSetup, index: number): void {
    const { memory, interrupts } = this.#options;
    const packed = this.has(FEATURE.RING_PACKED);
    const limit = this.device.queueSizes[index] ?? 0;
    const { size } = queue;
    if (size === 0 || size > limit || (!packed && (size & (size - 1)) !== 0)) {
      this.fail(`queue ${index} of ${size} descriptors`);
      return;
    }
    const layout = {
      size,
      descriptors: join(queue.descriptors),
      driver: join(queue.driver),
      device: join(queue.device),
    };
    const parts: [number, number][] = [
      [layout.descriptors, DESCRIPTOR_SIZE * size],
      [layout.driver, packed ? 4 : 6 + 2 * size],
      [layout.device, packed ? 4 : 6 + 8 * size],
    ];
    if (!parts.every(([address, length]) => memory.isMemory(address, length))) {
      this.fail(`queue ${index} outside memory`);
      return;
    }
    const options = {
      memory,
      layout,
      indirect: this.has(FEATURE.RING_INDIRECT_DESC),
      eventIndex: this.has(FEATURE.RING_EVENT_IDX),
      fail: (reason: string) => this.fail(`queue ${index}: ${reason}`),
    };
    const ring = packed ? new PackedRing(options) : new SplitRing(options);
    queue.live = new VirtQueue(ring, size, () => interrupts.usedBuffers(index), options.fail);
  }

  #clear(): void {
    for (const queue of this.#queues) queue.live?.kill();
    this.#running = false;
    this.status = 0;
    this.#accepted = 0n;
    this.#queues = this.device.queueSizes.map((_, index) => this.#blankQueue(index));
  }

  #blankQueue(index: number): QueueSetup {
    return {
      size: this.device.queueSizes[index] ?? 0,
      descriptors: [0, 0],
      driver: [0, 0],
      device: [0, 0],
      live: undefined,
    };
  }
}

/** Size and addresses, whether there is a live queue, and what its ring remembers. */
function queueFields(queue: QueueSetup): StateField[] {
  const half = (part: QueuePart, index: 0 | 1): StateField =>
    numberField(
      `${part}${index}`,
      0xffff_ffff,
      () => queue[part][index] >>> 0,
      (value) => {
        queue[part][index] = value;
      },
    );
  return [
    ...numberFields<"size">(queue, { size: 0xffff_ffff }),
    ...QUEUE_PARTS.flatMap((part) => [half(part, 0), half(part, 1)]),
    choiceField(
      "life",
      LIVES,
      () => (queue.live === undefined ? "none" : queue.live.isLive ? "live" : "dead"),
      (life) => {
        queue.restored = { life, ring: [] };
      },
    ),
    listField(
      "ring",
      { longest: 8, most: 0xffff },
      () => queue.live?.stateToKeep() ?? [],
      (ring) => {
        queue.restored = { life: queue.restored?.life ?? "none", ring };
      },
    ),
  ];
}

/** An address from its halves, clamped to where there can be no memory. */
function join([low, high]: readonly [number, number]): number {
  return Math.min(high * 2 ** 32 + low, 2 ** 48);
}
