/** Connections to controllers that ACPI calls general purpose I/O and serial buses: ACPI 6.5, section 6.4.3.8. */

import { concatenate } from "../../base/bytes.ts";
import { littleEndian, zeroTerminated } from "./bytes.ts";
import { type InterruptSignal, largeDescriptor } from "./resources.ts";

const TAG = { gpio: 0x8c, serialBus: 0x8e } as const;
const GPIO_REVISION = 1;
const SERIAL_BUS_REVISION = 2;
const BUS_DATA_REVISION = 1;
const CONSUMER = 1;
const SOURCE_INDEX = 0;

const PULL = { default: 0, up: 1, down: 2, none: 3 } as const;

/** Bias of a pin. */
export type GpioPull = keyof typeof PULL;

/** Pins of one GPIO controller; `controller` is the path of its device. */
export interface GpioConnection {
  readonly controller: string;
  readonly pins: readonly number[];
  readonly pull?: GpioPull;
  readonly sharing?: "exclusive" | "shared";
}

/** What a driver may do with pins. */
export type GpioDirection = "none" | "input" | "output" | "preserve";

const DIRECTION: Readonly<Record<GpioDirection, number>> = { none: 0, input: 1, output: 2, preserve: 3 };
const POLARITY = { "active-high": 0, "active-low": 1, "active-both": 2 } as const;

/** Pins that are read or driven. */
export function gpioIo(connection: GpioConnection, direction: GpioDirection = "none"): Uint8Array {
  const flags = DIRECTION[direction] | (connection.sharing === "shared" ? 1 << 3 : 0);
  return gpio(1, flags, connection);
}

/** A pin that interrupts. */
export function gpioInt(connection: GpioConnection, signal: InterruptSignal): Uint8Array {
  const flags =
    (signal.mode === "edge" ? 1 : 0) |
    (POLARITY[signal.polarity] << 1) |
    (signal.sharing === "shared" ? 1 << 3 : 0) |
    (signal.wake === true ? 1 << 4 : 0);
  return gpio(0, flags, connection);
}

/** Bytes before the table of pins, with tag and length. */
const GPIO_HEAD = 23;

function gpio(
  type: 0 | 1,
  flags: number,
  { controller, pins, pull = "default" }: GpioConnection,
): Uint8Array {
  const source = zeroTerminated(controller);
  const sourceOffset = GPIO_HEAD + 2 * pins.length;
  const [driveStrength, debounce, vendorLength] = [0, 0, 0];
  return largeDescriptor(
    TAG.gpio,
    Uint8Array.of(GPIO_REVISION, type),
    littleEndian(CONSUMER, 2),
    littleEndian(flags, 2),
    Uint8Array.of(PULL[pull]),
    littleEndian(driveStrength, 2),
    littleEndian(debounce, 2),
    littleEndian(GPIO_HEAD, 2),
    Uint8Array.of(SOURCE_INDEX),
    littleEndian(sourceOffset, 2),
    littleEndian(sourceOffset + source.length, 2),
    littleEndian(vendorLength, 2),
    ...pins.map((pin) => littleEndian(pin, 2)),
    source,
  );
}

const BUS = { i2c: 1, spi: 2, uart: 3 } as const;

function serialBus(
  bus: keyof typeof BUS,
  flags: number,
  controller: string,
  ...facts: Uint8Array[]
): Uint8Array {
  const data = concatenate(...facts);
  return largeDescriptor(
    TAG.serialBus,
    // The device is addressed by its controller, and consumes the connection.
    Uint8Array.of(SERIAL_BUS_REVISION, SOURCE_INDEX, BUS[bus], CONSUMER << 1),
    littleEndian(flags, 2),
    Uint8Array.of(BUS_DATA_REVISION),
    littleEndian(data.length, 2),
    data,
    zeroTerminated(controller),
  );
}

/** A device on an I2C bus (`I2cSerialBusV2`). */
export interface I2cConnection {
  readonly controller: string;
  /** 7 bits, or 10 with `tenBits`. */
  readonly address: number;
  readonly tenBits?: boolean;
  /** Hertz. */
  readonly speed: number;
}

export function i2cSerialBus({ controller, address, tenBits, speed }: I2cConnection): Uint8Array {
  const flags = tenBits === true ? 1 : 0;
  return serialBus("i2c", flags, controller, littleEndian(speed, 4), littleEndian(address, 2));
}

/** A device on an SPI bus (`SpiSerialBusV2`). */
export interface SpiConnection {
  readonly controller: string;
  readonly chipSelect: number;
  /** Hertz. */
  readonly speed: number;
  readonly bitsPerWord?: number;
  /** The clock idles high. */
  readonly clockHigh?: boolean;
  /** Data is taken at the second edge. */
  readonly secondEdge?: boolean;
  readonly threeWires?: boolean;
  readonly selectHigh?: boolean;
}

export function spiSerialBus(connection: SpiConnection): Uint8Array {
  const { controller, chipSelect, speed, bitsPerWord = 8 } = connection;
  const flags = (connection.threeWires === true ? 1 : 0) | (connection.selectHigh === true ? 2 : 0);
  const phase = connection.secondEdge === true ? 1 : 0;
  const polarity = connection.clockHigh === true ? 1 : 0;
  return serialBus(
    "spi",
    flags,
    controller,
    littleEndian(speed, 4),
    Uint8Array.of(bitsPerWord, phase, polarity),
    littleEndian(chipSelect, 2),
  );
}

/** A device at the other end of a serial line (`UartSerialBusV2`), with 8 bits, no parity, one stop bit. */
export interface UartConnection {
  readonly controller: string;
  /** Bits a second at the beginning. */
  readonly speed: number;
  readonly hardwareFlowControl?: boolean;
}

const UART_EIGHT_BITS = 3 << 4;
const UART_ONE_STOP_BIT = 1 << 2;
const UART_HARDWARE_FLOW_CONTROL = 1;
/** RTS and CTS (bits 7 and 6). */
const UART_HANDSHAKE_LINES = 0xc0;

export function uartSerialBus({ controller, speed, hardwareFlowControl }: UartConnection): Uint8Array {
  const handshake = hardwareFlowControl === true;
  const flags = UART_EIGHT_BITS | UART_ONE_STOP_BIT | (handshake ? UART_HARDWARE_FLOW_CONTROL : 0);
  const [receiveFifo, transmitFifo, parity] = [0, 0, 0];
  return serialBus(
    "uart",
    flags,
    controller,
    littleEndian(speed, 4),
    littleEndian(receiveFifo, 2),
    littleEndian(transmitFifo, 2),
    Uint8Array.of(parity, handshake ? UART_HANDSHAKE_LINES : 0),
  );
}
