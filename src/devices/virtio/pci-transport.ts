import {
  arrayField,
  nestedFields,
  numberField,
  numberFields,
  type StateField,
} from "../../base/state-fields.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { AccessWidth } from "../../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "../access-log.ts";
import { BusMasterMemory } from "../pci/bus-master-memory.ts";
import { ConfigurationSpace } from "../pci/configuration-space.ts";
import { CAPABILITY, COMMAND } from "../pci/constants.ts";
import { MOST_MSIX_VECTORS, MSIX_BAR_SIZE, MsiX } from "../pci/msix.ts";
import type { PciFunction, PciSlot } from "../pci/pci-function.ts";
import { RegisterFile } from "../register-table.ts";
import type { VirtioDevice } from "./device.ts";
import { DriverSession } from "./driver-session.ts";
import {
  COMMON_CONFIGURATION_SIZE,
  type CommonConfiguration,
  NO_VECTOR,
  VIRTIO_PCI_COMMON_REGISTERS,
} from "./pci-registers.ts";
import { VIRTIO_DEVICE } from "./protocol.ts";

/** Red Hat's vendor number, which virtio uses; device numbers count from here (virtio 1.2, section 4.1.2). */
const VENDOR = 0x1af4;
const FIRST_DEVICE = 0x1040;
/** As on QEMU: non-transitional devices have a subsystem number of 0x40 or more. */
const SUBSYSTEM = 0x1100;
const REVISION = 1;

/** PCI class codes, by device type; what is not listed is a device of no class. */
const CLASS_CODES: Readonly<Record<number, number>> = {
  [VIRTIO_DEVICE.NETWORK]: 0x02_0000,
  [VIRTIO_DEVICE.BLOCK]: 0x01_0000,
  [VIRTIO_DEVICE.CONSOLE]: 0x07_8000,
  [VIRTIO_DEVICE.SOCKET]: 0x02_8000,
  [VIRTIO_DEVICE.FILE_SYSTEM]: 0x01_8000,
};
const NO_CLASS = 0x00_ff00;

/** BARs as on QEMU: 1 for MSI-X, 4 for the virtio structures, each of which has a page. */
const MSIX_BAR = 1;
const STRUCTURES_BAR = 4;
const PAGE = 0x1000;
const STRUCTURE = {
  COMMON: { type: 1, offset: 0 },
  ISR: { type: 3, offset: PAGE },
  DEVICE: { type: 4, offset: 2 * PAGE },
  NOTIFY: { type: 2, offset: 3 * PAGE },
} as const;
const STRUCTURES_SIZE = 4 * PAGE;
/** Configuration access: a window into the BARs for software that cannot map them. */
const CONFIGURATION_ACCESS = 5;
/** Bytes from one queue's notification address to the next. */
const NOTIFY_MULTIPLIER = 4;

/** Bits of the ISR status. */
const ISR = { QUEUE: 1, CONFIGURATION: 2 } as const;

/** Fields of the configuration access capability, from its id. */
const ACCESS = { BAR: 4, OFFSET: 8, LENGTH: 12, DATA: 16 } as const;

export interface VirtioPciOptions {
  readonly memory: GuestMemory;
  readonly device: VirtioDevice;
  /** Offer packed rings besides split ones. Default true. */
  readonly packed?: boolean;
  readonly log?: AccessLog;
}

/** The PCI transport of a virtio device (virtio 1.2, section 4.1), non-transitional. */
export class VirtioPci implements PciFunction, CommonConfiguration {
  readonly name: string;
  readonly configuration: ConfigurationSpace;
  readonly session: DriverSession;
  deviceFeaturesSelect = 0;
  driverFeaturesSelect = 0;
  queueSelect = 0;
  configurationVector = NO_VECTOR;
  readonly queueVectors: Uint16Array;
  readonly #slot: PciSlot;
  readonly #messages: MsiX;
  readonly #common: RegisterFile<CommonConfiguration>;
  readonly #accessCapability: number;
  #isr = 0;

  constructor({ memory, device, packed = true, log = SILENT_LOG }: VirtioPciOptions, slot: PciSlot) {
    this.name = `virtio-${device.name}-pci`;
    this.#slot = slot;
    this.configuration = new ConfigurationSpace(
      {
        vendor: VENDOR,
        device: FIRST_DEVICE + device.type,
        revision: REVISION,
        classCode: CLASS_CODES[device.type] ?? NO_CLASS,
        subsystemVendor: VENDOR,
        subsystem: SUBSYSTEM,
        interruptPin: 1,
      },
      [
        { index: MSIX_BAR, size: MSIX_BAR_SIZE, wide: false, prefetchable: false },
        { index: STRUCTURES_BAR, size: STRUCTURES_SIZE, wide: true, prefetchable: true },
      ],
    );
    const isBusMaster = () => (this.configuration.command & COMMAND.BUS_MASTER) !== 0;
    const vectors = Math.min(device.queueSizes.length + 1, MOST_MSIX_VECTORS);
    this.#messages = new MsiX(this.configuration, { bar: MSIX_BAR, vectors }, (address, data) => {
      if (isBusMaster()) slot.sendMessage(address, data);
    });
    this.#accessCapability = this.#addCapabilities(device);
    this.queueVectors = new Uint16Array(device.queueSizes.length).fill(NO_VECTOR);
    this.#common = new RegisterFile<CommonConfiguration>(this.name, VIRTIO_PCI_COMMON_REGISTERS, PAGE, log);
    this.session = new DriverSession({
      name: this.name,
      memory: new BusMasterMemory(memory, isBusMaster),
      device,
      packed,
      log,
      interrupts: {
        usedBuffers: (queue) => this.#interrupt(ISR.QUEUE, this.queueVectors[queue] ?? NO_VECTOR),
        configurationChanged: () => this.#interrupt(ISR.CONFIGURATION, this.configurationVector),
      },
    });
  }

  readConfiguration(offset: number, width: AccessWidth): number {
    if (offset >= this.#accessCapability + ACCESS.DATA && offset < this.#accessCapability + ACCESS.DATA + 4) {
      const target = this.#accessTarget();
      if (target !== undefined) return this.readBar(target.bar, target.offset, target.width);
    }
    return this.configuration.read(offset, width);
  }

  writeConfiguration(offset: number, width: AccessWidth, value: number): void {
    this.configuration.write(offset, width, value);
    if (offset >= this.#accessCapability + ACCESS.DATA && offset < this.#accessCapability + ACCESS.DATA + 4) {
      const target = this.#accessTarget();
      const masked = target === undefined ? 0 : value % 2 ** (8 * target.width);
      if (target !== undefined) this.writeBar(target.bar, target.offset, target.width, masked);
    }
    this.#messages.controlChanged();
    this.#updatePin();
  }

  readBar(bar: number, offset: number, width: AccessWidth): number {
    if (bar === MSIX_BAR) return this.#messages.read(offset, width);
    const within = offset % PAGE;
    switch (offset - within) {
      case STRUCTURE.COMMON.offset:
        return this.#common.read(this, within, width, false);
      case STRUCTURE.ISR.offset:
        return within === 0 ? this.#takeIsr() : 0;
      case STRUCTURE.DEVICE.offset: {
        let value = 0;
        for (let i = width - 1; i >= 0; i--) value = value * 256 + this.session.readConfiguration(within + i);
        return value;
      }
      default:
        return 0;
    }
  }

  writeBar(bar: number, offset: number, width: AccessWidth, value: number): void {
    if (bar === MSIX_BAR) {
      this.#messages.write(offset, width, value);
      return;
    }
    const within = offset % PAGE;
    switch (offset - within) {
      case STRUCTURE.COMMON.offset:
        this.#common.write(this, within, width, value, false);
        break;
      case STRUCTURE.DEVICE.offset:
        for (let i = 0; i < width; i++)
          this.session.writeConfiguration(within + i, (value >>> (8 * i)) & 0xff);
        break;
      case STRUCTURE.NOTIFY.offset:
        this.session.notify(Math.floor(within / NOTIFY_MULTIPLIER));
        break;
      default:
        break;
    }
  }

  reset(): void {
    this.#resetDevice();
    this.configuration.reset();
    this.#messages.reset();
  }

  stateFields(): readonly StateField[] {
    const word = 0xffff_ffff;
    const registers = { deviceFeaturesSelect: word, driverFeaturesSelect: word, queueSelect: word };
    return [
      arrayField("configuration", this.configuration.bytes),
      ...numberFields<keyof typeof registers>(this, registers),
      ...numberFields<"configurationVector">(this, { configurationVector: NO_VECTOR }),
      arrayField("queueVectors", this.queueVectors),
      numberField(
        "isr",
        3,
        () => this.#isr,
        (value) => {
          this.#isr = value;
        },
      ),
      ...nestedFields("msix", this.#messages.stateFields()),
      ...nestedFields("session", this.session.stateFields()),
    ];
  }

  stateRestored(): void {
    this.session.stateRestored();
  }

  *state(): Iterable<number> {
    yield* [this.deviceFeaturesSelect, this.driverFeaturesSelect, this.queueSelect, this.#isr];
    yield this.configurationVector;
    yield* this.queueVectors;
    yield* this.#messages.state();
    yield* this.session.state();
  }

  usableVector(vector: number): number {
    return vector < this.#messages.vectors ? vector : NO_VECTOR;
  }

  setStatus(value: number): void {
    if (value === 0) this.#resetDevice();
    else this.session.setStatus(value);
  }

  #resetDevice(): void {
    this.session.reset();
    this.deviceFeaturesSelect = 0;
    this.driverFeaturesSelect = 0;
    this.queueSelect = 0;
    this.configurationVector = NO_VECTOR;
    this.queueVectors.fill(NO_VECTOR);
    this.#isr = 0;
    this.#updatePin();
  }

  /** Returns the offset of the configuration access capability. */
  #addCapabilities(device: VirtioDevice): number {
    const add = (type: number, offset: number, length: number, rest: number): number => {
      const body = new Uint8Array(14 + rest);
      const view = new DataView(body.buffer);
      view.setUint8(0, body.length + 2);
      view.setUint8(1, type);
      view.setUint8(2, type === CONFIGURATION_ACCESS ? 0 : STRUCTURES_BAR);
      view.setUint32(6, offset, true);
      view.setUint32(10, length, true);
      if (type === STRUCTURE.NOTIFY.type) view.setUint32(14, NOTIFY_MULTIPLIER, true);
      return this.configuration.addCapability(CAPABILITY.VENDOR, body);
    };
    const { COMMON, ISR: STATUS, DEVICE, NOTIFY } = STRUCTURE;
    add(COMMON.type, COMMON.offset, COMMON_CONFIGURATION_SIZE, 0);
    add(STATUS.type, STATUS.offset, 1, 0);
    if (device.configuration.length > 0) add(DEVICE.type, DEVICE.offset, device.configuration.length, 0);
    add(NOTIFY.type, NOTIFY.offset, NOTIFY_MULTIPLIER * device.queueSizes.length, 4);
    const access = add(CONFIGURATION_ACCESS, 0, 0, 4);
    this.configuration.allow(access + ACCESS.BAR, 0xff, 1);
    for (const field of [ACCESS.OFFSET, ACCESS.LENGTH, ACCESS.DATA])
      this.configuration.allow(access + field, 0xffff_ffff, 4);
    return access;
  }

  /** What the configuration access capability points at, if that is an aligned access inside a BAR. */
  #accessTarget(): { bar: number; offset: number; width: AccessWidth } | undefined {
    const at = this.#accessCapability;
    const bar = this.configuration.read(at + ACCESS.BAR, 1);
    const offset = this.configuration.read(at + ACCESS.OFFSET, 4);
    const length = this.configuration.read(at + ACCESS.LENGTH, 4);
    const size = this.configuration.bars.find(({ index }) => index === bar)?.size;
    const width = ([1, 2, 4] as const).find((each) => each === length);
    if (size === undefined || width === undefined || offset % width !== 0 || offset + width > size)
      return undefined;
    return { bar, offset, width };
  }

  #takeIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.#updatePin();
    return isr;
  }

  #interrupt(bits: number, vector: number): void {
    // A configuration change shows there also when a message tells of it (4.1.4.5.1).
    if (bits === ISR.CONFIGURATION || !this.#messages.enabled) this.#isr |= bits;
    this.#messages.raise(vector);
    this.#updatePin();
  }

  #updatePin(): void {
    const pending = this.#isr !== 0 && !this.#messages.enabled;
    this.configuration.showInterrupt(pending);
    this.#slot.setInterrupt(pending && (this.configuration.command & COMMAND.INTX_DISABLE) === 0);
  }
}
