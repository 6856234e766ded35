import { hex } from "../../base/bits.ts";
import { arrayField, flagField, numberFields, type StateField } from "../../base/state-fields.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { AccessWidth, MmioDevice } from "../../memory/mmio-device.ts";
import type { AccessLog } from "../access-log.ts";
import { identificationRows, type Register, RegisterFile } from "../register-table.ts";
import { FIRST_LPI, IIDR, ITS_SIZE, identification } from "./constants.ts";
import {
  COLLECTION_BITS,
  DEVICE_BITS,
  EVENT_BITS,
  ItsTables,
  TABLE_ENTRY,
  TRANSLATION_ENTRY,
} from "./its-tables.ts";
import { LPI_ID_BITS, type LpiState } from "./lpi-state.ts";

/** Where a device writes its message: the EventID (IHI 0069, 12.19). */
export const GITS_TRANSLATER = 0x1_0040;

const QUIESCENT = 0x8000_0000;
/** GITS_TYPER: physical LPIs, entry size, EventID, DeviceID and collection bits; PTA is 0: targets are PE numbers. */
const TYPER = [
  1 | ((TRANSLATION_ENTRY - 1) << 4) | ((EVENT_BITS - 1) << 8) | ((DEVICE_BITS - 1) << 13),
  (COLLECTION_BITS - 1) | (1 << 4),
] as const;

/** GITS_BASER<n>.Type in the high half, and what reset leaves: 64 KiB pages. */
const BASER_TYPES = [1, 4];
const BASER_FIXED = (0x7 << 24) | (0x1f << 16);
const BASER_RESET_LOW = 0x200;
const BASERS = 8;

/** GITS_CBASER.Valid, in its high half. */
const QUEUE_VALID = 1 << 31;
const COMMAND_BYTES = 32;
const OFFSET_MASK = 0xf_ffe0;
const ITS_OFFSETS = { writeOffset: OFFSET_MASK, readOffset: OFFSET_MASK } as const;

/** Commands by their number in the first byte (IHI 0069, 5.3). */
export const ITS_COMMAND = {
  MOVI: 0x01,
  INT: 0x03,
  CLEAR: 0x04,
  SYNC: 0x05,
  MAPD: 0x08,
  MAPC: 0x09,
  MAPTI: 0x0a,
  MAPI: 0x0b,
  INV: 0x0c,
  INVALL: 0x0d,
  MOVALL: 0x0e,
  DISCARD: 0x0f,
} as const;

export interface ItsOptions {
  /** Non-secure memory. */
  readonly memory: GuestMemory;
  /** LPIs of the processing elements, by GICR_TYPER.Processor_Number. */
  readonly lpis: readonly LpiState[];
  /** Called after anything that may have changed pending LPIs. */
  readonly settle: () => void;
  readonly log: AccessLog;
}

/**
 * An interrupt translation service (GICv3 ITS; IHI 0069, chapter 5): it turns a device's messages into LPIs by
 * tables in guest memory. Physical LPIs only. Nothing is cached: a translation reads what the tables hold. Commands
 * are executed when they are queued; one that cannot be is reported and passed over.
 */
export class InterruptTranslationService implements MmioDevice {
  readonly name = "gic-its";
  readonly size = ITS_SIZE;
  enabled = false;
  /** GITS_CBASER, in halves; GITS_CWRITER and GITS_CREADR. */
  readonly queueBase = new Uint32Array(2);
  writeOffset = 0;
  readOffset = 0;
  /** GITS_BASER<n>, in halves. */
  readonly tableBases = BASER_TYPES.map(() => new Uint32Array(2));
  readonly #options: ItsOptions;
  readonly #tables: ItsTables;
  readonly #registers: RegisterFile<InterruptTranslationService>;

  constructor(options: ItsOptions) {
    this.#options = options;
    this.#tables = new ItsTables(options.memory, this.tableBases[0]!, this.tableBases[1]!);
    this.#registers = new RegisterFile(this.name, ITS_REGISTERS, ITS_SIZE, options.log);
    this.reset();
  }

  read(offset: number, width: AccessWidth): number {
    return this.#registers.read(this, offset, width, false);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#registers.write(this, offset, width, value, false);
    this.#options.settle();
  }

  /** The tables are in memory. */
  stateFields(): readonly StateField[] {
    const offset = ITS_OFFSETS;
    return [
      flagField(
        "enabled",
        () => this.enabled,
        (value) => {
          this.enabled = value;
        },
      ),
      arrayField("queueBase", this.queueBase),
      ...numberFields<keyof typeof offset>(this, offset),
      ...this.tableBases.map((base, index) => arrayField(`tableBase${index}`, base)),
    ];
  }

  /** All of its state: the tables are in memory. */
  *state(): Iterable<number> {
    yield* [this.enabled ? 1 : 0, ...this.queueBase, this.writeOffset, this.readOffset];
    for (const base of this.tableBases) yield* base;
  }

  reset(): void {
    this.enabled = false;
    this.queueBase.fill(0);
    this.writeOffset = 0;
    this.readOffset = 0;
    this.tableBases.forEach((base, index) => {
      base[0] = BASER_RESET_LOW;
      base[1] = (BASER_TYPES[index]! << 24) | ((TABLE_ENTRY - 1) << 16);
    });
  }

  /** A message: event `event` of device `device`. What is mapped nowhere is dropped. */
  translate(device: number, event: number): void {
    if (!this.enabled) return;
    const found = this.#find(device, event);
    if (found === undefined) {
      this.#options.log.report(this.name, `no translation for event ${hex(event)} of device ${hex(device)}`);
      return;
    }
    found.lpis.setPending(found.intid, true);
    this.#options.settle();
  }

  setControl(value: number): void {
    this.enabled = (value & 1) !== 0;
    this.#runCommands();
  }

  setTableBase(index: number, half: number, value: number): void {
    const base = this.tableBases[index];
    if (base === undefined || this.enabled) return;
    base[half] = half === 0 ? value : (base[1]! & BASER_FIXED) | (value & ~BASER_FIXED);
  }

  setQueueBase(half: number, value: number): void {
    if (this.enabled) return;
    this.queueBase[half] = value;
    this.readOffset = 0;
  }

  setWriteOffset(value: number): void {
    this.writeOffset = value & OFFSET_MASK;
    this.#runCommands();
  }

  #runCommands(): void {
    const [low, high] = [this.queueBase[0]!, this.queueBase[1]!];
    if (!this.enabled || (high & QUEUE_VALID) === 0) return;
    const length = ((low & 0xff) + 1) * 0x1000;
    if (this.writeOffset >= length) {
      this.#options.log.report(this.name, `GITS_CWRITER ${hex(this.writeOffset)} is beyond the queue`);
      return;
    }
    const base = (high & 0xf_ffff) * 2 ** 32 + ((low & 0xffff_f000) >>> 0);
    const bytes = new Uint8Array(COMMAND_BYTES);
    const view = new DataView(bytes.buffer);
    while (this.readOffset !== this.writeOffset) {
      const wrong = this.#options.memory.readInto(base + this.readOffset, bytes)
        ? this.#execute(view)
        : "command queue outside memory";
      if (wrong !== undefined) this.#options.log.report(this.name, wrong);
      this.readOffset = (this.readOffset + COMMAND_BYTES) % length;
    }
  }

  /** Returns what is wrong with the command, if anything is. */
  #execute(command: DataView): string | undefined {
    const code = command.getUint8(0);
    const device = command.getUint32(4, true);
    const event = command.getUint32(8, true);
    const collection = command.getUint16(16, true);
    const valid = (command.getUint8(23) & 0x80) !== 0;
    switch (code) {
      case ITS_COMMAND.MAPD:
        return this.#mapDevice(command, device, valid);
      case ITS_COMMAND.MAPC:
        return this.#mapCollection(collection, targetOf(command, 16), valid);
      case ITS_COMMAND.MAPTI:
        return this.#mapEvent(device, event, command.getUint32(12, true), collection);
      case ITS_COMMAND.MAPI:
        return this.#mapEvent(device, event, event, collection);
      case ITS_COMMAND.MOVI:
        return this.#moveEvent(device, event, collection);
      case ITS_COMMAND.MOVALL:
        return this.#moveAll(targetOf(command, 16), targetOf(command, 24));
      case ITS_COMMAND.INT:
      case ITS_COMMAND.CLEAR:
      case ITS_COMMAND.DISCARD:
      case ITS_COMMAND.INV:
        return this.#onEvent(code, device, event);
      case ITS_COMMAND.INVALL: {
        const element = this.#tables.collection(collection);
        const lpis = element === undefined ? undefined : this.#options.lpis[element];
        lpis?.invalidate();
        return lpis === undefined ? `INVALL of collection ${collection}, which is not mapped` : undefined;
      }
      case ITS_COMMAND.SYNC:
        // Everything before has been done.
        return undefined;
      default:
        return `unknown command ${hex(code)}`;
    }
  }

  #mapDevice(command: DataView, device: number, valid: boolean): string | undefined {
    const size = command.getUint8(8) & 0x1f;
    const table =
      (command.getUint32(20, true) & 0xf_ffff) * 2 ** 32 +
      ((command.getUint32(16, true) & 0xffff_ff00) >>> 0);
    if (valid && size >= EVENT_BITS) return `MAPD with ${size + 1} EventID bits`;
    return this.#tables.mapDevice(device, table, valid ? size : undefined)
      ? undefined
      : `MAPD of device ${hex(device)}, which the device table does not hold`;
  }

  #mapCollection(collection: number, target: number, valid: boolean): string | undefined {
    if (valid && this.#options.lpis[target] === undefined) return `MAPC to element ${target}`;
    return this.#tables.mapCollection(collection, valid ? target : undefined)
      ? undefined
      : `MAPC of collection ${collection}, which the collection table does not hold`;
  }

  #mapEvent(device: number, event: number, intid: number, collection: number): string | undefined {
    if (intid < FIRST_LPI || intid >= 2 ** LPI_ID_BITS)
      return `event mapped to INTID ${intid}, which is no LPI`;
    return this.#tables.mapEvent(device, event, { intid, collection })
      ? undefined
      : `event ${hex(event)} of device ${hex(device)} has no place in a table`;
  }

  #moveEvent(device: number, event: number, collection: number): string | undefined {
    const found = this.#find(device, event);
    const element = this.#tables.collection(collection);
    const target = element === undefined ? undefined : this.#options.lpis[element];
    if (found === undefined || target === undefined)
      return `MOVI of event ${hex(event)} of device ${hex(device)} to collection ${collection}`;
    found.lpis.move(found.intid, target);
    return this.#tables.mapEvent(device, event, { intid: found.intid, collection })
      ? undefined
      : "translation table outside memory";
  }

  #moveAll(from: number, to: number): string | undefined {
    const [source, target] = [this.#options.lpis[from], this.#options.lpis[to]];
    if (source === undefined || target === undefined) return `MOVALL from element ${from} to ${to}`;
    source.moveAll(target);
    return undefined;
  }

  #onEvent(code: number, device: number, event: number): string | undefined {
    const found = this.#find(device, event);
    if (found === undefined) return `command ${hex(code)} for event ${hex(event)} of device ${hex(device)}`;
    if (code === ITS_COMMAND.INV) found.lpis.invalidate();
    else found.lpis.setPending(found.intid, code === ITS_COMMAND.INT);
    if (code === ITS_COMMAND.DISCARD) this.#tables.mapEvent(device, event, undefined);
    return undefined;
  }

  /** The LPI of an event and the element it goes to. */
  #find(device: number, event: number): { intid: number; lpis: LpiState } | undefined {
    const translation = this.#tables.event(device, event);
    if (translation === undefined) return undefined;
    const element = this.#tables.collection(translation.collection);
    const lpis = element === undefined ? undefined : this.#options.lpis[element];
    return lpis === undefined ? undefined : { intid: translation.intid, lpis };
  }
}

/** RDbase of a command: bits 50:16 of a double word, a processing element's number. */
function targetOf(command: DataView, at: number): number {
  return (command.getUint32(at + 4, true) & 0x7_ffff) * 2 ** 16 + command.getUint16(at + 2, true);
}

/** GITS_* (IHI 0069, tables 12-33 and 12-34). 64-bit registers are two elements. */
export const ITS_REGISTERS: readonly Register<InterruptTranslationService>[] = [
  {
    name: "GITS_CTLR",
    offset: 0x0,
    read: ({ enabled }) => QUIESCENT + (enabled ? 1 : 0),
    write: (its, value) => its.setControl(value),
  },
  { name: "GITS_IIDR", offset: 0x4, read: () => IIDR },
  { name: "GITS_TYPER", offset: 0x8, count: 2, read: (_, half) => TYPER[half]! },
  { name: "GITS_MPAMIDR", offset: 0x10, read: () => 0 },
  { name: "GITS_PARTIDR", offset: 0x14, read: () => 0 },
  { name: "GITS_MPIDR", offset: 0x18, read: () => 0 },
  { name: "GITS_STATUSR", offset: 0x40, read: () => 0 },
  { name: "GITS_UMSIR", offset: 0x48, count: 2, read: () => 0 },
  {
    name: "GITS_CBASER",
    offset: 0x80,
    count: 2,
    read: ({ queueBase }, half) => queueBase[half]!,
    write: (its, value, half) => its.setQueueBase(half, value),
  },
  {
    name: "GITS_CWRITER",
    offset: 0x88,
    count: 2,
    read: ({ writeOffset }, half) => (half === 0 ? writeOffset : 0),
    write: (its, value, half) => {
      if (half === 0) its.setWriteOffset(value);
    },
  },
  {
    name: "GITS_CREADR",
    offset: 0x90,
    count: 2,
    read: ({ readOffset }, half) => (half === 0 ? readOffset : 0),
  },
  {
    name: "GITS_BASER<n>",
    offset: 0x100,
    count: 2 * BASERS,
    read: ({ tableBases }, half) => tableBases[half >>> 1]?.[half & 1] ?? 0,
    write: (its, value, half) => its.setTableBase(half >>> 1, half & 1, value),
  },
  ...identificationRows<InterruptTranslationService>(0xffd0, identification(0x94)),
  // A write by a processing element, which has no DeviceID of its own, counts as device 0's, as on QEMU.
  { name: "GITS_TRANSLATER", offset: GITS_TRANSLATER, write: (its, value) => its.translate(0, value) },
];
