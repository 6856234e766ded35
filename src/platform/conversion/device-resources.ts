import { gpioInt, gpioIo, i2cSerialBus, spiSerialBus, uartSerialBus } from "../aml/connections.ts";
import type { PropertyElement } from "../aml/device-properties.ts";
import { extendedInterrupt, memory32Fixed, qwordMemory, resourceTemplate } from "../aml/resources.ts";
import type { PhysicalRange } from "./addresses.ts";
import type { NamedConversion } from "./context.ts";
import { pinNumber, type Wire } from "./interrupts.ts";
import type { TreeNode } from "./tree-index.ts";

const FOUR_GIBIBYTES = 2 ** 32;
/** Hertz of an I2C bus that does not say it, and of an SPI device. */
const I2C_STANDARD_SPEED = 100_000;
const SPI_DEFAULT_SPEED = 1_000_000;
const UART_DEFAULT_SPEED = 115_200;
/** Flags of an I2C address (Linux, "bindings/i2c/i2c.h"): ten bits; the address is the controller's own. */
const I2C_TEN_BITS = 0x8000_0000;
const I2C_OWN_ADDRESS = 0x4000_0000;
/** Flags of a pin's last cell. */
const GPIO_ACTIVE_LOW = 1;

/** Kinds of buses whose devices have a connection descriptor instead of registers. */
export type SerialBus = "i2c" | "spi" | "uart";

/** The bus that a node hangs on, by the name that the bindings ask of its parent. */
export function serialBusOf(node: TreeNode): SerialBus | undefined {
  const parent = node.parent;
  if (parent === undefined) return undefined;
  const addressed =
    node.cells("reg") !== undefined &&
    parent.cell("#address-cells") === 1 &&
    parent.cell("#size-cells") === 0;
  if (addressed && /^i2c(\d|-|$)/.test(parent.baseName)) return "i2c";
  if (addressed && /^spi(\d|$)/.test(parent.baseName)) return "spi";
  if (/^serial$|^uart\d*$/.test(parent.baseName) && !node.has("reg") && node.compatible.length > 0)
    return "uart";
  return undefined;
}

/** Gathers the resource descriptors of one device, and counts the pins among them. */
export class DeviceResources {
  readonly #descriptors: Uint8Array[] = [];
  readonly #conversion: NamedConversion;
  readonly #path: string;
  #pins = 0;

  /** `path` is the device's own. */
  constructor(conversion: NamedConversion, path: string) {
    this.#conversion = conversion;
    this.#path = path;
  }

  /** The _CRS buffer; undefined for a device without resources. */
  template(): Uint8Array | undefined {
    return this.#descriptors.length === 0 ? undefined : resourceTemplate(this.#descriptors);
  }

  add(descriptor: Uint8Array): void {
    this.#conversion.effort.produce(this.#path, descriptor.length);
    this.#descriptors.push(descriptor);
  }

  memory({ base, size }: PhysicalRange): void {
    if (base + size <= FOUR_GIBIBYTES) this.add(memory32Fixed(base, size));
    else this.add(qwordMemory({ base, size, usage: "consumer" }));
  }

  /** One wire; false where no descriptor can say it. */
  interrupt(wire: Wire): boolean {
    switch (wire.kind) {
      case "gic":
        this.add(extendedInterrupt([wire.id], wire.signal));
        return true;
      case "gpio": {
        const controller = this.#pathOf(wire.controller);
        if (controller === undefined) return false;
        this.add(gpioInt({ controller, pins: [wire.pin] }, wire.signal));
        this.#pins++;
        return true;
      }
      case "controller": {
        const controller = this.#pathOf(wire.controller);
        if (controller === undefined) return false;
        this.add(extendedInterrupt([wire.input], wire.signal, controller));
        return true;
      }
      case "unknown":
        return false;
    }
  }

  /** The pins of a property like `reset-gpios` as _DSD refers to them; undefined where they cannot be said. */
  pins(node: TreeNode, property: string): PropertyElement[] | undefined {
    const { index, account } = this.#conversion;
    const cells = node.cells(property);
    if (cells === undefined || cells.length === 0) return undefined;
    const elements: PropertyElement[] = [];
    for (let at = 0; at < cells.length; ) {
      // A list may have holes.
      if (cells[at] === 0) {
        elements.push(0);
        at += 1;
        continue;
      }
      const controller = index.byPhandle(cells[at]);
      const count = controller?.cell("#gpio-cells");
      if (controller === undefined || count === undefined || at + 1 + count > cells.length) {
        account.warn(node, property, `Cell ${at} names no GPIO controller.`);
        return undefined;
      }
      const specifier = cells.slice(at + 1, at + 1 + count);
      const path = this.#pathOf(controller);
      const flags = count > 1 ? (specifier.at(-1) ?? 0) : 0;
      const pin = pinNumber(controller, count > 1 ? specifier.slice(0, -1) : specifier);
      if (path === undefined || pin === undefined) {
        account.warn(
          node,
          property,
          `Pin <${specifier.join(" ")}> of ${controller.path} has no number for ACPI.`,
        );
        return undefined;
      }
      this.add(gpioIo({ controller: path, pins: [pin] }));
      elements.push({ device: this.#path }, this.#pins, 0, flags & GPIO_ACTIVE_LOW);
      this.#pins++;
      at += 1 + count;
    }
    return elements;
  }

  /** The connection to the bus that the device hangs on. False, with a warning, where its address is faulty. */
  connection(node: TreeNode, bus: SerialBus): boolean {
    const { account } = this.#conversion;
    const parent = node.parent;
    const controller = parent === undefined ? undefined : this.#pathOf(parent);
    const address = node.cells("reg")?.[0] ?? 0;
    if (parent === undefined || controller === undefined) {
      account.warn(node, "reg", "Its bus is not in the namespace.");
      return false;
    }
    switch (bus) {
      case "i2c": {
        const tenBits = (address & I2C_TEN_BITS) !== 0;
        const number = (address & ~(I2C_TEN_BITS | I2C_OWN_ADDRESS)) >>> 0;
        if (number > (tenBits ? 0x3ff : 0x7f)) {
          account.warn(node, "reg", `0x${address.toString(16)} is no address on an I2C bus.`);
          return false;
        }
        const speed = parent.cell("clock-frequency") ?? I2C_STANDARD_SPEED;
        this.add(i2cSerialBus({ controller, address: number, tenBits, speed }));
        return true;
      }
      case "spi":
        if (address > 0xffff) {
          account.warn(node, "reg", `${address} is no chip select.`);
          return false;
        }
        this.add(
          spiSerialBus({
            controller,
            chipSelect: address,
            speed: node.cell("spi-max-frequency") ?? SPI_DEFAULT_SPEED,
            clockHigh: node.has("spi-cpol"),
            secondEdge: node.has("spi-cpha"),
            threeWires: node.has("spi-3wire"),
            selectHigh: node.has("spi-cs-high"),
          }),
        );
        return true;
      case "uart": {
        const speed = node.cell("current-speed") ?? node.cell("max-speed") ?? UART_DEFAULT_SPEED;
        this.add(uartSerialBus({ controller, speed, hardwareFlowControl: parent.has("uart-has-rtscts") }));
        return true;
      }
    }
  }

  #pathOf(node: TreeNode): string | undefined {
    const place = this.#conversion.namespace.placeOf(node);
    return place?.kind === "device" ? place.path : undefined;
  }
}
