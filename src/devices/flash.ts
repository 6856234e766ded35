import { hex } from "../base/bits.ts";
import { arrayField, choiceField, flagField, numberField, type StateField } from "../base/state-fields.ts";
import type { AccessWidth, MmioDevice } from "../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "./access-log.ts";
import { FLASH_QUERY, FLASH_SECTOR, FLASH_WRITE_BUFFER } from "./flash-query.ts";

/** Where the contents of a flash bank live. Offsets and lengths stay inside the bank. */
export interface FlashStorage {
  readInto(offset: number, target: Uint8Array): void;
  /** False when the bytes could not be kept: the guest is told that programming or erasing failed. */
  write(offset: number, bytes: Uint8Array): boolean;
}

/** What a flash chip holds and is wired to. */
export interface FlashOptions {
  readonly name?: string;
  /** Bytes of the bank: a multiple of 256 KiB, at most 64 MiB. */
  readonly size: number;
  readonly storage: FlashStorage;
  /**
   * Called when the bank enters (true) or leaves (false) array mode: in array mode the guest reads and executes
   * the contents as ROM, in the others every access must reach this device. After power-on it is in array mode.
   */
  readonly onModeChange: (arrayMode: boolean) => void;
  readonly log?: AccessLog;
}

/** Commands of the Intel set (CFI 0x0001) that are understood. */
const COMMAND = {
  READ_ARRAY: 0xff,
  READ_IDENTIFIER: 0x90,
  READ_QUERY: 0x98,
  READ_STATUS: 0x70,
  CLEAR_STATUS: 0x50,
  PROGRAM: 0x40,
  PROGRAM_ALTERNATIVE: 0x10,
  ERASE: 0x20,
  WRITE_BUFFER: 0xe8,
  LOCK: 0x60,
  CONFIRM: 0xd0,
} as const;

/** Status register bits: ready; erase and program failed. Both set: the command sequence was wrong. */
const READY = 1 << 7;
const ERASE_ERROR = 1 << 5;
const PROGRAM_ERROR = 1 << 4;
const SEQUENCE_ERROR = ERASE_ERROR | PROGRAM_ERROR;

/** Manufacturer Intel, device 0x18, as on QEMU. */
const IDENTIFIER = [0x89, 0x18];

const MODES = ["array", "identifier", "query", "status"] as const;
type Mode = (typeof MODES)[number];
/** What the next write means. */
const EXPECTATIONS = [
  "command",
  "program-data",
  "erase-confirm",
  "lock-confirm",
  "count",
  "buffer",
  "confirm",
] as const;
type Expects = (typeof EXPECTATIONS)[number];

/**
 * One bank of NOR flash as on QEMU's `virt`: two 16-bit devices side by side on 32 wires, Intel command set.
 * Both devices get the same commands; the low byte of a write is what counts. Programming clears bits and
 * erasing sets them, a sector of 256 KiB at a time.
 */
export class Flash implements MmioDevice {
  readonly name: string;
  readonly size: number;
  readonly #storage: FlashStorage;
  readonly #onModeChange: (arrayMode: boolean) => void;
  readonly #log: AccessLog;
  #mode: Mode = "array";
  #expects: Expects = "command";
  #status = READY;
  /** The buffered write under way: start of its block, bytes to clear bits with, writes still to come. */
  readonly #buffer = new Uint8Array(FLASH_WRITE_BUFFER);
  #bufferStart = -1;
  #bufferLeft = 0;
  #bufferFailed = false;

  constructor(options: FlashOptions) {
    this.name = options.name ?? "flash";
    this.size = options.size;
    this.#storage = options.storage;
    this.#onModeChange = options.onModeChange;
    this.#log = options.log ?? SILENT_LOG;
  }

  reset(): void {
    this.#expects = "command";
    this.#status = READY;
    this.#setMode("array");
  }

  /** The contents are a stream's own: they are large. */
  stateFields(): readonly StateField[] {
    return [
      choiceField(
        "mode",
        MODES,
        () => this.#mode,
        (value) => {
          this.#mode = value;
        },
      ),
      choiceField(
        "expects",
        EXPECTATIONS,
        () => this.#expects,
        (value) => {
          this.#expects = value;
        },
      ),
      numberField(
        "status",
        0xff,
        () => this.#status,
        (value) => {
          this.#status = value;
        },
      ),
      arrayField("buffer", this.#buffer),
      numberField(
        "bufferStart",
        this.size - FLASH_WRITE_BUFFER,
        () => this.#bufferStart,
        (value) => {
          this.#bufferStart = value;
        },
        -1,
      ),
      numberField(
        "bufferLeft",
        0x1_0000,
        () => this.#bufferLeft,
        (value) => {
          this.#bufferLeft = value;
        },
      ),
      flagField(
        "bufferFailed",
        () => this.#bufferFailed,
        (value) => {
          this.#bufferFailed = value;
        },
      ),
    ];
  }

  stateRestored(): void {
    if (this.#bufferStart < 0 && this.#expects === "confirm") this.#bufferFailed = true;
    if (this.#mode !== "array") this.#onModeChange(false);
  }

  read(offset: number, width: AccessWidth): number {
    const word = this.#mode === "array" ? undefined : this.#answer(offset >>> 2);
    if (word === undefined) {
      const bytes = new Uint8Array(width);
      this.#storage.readInto(offset, bytes);
      return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
    }
    // Devices that are not in array mode give their word whatever bytes of it are asked for, as on QEMU.
    return width === 4 ? word : word & (width === 2 ? 0xffff : 0xff);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    switch (this.#expects) {
      case "command":
        this.#command(value & 0xff);
        return;
      case "program-data":
        this.#finish(this.#program(offset, littleEndian(value, width)));
        return;
      case "erase-confirm":
        if ((value & 0xff) !== COMMAND.CONFIRM) {
          this.#finish(READY | SEQUENCE_ERROR);
          return;
        }
        this.#finish(this.#erase(offset));
        return;
      case "lock-confirm":
        // Locking is accepted and does nothing.
        this.#finish(READY);
        return;
      case "count":
        this.#beginBuffer(value & 0xffff);
        return;
      case "buffer":
        this.#fillBuffer(offset, littleEndian(value, width));
        return;
      case "confirm":
        this.#commitBuffer(value & 0xff);
        return;
    }
  }

  #command(command: number): void {
    switch (command) {
      case COMMAND.READ_IDENTIFIER:
        this.#setMode("identifier");
        return;
      case COMMAND.READ_QUERY:
        this.#setMode("query");
        return;
      case COMMAND.READ_STATUS:
        this.#setMode("status");
        return;
      case COMMAND.CLEAR_STATUS:
        // The ready bit comes back with the next operation, as on QEMU.
        this.#status = 0;
        this.#setMode("status");
        return;
      case COMMAND.PROGRAM:
      case COMMAND.PROGRAM_ALTERNATIVE:
        this.#begin("program-data");
        return;
      case COMMAND.ERASE:
        this.#begin("erase-confirm");
        return;
      case COMMAND.LOCK:
        this.#begin("lock-confirm");
        return;
      case COMMAND.WRITE_BUFFER:
        this.#begin("count");
        return;
      default:
        if (command !== COMMAND.READ_ARRAY && command !== 0 && command !== 0xf0)
          this.#log.report(this.name, `unknown command ${hex(command)}`);
        this.#setMode("array");
        return;
    }
  }

  #begin(expects: Expects): void {
    this.#expects = expects;
    this.#status |= READY;
    this.#setMode("status");
  }

  #finish(status: number): void {
    this.#expects = "command";
    this.#status |= status;
  }

  /** `count` is one less than the writes to come; a block never crosses a multiple of the buffer's size. */
  #beginBuffer(count: number): void {
    this.#bufferLeft = count + 1;
    this.#bufferStart = -1;
    this.#bufferFailed = this.#bufferLeft * 2 > FLASH_WRITE_BUFFER;
    this.#buffer.fill(0xff);
    this.#expects = "buffer";
  }

  #fillBuffer(offset: number, bytes: Uint8Array): void {
    if (this.#bufferStart < 0) this.#bufferStart = offset - (offset % FLASH_WRITE_BUFFER);
    const place = offset - this.#bufferStart;
    if (place < 0 || place + bytes.length > FLASH_WRITE_BUFFER) this.#bufferFailed = true;
    else this.#buffer.set(bytes, place);
    this.#bufferLeft--;
    if (this.#bufferLeft === 0) this.#expects = "confirm";
  }

  #commitBuffer(command: number): void {
    if (command !== COMMAND.CONFIRM || this.#bufferFailed) {
      this.#log.report(this.name, "buffered write abandoned");
      this.#finish(READY | SEQUENCE_ERROR);
      return;
    }
    this.#finish(this.#program(this.#bufferStart, this.#buffer));
  }

  /** Clears bits; the result is the status. */
  #program(offset: number, bytes: Uint8Array): number {
    const old = new Uint8Array(bytes.length);
    this.#storage.readInto(offset, old);
    const kept = this.#storage.write(
      offset,
      bytes.map((byte, index) => byte & old[index]!),
    );
    return kept ? READY : READY | PROGRAM_ERROR;
  }

  /** Sets the bits of a sector; the result is the status. */
  #erase(offset: number): number {
    const erased = new Uint8Array(FLASH_SECTOR).fill(0xff);
    const kept = this.#storage.write(offset - (offset % FLASH_SECTOR), erased);
    return kept ? READY : READY | ERASE_ERROR;
  }

  #setMode(mode: Mode): void {
    const changed = (mode === "array") !== (this.#mode === "array");
    this.#mode = mode;
    if (changed) this.#onModeChange(mode === "array");
  }

  /** Both devices' answer at a word of the bank, outside array mode. */
  #answer(word: number): number {
    const index = word & 0xff;
    switch (this.#mode) {
      case "array":
        return 0;
      case "identifier":
        return both(IDENTIFIER[index] ?? 0);
      case "query":
        return both(FLASH_QUERY[index] ?? 0);
      case "status":
        return both(this.#status);
    }
  }
}

/** The same 16 bits from both devices. */
function both(value: number): number {
  return (value << 16) | value;
}

function littleEndian(value: number, width: AccessWidth): Uint8Array {
  return Uint8Array.from({ length: width }, (_, index) => (value >>> (8 * index)) & 0xff);
}
