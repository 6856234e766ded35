import type { InterruptLine } from "../base/interrupt-line.ts";
import { listField, numberFields, type StateField } from "../base/state-fields.ts";
import type { AccessWidth, MmioDevice } from "../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "./access-log.ts";
import type { ByteSink } from "./byte-sink.ts";
import { InputQueue } from "./input-queue.ts";
import { identificationRows, type Register, RegisterFile } from "./register-table.ts";

const SIZE = 0x1000;
const FIFO_DEPTH = 16;

/** UARTFR fields. */
const FR = { RXFE: 1 << 4, RXFF: 1 << 6, TXFE: 1 << 7 } as const;
/** UARTLCR_H.FEN: FIFOs in use; without, there is room for one byte. */
const FIFO_ENABLE = 1 << 4;
/** UARTCR.LBE: what is sent comes back instead of going out. */
const LOOPBACK = 1 << 7;
/** Interrupt bits of UARTIMSC, UARTRIS, UARTMIS and UARTICR. */
const INTERRUPT = { RX: 1 << 4, TX: 1 << 5 } as const;
const INTERRUPT_MASK = 0x7ff;

/** What the registers act on; see {@link Pl011}. */
interface Uart {
  readonly fifo: number[];
  lineControl: number;
  control: number;
  fifoLevel: number;
  mask: number;
  raw: number;
  integerDivisor: number;
  fractionalDivisor: number;
  lowPower: number;
  dma: number;
  readData(): number;
  writeData(value: number): void;
  setLineControl(value: number): void;
  update(): void;
}

/** Arm DDI 0183 (PL011), table 3-1. */
export const PL011_REGISTERS: readonly Register<Uart>[] = [
  {
    name: "UARTDR",
    offset: 0x00,
    read: (uart) => uart.readData(),
    write: (uart, value) => uart.writeData(value),
  },
  // Errors cannot happen on this line.
  { name: "UARTRSR/UARTECR", offset: 0x04, read: () => 0, write: () => {} },
  {
    name: "UARTFR",
    offset: 0x18,
    read: ({ fifo, lineControl }) => {
      const depth = lineControl & FIFO_ENABLE ? FIFO_DEPTH : 1;
      return FR.TXFE | (fifo.length === 0 ? FR.RXFE : 0) | (fifo.length >= depth ? FR.RXFF : 0);
    },
  },
  field("UARTILPR", 0x20, "lowPower", 0xff),
  field("UARTIBRD", 0x24, "integerDivisor", 0xffff),
  field("UARTFBRD", 0x28, "fractionalDivisor", 0x3f),
  {
    name: "UARTLCR_H",
    offset: 0x2c,
    read: (uart) => uart.lineControl,
    write: (uart, value) => uart.setLineControl(value & 0xff),
  },
  field("UARTCR", 0x30, "control", 0xffff),
  field("UARTIFLS", 0x34, "fifoLevel", 0x3f),
  {
    name: "UARTIMSC",
    offset: 0x38,
    read: (uart) => uart.mask,
    write: (uart, value) => {
      uart.mask = value & INTERRUPT_MASK;
      uart.update();
    },
  },
  { name: "UARTRIS", offset: 0x3c, read: (uart) => uart.raw },
  { name: "UARTMIS", offset: 0x40, read: (uart) => uart.raw & uart.mask },
  {
    name: "UARTICR",
    offset: 0x44,
    write: (uart, value) => {
      uart.raw &= ~value;
      uart.update();
    },
  },
  // There is no DMA controller; the register only remembers.
  field("UARTDMACR", 0x48, "dma", 0x7),
  ...identificationRows<Uart>(0xfe0, [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]),
];

/** What the registers hold, with the greatest values. */
const STATE_LIMITS = {
  lineControl: 0xff,
  control: 0xffff,
  fifoLevel: 0x3f,
  mask: INTERRUPT_MASK,
  raw: INTERRUPT_MASK,
  integerDivisor: 0xffff,
  fractionalDivisor: 0x3f,
  lowPower: 0xff,
  dma: 0x7,
} as const;

type Field = "lowPower" | "integerDivisor" | "fractionalDivisor" | "control" | "fifoLevel" | "dma";

function field(name: string, offset: number, key: Field, mask: number): Register<Uart> {
  return {
    name,
    offset,
    read: (uart) => uart[key],
    write: (uart, value) => {
      uart[key] = value & mask;
    },
  };
}

/**
 * Arm PrimeCell UART (PL011). Bytes leave at once, so the transmitter is always empty; they leave whether or not
 * UARTCR enables it, and the receive interrupt comes with the first byte whatever UARTIFLS says, as on QEMU.
 */
export class Pl011 implements MmioDevice, Uart {
  readonly name: string;
  readonly size = SIZE;
  readonly fifo: number[] = [];
  lineControl = 0;
  control = 0x300;
  fifoLevel = 0x12;
  mask = 0;
  raw = 0;
  integerDivisor = 0;
  fractionalDivisor = 0;
  lowPower = 0;
  dma = 0;
  readonly #input = new InputQueue(() => this.#fill());
  readonly #registers: RegisterFile<Uart>;
  readonly #line: InterruptLine;
  readonly #output: ByteSink;

  constructor(options: { name?: string; line: InterruptLine; output: ByteSink; log?: AccessLog }) {
    this.name = options.name ?? "pl011";
    this.#line = options.line;
    this.#output = options.output;
    this.#registers = new RegisterFile<Uart>(this.name, PL011_REGISTERS, SIZE, options.log ?? SILENT_LOG);
  }

  read(offset: number, width: AccessWidth): number {
    return this.#registers.read(this, offset, width, false);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#registers.write(this, offset, width, value, false);
  }

  reset(): void {
    this.fifo.length = 0;
    this.lineControl = 0;
    this.control = 0x300;
    this.fifoLevel = 0x12;
    this.mask = 0;
    this.raw = 0;
    this.integerDivisor = 0;
    this.fractionalDivisor = 0;
    this.lowPower = 0;
    this.dma = 0;
    this.update();
    this.#fill();
  }

  stateFields(): readonly StateField[] {
    const fifo = listField(
      "fifo",
      { longest: FIFO_DEPTH, most: 0xff },
      () => this.fifo,
      (bytes) => this.fifo.splice(0, this.fifo.length, ...bytes),
    );
    return [...numberFields<keyof typeof STATE_LIMITS>(this, STATE_LIMITS), fifo, this.#input.stateField()];
  }

  stateRestored(): void {
    this.update();
  }

  /** Sends bytes into the guest. Resolves when the last of them is in the receive FIFO. */
  receive(bytes: Uint8Array): Promise<void> {
    return this.#input.receive(bytes);
  }

  readData(): number {
    const byte = this.fifo.shift() ?? 0;
    if (this.fifo.length === 0) this.raw &= ~INTERRUPT.RX;
    this.#fill();
    this.update();
    return byte;
  }

  writeData(value: number): void {
    const byte = value & 0xff;
    if (this.control & LOOPBACK) this.#push(byte);
    else this.#output.write(Uint8Array.of(byte));
    this.raw |= INTERRUPT.TX;
    this.update();
  }

  setLineControl(value: number): void {
    // Switching the FIFOs on or off empties them (DDI 0183, 3.3.7).
    if ((this.lineControl ^ value) & FIFO_ENABLE) this.fifo.length = 0;
    this.lineControl = value;
    this.#fill();
  }

  update(): void {
    this.#line.set((this.raw & this.mask) !== 0);
  }

  get #depth(): number {
    return this.lineControl & FIFO_ENABLE ? FIFO_DEPTH : 1;
  }

  #push(byte: number): void {
    if (this.fifo.length >= this.#depth) return;
    this.fifo.push(byte);
    this.raw |= INTERRUPT.RX;
  }

  #fill(): void {
    while (this.fifo.length < this.#depth) {
      const byte = this.#input.takeByte();
      if (byte === undefined) break;
      this.#push(byte);
    }
    this.update();
  }
}
