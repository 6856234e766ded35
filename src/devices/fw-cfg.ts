import { numberField, type StateField } from "../base/state-fields.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { AccessWidth, MmioDevice } from "../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG, unknownAccess } from "./access-log.ts";

/** A named blob that firmware and guests find through the file directory. */
export interface FirmwareFile {
  /** At most 55 ASCII characters, such as "etc/table-loader". */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The guest may write it through DMA; `written` is called after each write. */
  readonly writable?: boolean;
  readonly written?: () => void;
}

/** What the firmware configuration device offers. */
export interface FwCfgOptions {
  readonly memory: GuestMemory;
  readonly files?: readonly FirmwareFile[];
  /** Items by fixed selector ({@link FW_CFG_ITEM}) that have no name. */
  readonly items?: ReadonlyMap<number, Uint8Array>;
  readonly log?: AccessLog;
}

/** Fixed selectors (QEMU's fw_cfg specification, "Standard keys"). */
export const FW_CFG_ITEM = {
  SIGNATURE: 0x00,
  ID: 0x01,
  RAM_SIZE: 0x03,
  CPU_COUNT: 0x05,
  KERNEL_SIZE: 0x08,
  INITRD_SIZE: 0x0b,
  KERNEL_DATA: 0x11,
  INITRD_DATA: 0x12,
  COMMAND_LINE_SIZE: 0x14,
  COMMAND_LINE_DATA: 0x15,
  FILE_DIRECTORY: 0x19,
  FIRST_FILE: 0x20,
} as const;

/** Offsets of the registers; DMA is a big-endian 64-bit address whose low half starts the transfer. */
export const FW_CFG_REGISTERS = { DATA: 0x0, SELECTOR: 0x8, DMA_HIGH: 0x10, DMA_LOW: 0x14 } as const;

const SIZE = 0x18;
/** What the DMA register reads as: "QEMU CFG". */
const DMA_SIGNATURE = [0x554d4551, 0x47464320] as const;
/** ID: traditional interface and DMA. */
const FEATURES = 3;
/** Bits of a selector that do not name an item: architecture-local space and write mode. */
const SELECTOR_MASK = 0x3fff;

/** Bits of a DMA access's control word. The upper half may hold a selector. */
const CONTROL = { ERROR: 1, READ: 2, SKIP: 4, SELECT: 8, WRITE: 16 } as const;
const DIRECTORY_NAME = 56;
const CHUNK = 1 << 16;

interface Item {
  readonly bytes: Uint8Array;
  readonly file?: FirmwareFile;
}

/**
 * QEMU's firmware configuration device as on the `virt` board. The selector and the DMA address are big-endian;
 * the data register hands out an item's bytes in memory order, at any width.
 */
export class FwCfg implements MmioDevice {
  readonly name = "fw-cfg";
  readonly size = SIZE;
  readonly #memory: GuestMemory;
  readonly #log: AccessLog;
  readonly #items = new Map<number, Item>();
  #selected = 0;
  #position = 0;
  #dmaHigh = 0;

  constructor({ memory, files = [], items = new Map(), log = SILENT_LOG }: FwCfgOptions) {
    this.#memory = memory;
    this.#log = log;
    this.#items.set(FW_CFG_ITEM.SIGNATURE, { bytes: ascii("QEMU") });
    this.#items.set(FW_CFG_ITEM.ID, { bytes: Uint8Array.of(FEATURES, 0, 0, 0) });
    for (const [selector, bytes] of items) this.#items.set(selector, { bytes });
    const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    this.#items.set(FW_CFG_ITEM.FILE_DIRECTORY, { bytes: directory(sorted) });
    for (const [index, file] of sorted.entries())
      this.#items.set(FW_CFG_ITEM.FIRST_FILE + index, { bytes: file.bytes, file });
  }

  reset(): void {
    this.#selected = 0;
    this.#position = 0;
    this.#dmaHigh = 0;
  }

  stateFields(): readonly StateField[] {
    return [
      numberField(
        "selected",
        SELECTOR_MASK,
        () => this.#selected,
        (value) => {
          this.#selected = value;
        },
      ),
      numberField(
        "position",
        2 ** 53 - 1,
        () => this.#position,
        (value) => {
          this.#position = value;
        },
      ),
      numberField(
        "dmaHigh",
        0xffff_ffff,
        () => this.#dmaHigh,
        (value) => {
          this.#dmaHigh = value;
        },
      ),
    ];
  }

  read(offset: number, width: AccessWidth): number {
    if (offset < FW_CFG_REGISTERS.SELECTOR) return this.#readData(width);
    if (offset >= FW_CFG_REGISTERS.DMA_HIGH) {
      const word = DMA_SIGNATURE[(offset - FW_CFG_REGISTERS.DMA_HIGH) >>> 2] ?? 0;
      const shifted = word >>> ((offset & 3) * 8);
      return width === 4 ? shifted : shifted & (width === 2 ? 0xffff : 0xff);
    }
    this.#log.report(this.name, unknownAccess("read", offset, width));
    return 0;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    if (offset === FW_CFG_REGISTERS.SELECTOR && width === 2) this.#select(swap16(value));
    else if (offset === FW_CFG_REGISTERS.DMA_HIGH && width === 4) this.#dmaHigh = swap32(value);
    else if (offset === FW_CFG_REGISTERS.DMA_LOW && width === 4) {
      const address = this.#dmaHigh * 2 ** 32 + swap32(value);
      this.#dmaHigh = 0;
      this.#transfer(address);
    } else this.#log.report(this.name, unknownAccess("write", offset, width));
  }

  #select(selector: number): void {
    this.#selected = selector & SELECTOR_MASK;
    this.#position = 0;
  }

  #readData(width: AccessWidth): number {
    const bytes = this.#items.get(this.#selected)?.bytes;
    let value = 0;
    for (let i = 0; i < width; i++) value += (bytes?.[this.#position++] ?? 0) * 2 ** (8 * i);
    return value;
  }

  /** Carries out the FWCfgDmaAccess structure at `address`: control, length and address, all big-endian. */
  #transfer(address: number): void {
    const request = new Uint8Array(16);
    if (address > 2 ** 48 || !this.#memory.readInto(address, request)) {
      this.#log.report(this.name, "DMA request outside memory");
      return;
    }
    const view = new DataView(request.buffer);
    const control = view.getUint32(0);
    const length = view.getUint32(4);
    const target = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
    if (control & CONTROL.SELECT) this.#select(control >>> 16);
    let succeeded = true;
    if (control & CONTROL.READ) succeeded = this.#copyOut(target, length);
    else if (control & CONTROL.WRITE) succeeded = this.#copyIn(target, length);
    else if (control & CONTROL.SKIP) this.#position += length;
    this.#memory.write32(address, succeeded ? 0 : swap32(CONTROL.ERROR));
  }

  /** Past an item's end come zeros. */
  #copyOut(target: number, length: number): boolean {
    if (target > 2 ** 48 || !this.#memory.isMemory(target, length)) return false;
    const bytes = this.#items.get(this.#selected)?.bytes ?? new Uint8Array(0);
    const available = Math.max(0, Math.min(length, bytes.length - this.#position));
    const piece = bytes.subarray(this.#position, this.#position + available);
    this.#position += length;
    if (available > 0 && !this.#memory.write(target, piece)) return false;
    const zeros = new Uint8Array(Math.min(CHUNK, length - available));
    for (let done = available; done < length; done += zeros.length) {
      if (!this.#memory.write(target + done, zeros.subarray(0, Math.min(zeros.length, length - done))))
        return false;
    }
    return true;
  }

  #copyIn(source: number, length: number): boolean {
    const item = this.#items.get(this.#selected);
    const position = this.#position;
    if (item?.file?.writable !== true || position + length > item.bytes.length || source > 2 ** 48)
      return false;
    const piece = item.bytes.subarray(position, position + length);
    if (!this.#memory.readInto(source, piece)) return false;
    this.#position += length;
    item.file.written?.();
    return true;
  }
}

/** FWCfgFiles: a count, then size, selector and name of each file, big-endian. */
function directory(files: readonly FirmwareFile[]): Uint8Array {
  const entry = 8 + DIRECTORY_NAME;
  const bytes = new Uint8Array(4 + files.length * entry);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, files.length);
  files.forEach((file, index) => {
    const start = 4 + index * entry;
    view.setUint32(start, file.bytes.length);
    view.setUint16(start + 4, FW_CFG_ITEM.FIRST_FILE + index);
    bytes.set(ascii(file.name).subarray(0, DIRECTORY_NAME - 1), start + 8);
  });
  return bytes;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0x7f);
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

function swap32(value: number): number {
  return ((swap16(value & 0xffff) << 16) | swap16(value >>> 16)) >>> 0;
}
