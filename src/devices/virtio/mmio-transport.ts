import type { InterruptLine } from "../../base/interrupt-line.ts";
import { nestedFields, numberFields, type StateField } from "../../base/state-fields.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { AccessWidth, MmioDevice } from "../../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "../access-log.ts";
import { type Register, RegisterFile } from "../register-table.ts";
import type { VirtioDevice } from "./device.ts";
import { DriverSession, type QueuePart } from "./driver-session.ts";
import { VIRTIO_DEVICE, VIRTIO_MMIO_SIZE } from "./protocol.ts";

const CONFIGURATION = 0x100;

/** "virt", the version without legacy parts, and our vendor name "ELVI", as little-endian words. */
const MAGIC = 0x7472_6976;
const VERSION = 2;
const VENDOR = 0x4956_4c45;

/** Bits of InterruptStatus. */
const INTERRUPT = { USED_BUFFER: 1, CONFIGURATION: 2 } as const;

/** What the registers act on; see {@link VirtioMmio}. */
interface Transport {
  readonly session: DriverSession | undefined;
  deviceFeaturesSelect: number;
  driverFeaturesSelect: number;
  queueSelect: number;
  readonly interruptStatus: number;
  acknowledge(bits: number): void;
  setStatus(value: number): void;
}

function half(name: string, offset: number, key: QueuePart): Register<Transport> {
  return {
    name,
    offset,
    count: 2,
    write: (transport, value, index) => {
      const queue = transport.session?.unready(transport.queueSelect);
      if (queue !== undefined) queue[key][index] = value;
    },
  };
}

/** Virtio 1.2, table 4.1. */
export const VIRTIO_MMIO_REGISTERS: readonly Register<Transport>[] = [
  { name: "MagicValue", offset: 0x000, read: () => MAGIC },
  { name: "Version", offset: 0x004, read: () => VERSION },
  { name: "DeviceID", offset: 0x008, read: ({ session }) => session?.device.type ?? VIRTIO_DEVICE.NONE },
  { name: "VendorID", offset: 0x00c, read: () => VENDOR },
  {
    name: "DeviceFeatures",
    offset: 0x010,
    read: ({ session, deviceFeaturesSelect }) => session?.offered(deviceFeaturesSelect) ?? 0,
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
    write: ({ session, driverFeaturesSelect }, value) => session?.accept(driverFeaturesSelect, value),
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
    read: ({ session, queueSelect }) => session?.device.queueSizes[queueSelect] ?? 0,
  },
  {
    name: "QueueNum",
    offset: 0x038,
    write: (transport, value) => {
      const queue = transport.session?.unready(transport.queueSelect);
      if (queue !== undefined) queue.size = value;
    },
  },
  {
    name: "QueueReady",
    offset: 0x044,
    read: ({ session, queueSelect }) => (session?.setup(queueSelect)?.live === undefined ? 0 : 1),
    write: ({ session, queueSelect }, value) => session?.setReady(queueSelect, (value & 1) !== 0),
  },
  { name: "QueueNotify", offset: 0x050, write: ({ session }, value) => session?.notify(value) },
  { name: "InterruptStatus", offset: 0x060, read: (transport) => transport.interruptStatus },
  { name: "InterruptACK", offset: 0x064, write: (transport, value) => transport.acknowledge(value) },
  {
    name: "Status",
    offset: 0x070,
    read: ({ session }) => session?.status ?? 0,
    write: (transport, value) => transport.setStatus(value),
  },
  half("QueueDescLow/High", 0x080, "descriptors"),
  half("QueueDriverLow/High", 0x090, "driver"),
  half("QueueDeviceLow/High", 0x0a0, "device"),
  // There are no shared memory regions: a length of all ones says so.
  { name: "SHMSel", offset: 0x0ac, write: () => {} },
  { name: "SHMLenLow/High", offset: 0x0b0, count: 2, read: () => 0xffff_ffff },
  { name: "SHMBaseLow/High", offset: 0x0b8, count: 2, read: () => 0xffff_ffff },
  {
    name: "QueueReset",
    offset: 0x0c0,
    // A reset is complete at once.
    read: () => 0,
    write: ({ session, queueSelect }, value) => {
      if (value & 1) session?.resetQueue(queueSelect);
    },
  },
  { name: "ConfigGeneration", offset: 0x0fc, read: ({ session }) => session?.generation ?? 0 },
  {
    name: "Config<n>",
    offset: CONFIGURATION,
    count: VIRTIO_MMIO_SIZE - CONFIGURATION,
    unit: 1,
    read: ({ session }, offset) => session?.readConfiguration(offset) ?? 0,
    write: ({ session }, value, offset) => session?.writeConfiguration(offset, value),
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

/** The MMIO transport of a virtio device (virtio 1.2, section 4.2), without the legacy interface. */
export class VirtioMmio implements MmioDevice, Transport {
  readonly name: string;
  readonly size = VIRTIO_MMIO_SIZE;
  readonly session: DriverSession | undefined;
  deviceFeaturesSelect = 0;
  driverFeaturesSelect = 0;
  queueSelect = 0;
  interruptStatus = 0;
  readonly #line: InterruptLine;
  readonly #registers: RegisterFile<Transport>;

  constructor({ memory, line, device, packed = true, log = SILENT_LOG }: VirtioMmioOptions) {
    this.name = device === undefined ? "virtio-mmio" : `virtio-${device.name}`;
    this.#line = line;
    this.#registers = new RegisterFile<Transport>(this.name, VIRTIO_MMIO_REGISTERS, VIRTIO_MMIO_SIZE, log);
    if (device === undefined) return;
    const interrupts = {
      usedBuffers: () => this.#raise(INTERRUPT.USED_BUFFER),
      configurationChanged: () => this.#raise(INTERRUPT.CONFIGURATION),
    };
    this.session = new DriverSession({ name: this.name, memory, device, interrupts, packed, log });
  }

  read(offset: number, width: AccessWidth): number {
    return this.#registers.read(this, offset, width, false);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (this.session !== undefined) this.#registers.write(this, offset, width, value, false);
  }

  stateFields(): readonly StateField[] {
    const word = 0xffff_ffff;
    const registers = {
      deviceFeaturesSelect: word,
      driverFeaturesSelect: word,
      queueSelect: word,
      interruptStatus: 3,
    };
    return [
      ...numberFields<keyof typeof registers>(this, registers),
      ...nestedFields("session", this.session?.stateFields() ?? []),
    ];
  }

  stateRestored(): void {
    this.#line.set(this.interruptStatus !== 0);
    this.session?.stateRestored();
  }

  state(): Iterable<number> {
    return this.session?.state() ?? [];
  }

  reset(): void {
    this.session?.reset();
    this.deviceFeaturesSelect = 0;
    this.driverFeaturesSelect = 0;
    this.queueSelect = 0;
    this.interruptStatus = 0;
    this.#line.set(false);
  }

  acknowledge(bits: number): void {
    this.interruptStatus &= ~bits;
    // What came since the driver read the status must make an edge, since boards describe edge interrupts.
    this.#line.set(false);
    if (this.interruptStatus !== 0) this.#line.set(true);
  }

  setStatus(value: number): void {
    if (value === 0) this.reset();
    else this.session?.setStatus(value);
  }

  #raise(bits: number): void {
    this.interruptStatus |= bits;
    this.#line.set(true);
  }
}
