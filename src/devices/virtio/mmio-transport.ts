import type { InterruptLine } from "../../base/interrupt-line.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { AccessWidth, MmioDevice } from "../../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "../access-log.ts";
import { type Register, RegisterFile } from "../register-table.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { PackedRing } from "./packed-ring.ts";
import {
  DESCRIPTOR_SIZE,
  FEATURE,
  featureMask,
  STATUS,
  VIRTIO_DEVICE,
  VIRTIO_MMIO_SIZE,
} from "./protocol.ts";
import { VirtQueue } from "./queue.ts";
import { SplitRing } from "./split-ring.ts";

const CONFIGURATION = 0x100;

/** "virt", the version without legacy parts, and our vendor name "ELVI", as little-endian words. */
const MAGIC = 0x7472_6976;
const VERSION = 2;
const VENDOR = 0x4956_4c45;

/** Bits of InterruptStatus. */
const INTERRUPT = { USED_BUFFER: 1, CONFIGURATION: 2 } as const;

/** Status bits that a driver may set. */
const DRIVER_STATUS =
  STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.DRIVER_OK | STATUS.FEATURES_OK | STATUS.FAILED;

/** A queue as the driver sets it up. */
interface QueueSetup {
  size: number;
  /** Low and high halves of the three addresses. */
  readonly descriptors: [number, number];
  readonly driver: [number, number];
  readonly device: [number, number];
  live: VirtQueue | undefined;
}

/** What the registers act on; see {@link VirtioMmio}. */
interface Transport {
  readonly device: VirtioDevice | undefined;
  deviceFeaturesSelect: number;
  driverFeaturesSelect: number;
  queueSelect: number;
  readonly interruptStatus: number;
  readonly status: number;
  readonly generation: number;
  offered(half: number): number;
  accept(half: number, value: number): void;
  /** The selected queue, if there is one. */
  selected(): QueueSetup | undefined;
  /** The selected queue, if the driver may still change it. */
  unready(): QueueSetup | undefined;
  setReady(ready: boolean): void;
  notify(queue: number): void;
  acknowledge(bits: number): void;
  setStatus(value: number): void;
  readConfiguration(offset: number): number;
  writeConfiguration(offset: number, value: number): void;
}

function half(name: string, offset: number, key: "descriptors" | "driver" | "device"): Register<Transport> {
  return {
    name,
    offset,
    count: 2,
    write: (transport, value, index) => {
      const queue = transport.unready();
      if (queue !== undefined) queue[key][index] = value;
    },
  };
}

/** Virtio 1.2, table 4.1. */
export const VIRTIO_MMIO_REGISTERS: readonly Register<Transport>[] = [
  { name: "MagicValue", offset: 0x000, read: () => MAGIC },
  { name: "Version", offset: 0x004, read: () => VERSION },
  { name: "DeviceID", offset: 0x008, read: ({ device }) => device?.type ?? VIRTIO_DEVICE.NONE },
  { name: "VendorID", offset: 0x00c, read: () => VENDOR },
  {
    name: "DeviceFeatures",
    offset: 0x010,
    read: (transport) => transport.offered(transport.deviceFeaturesSelect),
  },
  {
    name: "DeviceFeaturesSel",
    offset: 0x014,
    write: (transport, value) => {
      transport.deviceFeaturesSelect = value;
    },
  },
  {
    name: "DriverFeatures",
    offset: 0x020,
    write: (transport, value) => transport.accept(transport.driverFeaturesSelect, value),
  },
  {
    name: "DriverFeaturesSel",
    offset: 0x024,
    write: (transport, value) => {
      transport.driverFeaturesSelect = value;
    },
  },
  {
    name: "QueueSel",
    offset: 0x030,
    write: (transport, value) => {
      transport.queueSelect = value;
    },
  },
  {
    name: "QueueNumMax",
    offset: 0x034,
    read: ({ device, queueSelect }) => device?.queueSizes[queueSelect] ?? 0,
  },
  {
    name: "QueueNum",
    offset: 0x038,
    write: (transport, value) => {
      const queue = transport.unready();
      if (queue !== undefined) queue.size = value;
    },
  },
  {
    name: "QueueReady",
    offset: 0x044,
    read: (transport) => (transport.selected()?.live === undefined ? 0 : 1),
    write: (transport, value) => transport.setReady((value & 1) !== 0),
  },
  { name: "QueueNotify", offset: 0x050, write: (transport, value) => transport.notify(value) },
  { name: "InterruptStatus", offset: 0x060, read: (transport) => transport.interruptStatus },
  { name: "InterruptACK", offset: 0x064, write: (transport, value) => transport.acknowledge(value) },
  {
    name: "Status",
    offset: 0x070,
    read: (transport) => transport.status,
    write: (transport, value) => transport.setStatus(value),
  },
  half("QueueDescLow/High", 0x080, "descriptors"),
  half("QueueDriverLow/High", 0x090, "driver"),
  half("QueueDeviceLow/High", 0x0a0, "device"),
  // There are no shared memory regions: a length of all ones says so.
  { name: "SHMSel", offset: 0x0ac, write: () => {} },
  { name: "SHMLenLow/High", offset: 0x0b0, count: 2, read: () => 0xffff_ffff },
  { name: "SHMBaseLow/High", offset: 0x0b8, count: 2, read: () => 0xffff_ffff },
  { name: "ConfigGeneration", offset: 0x0fc, read: (transport) => transport.generation },
  {
    name: "Config<n>",
    offset: CONFIGURATION,
    count: VIRTIO_MMIO_SIZE - CONFIGURATION,
    unit: 1,
    read: (transport, offset) => transport.readConfiguration(offset),
    write: (transport, value, offset) => transport.writeConfiguration(offset, value),
  },
];

/** What a slot is wired to. */
export interface VirtioMmioOptions {
  readonly memory: GuestMemory;
  readonly line: InterruptLine;
  /** Without one the slot is there but empty, which drivers pass over in silence. */
  readonly device?: VirtioDevice;
  /** Offer packed rings besides split ones. Default true. */
  readonly packed?: boolean;
  readonly log?: AccessLog;
}

/**
 * The MMIO transport of a virtio device (virtio 1.2, section 4.2), without the legacy interface. When the driver
 * breaks a rule the device stops, sets DEVICE_NEEDS_RESET and sends a configuration change interrupt.
 */
export class VirtioMmio implements MmioDevice, Transport, VirtioHost {
  readonly name: string;
  readonly size = VIRTIO_MMIO_SIZE;
  readonly device: VirtioDevice | undefined;
  deviceFeaturesSelect = 0;
  driverFeaturesSelect = 0;
  queueSelect = 0;
  interruptStatus = 0;
  status = 0;
  generation = 0;
  readonly #memory: GuestMemory;
  readonly #line: InterruptLine;
  readonly #log: AccessLog;
  readonly #registers: RegisterFile<Transport>;
  readonly #offered: bigint;
  #accepted = 0n;
  #queues: QueueSetup[] = [];
  /** Queues notified while one is being served; a device may be notified from its own work. */
  #running = false;

  constructor({ memory, line, device, packed = true, log = SILENT_LOG }: VirtioMmioOptions) {
    this.name = device === undefined ? "virtio-mmio" : `virtio-${device.name}`;
    this.device = device;
    this.#memory = memory;
    this.#line = line;
    this.#log = log;
    this.#registers = new RegisterFile<Transport>(this.name, VIRTIO_MMIO_REGISTERS, VIRTIO_MMIO_SIZE, log);
    const rings: number[] = [FEATURE.VERSION_1, FEATURE.RING_INDIRECT_DESC, FEATURE.RING_EVENT_IDX];
    if (packed) rings.push(FEATURE.RING_PACKED);
    this.#offered = device === undefined ? 0n : device.features | featureMask(...rings);
    this.#clear();
  }

  read(offset: number, width: AccessWidth): number {
    return this.#registers.read(this, offset, width, false);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (this.device !== undefined) this.#registers.write(this, offset, width, value, false);
  }

  reset(): void {
    this.device?.stop();
    this.#clear();
    this.#line.set(false);
  }

  // The registers.

  offered(half: number): number {
    return half > 1 ? 0 : Number(BigInt.asUintN(32, this.#offered >> BigInt(32 * half)));
  }

  accept(half: number, value: number): void {
    if (half > 1 || this.status & STATUS.FEATURES_OK) return;
    const shift = BigInt(32 * half);
    this.#accepted = (this.#accepted & ~(0xffff_ffffn << shift)) | (BigInt(value) << shift);
  }

  selected(): QueueSetup | undefined {
    return this.#queues[this.queueSelect];
  }

  unready(): QueueSetup | undefined {
    const queue = this.selected();
    return queue?.live === undefined ? queue : undefined;
  }

  setReady(ready: boolean): void {
    const queue = this.selected();
    if (queue === undefined) return;
    if (!ready) {
      queue.live?.kill();
      queue.live = undefined;
    } else if (queue.live === undefined && (this.status & STATUS.DEVICE_NEEDS_RESET) === 0)
      this.#enable(queue);
  }

  notify(queue: number): void {
    if (this.#running && this.#queues[queue]?.live !== undefined) this.device?.notify(queue);
  }

  acknowledge(bits: number): void {
    this.interruptStatus &= ~bits;
    // What came since the driver read the status must make an edge, since boards describe edge interrupts.
    this.#line.set(false);
    if (this.interruptStatus !== 0) this.#line.set(true);
  }

  setStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    let added = value & DRIVER_STATUS & ~this.status;
    if (added & STATUS.FEATURES_OK && !this.#featuresFit()) added &= ~STATUS.FEATURES_OK;
    this.status |= added;
    if (added & STATUS.DRIVER_OK && (this.status & STATUS.DEVICE_NEEDS_RESET) === 0) {
      this.#running = true;
      this.device?.start(this);
    }
  }

  readConfiguration(offset: number): number {
    return this.device?.configuration[offset] ?? 0;
  }

  writeConfiguration(offset: number, value: number): void {
    this.device?.writeConfiguration?.(offset, value);
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
    if (this.status & STATUS.DRIVER_OK) this.#raise(INTERRUPT.CONFIGURATION);
  }

  fail(reason: string): void {
    if (this.status & STATUS.DEVICE_NEEDS_RESET) return;
    this.#log.report(this.name, `driver error, device needs a reset: ${reason}`);
    this.#running = false;
    for (const queue of this.#queues) queue.live?.kill();
    this.status |= STATUS.DEVICE_NEEDS_RESET;
    this.device?.stop();
    if (this.status & STATUS.DRIVER_OK) this.#raise(INTERRUPT.CONFIGURATION);
  }

  #featuresFit(): boolean {
    return (this.#accepted & ~this.#offered) === 0n && this.has(FEATURE.VERSION_1);
  }

  #enable(queue: QueueSetup): void {
    const packed = this.has(FEATURE.RING_PACKED);
    const limit = this.device?.queueSizes[this.queueSelect] ?? 0;
    const { size } = queue;
    if (size === 0 || size > limit || (!packed && (size & (size - 1)) !== 0)) {
      this.fail(`queue of ${size} descriptors`);
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
    if (!parts.every(([address, length]) => this.#memory.isMemory(address, length))) {
      this.fail("queue outside memory");
      return;
    }
    const options = {
      memory: this.#memory,
      layout,
      indirect: this.has(FEATURE.RING_INDIRECT_DESC),
      eventIndex: this.has(FEATURE.RING_EVENT_IDX),
      fail: (reason: string) => this.fail(reason),
    };
    const ring = packed ? new PackedRing(options) : new SplitRing(options);
    queue.live = new VirtQueue(ring, () => this.#raise(INTERRUPT.USED_BUFFER));
  }

  #raise(bits: number): void {
    this.interruptStatus |= bits;
    this.#line.set(true);
  }

  #clear(): void {
    for (const queue of this.#queues) queue.live?.kill();
    this.#running = false;
    this.deviceFeaturesSelect = 0;
    this.driverFeaturesSelect = 0;
    this.queueSelect = 0;
    this.interruptStatus = 0;
    this.status = 0;
    this.#accepted = 0n;
    this.#queues = (this.device?.queueSizes ?? []).map(() => ({
      size: 0,
      descriptors: [0, 0],
      driver: [0, 0],
      device: [0, 0],
      live: undefined,
    }));
  }
}

/** An address from its halves, clamped to where there can be no memory. */
function join([low, high]: readonly [number, number]): number {
  return Math.min(high * 2 ** 32 + low, 2 ** 48);
}
