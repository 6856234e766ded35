import { assert } from "../../base/errors.ts";
import type { InterruptLine } from "../../base/interrupt-line.ts";
import { arrayField, nestedFields, type StateField } from "../../base/state-fields.ts";
import type { AccessWidth, MmioDevice } from "../../memory/mmio-device.ts";
import { type BarSpec, ConfigurationSpace } from "./configuration-space.ts";
import { COMMAND, CONFIGURATION_SIZE, ECAM_FUNCTION_SIZE, SLOTS } from "./constants.ts";
import type { PciFunction, PciSlot } from "./pci-function.ts";

/** A part of the system bus behind which there are PCI addresses. */
export interface PciWindowOptions {
  readonly name: string;
  readonly space: "memory" | "io";
  /** Bus address of its first byte. */
  readonly busAddress: number;
  /** Bytes. */
  readonly size: number;
}

export interface PciHostOptions {
  /** Bytes of configuration space, 1 MiB a bus. */
  readonly ecamSize: number;
  readonly windows: readonly PciWindowOptions[];
  /** Wires of INTA to INTD as device 0 uses them; each further device begins one wire later. */
  readonly interrupts: readonly InterruptLine[];
  /** A message write of the function with this requester ID (bus, device, function) to a bus address. */
  readonly sendMessage: (requester: number, address: number, data: number) => void;
}

/** QEMU's identity for the bridge at 00:00.0, which has nothing but a header. */
const BRIDGE_IDENTITY = {
  vendor: 0x1b36,
  device: 0x0008,
  revision: 0,
  classCode: 0x06_0000,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
  interruptPin: 0,
} as const;

/** A BAR that decodes: memory space is enabled and it has been placed. */
interface Decoded {
  readonly address: number;
  readonly bar: BarSpec;
  readonly function: PciFunction;
}

/**
 * A generic PCIe host bridge with one bus (Devicetree binding "pci-host-ecam-generic"): configuration space in
 * an ECAM window, memory windows, interrupt pins. What nobody answers reads as ones, as on a PCI bus.
 */
export class PciHost {
  readonly ecam: MmioDevice;
  readonly windows: readonly MmioDevice[];
  readonly #options: PciHostOptions;
  /** By slot. All functions are function 0. */
  readonly #functions: (PciFunction | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
  /** By slot. */
  readonly #asserted = new Uint8Array(SLOTS);
  /** What memory accesses reach, found again when configuration space was written. */
  #decoded: Decoded[] | undefined;

  constructor(options: PciHostOptions) {
    assert(options.interrupts.length === 4, "a PCI bus has four interrupt wires");
    this.#options = options;
    this.#functions[0] = new BridgeFunction();
    this.ecam = this.#ecamDevice();
    this.windows = options.windows.map((window) => this.#windowDevice(window));
  }

  /** Puts a function into slot `slot`, 1 to 31. `make` gets what it reaches of the bus. */
  plug(slot: number, make: (place: PciSlot) => PciFunction): void {
    assert(slot > 0 && slot < SLOTS && this.#functions[slot] === undefined, `PCI slot ${slot} is not free`);
    const requester = slot << 3;
    this.#functions[slot] = make({
      setInterrupt: (asserted) => this.#setInterrupt(slot, asserted),
      sendMessage: (address, data) => this.#options.sendMessage(requester, address, data),
    });
    this.#decoded = undefined;
  }

  reset(): void {
    for (const each of this.#functions) each?.reset();
    this.#decoded = undefined;
  }

  #setInterrupt(slot: number, asserted: boolean): void {
    this.#asserted[slot] = asserted ? 1 : 0;
    // INTA of device n is on wire n modulo 4 (PCI Local Bus Specification 3.0, section 2.2.6).
    const wire = slot % 4;
    this.#options.interrupts[wire]!.set(this.#asserted.some((on, other) => on !== 0 && other % 4 === wire));
  }

  /** The function whose configuration space an ECAM offset lies in, and the register's offset. */
  #configured(offset: number): { target: PciFunction; register: number } | undefined {
    const number = Math.floor(offset / ECAM_FUNCTION_SIZE);
    const register = offset % ECAM_FUNCTION_SIZE;
    // Bus 0, function 0 of each device; conventional functions have no extended space.
    if (number >= SLOTS * 8 || number % 8 !== 0 || register >= CONFIGURATION_SIZE) return undefined;
    const target = this.#functions[number >>> 3];
    return target === undefined ? undefined : { target, register };
  }

  #ecamDevice(): MmioDevice {
    return {
      name: "pci-configuration",
      size: this.#options.ecamSize,
      read: (offset, width) => {
        const found = this.#configured(offset);
        return found === undefined ? ones(width) : found.target.readConfiguration(found.register, width);
      },
      write: (offset, width, value) => {
        const found = this.#configured(offset);
        if (found === undefined) return;
        found.target.writeConfiguration(found.register, width, value);
        this.#decoded = undefined;
      },
      stateFields: () => this.#stateFields(),
      stateRestored: () => {
        this.#decoded = undefined;
        for (const each of this.#functions) each?.stateRestored?.();
      },
      state: () => this.#state(),
      reset: () => this.reset(),
    };
  }

  #stateFields(): readonly StateField[] {
    const slots = this.#functions.flatMap((each, slot) =>
      nestedFields(`slot${slot}`, each?.stateFields() ?? []),
    );
    return [...slots, arrayField("asserted", this.#asserted)];
  }

  *#state(): Iterable<number> {
    for (const each of this.#functions) {
      if (each === undefined) continue;
      yield* each.configuration.bytes;
      yield* each.state();
    }
    yield* this.#asserted;
  }

  #windowDevice({ name, space, busAddress, size }: PciWindowOptions): MmioDevice {
    // No function here has I/O space.
    const find = (offset: number): Decoded | undefined =>
      space === "memory" ? this.#find(busAddress + offset) : undefined;
    return {
      name,
      size,
      read: (offset, width) => {
        const found = find(offset);
        return found === undefined
          ? ones(width)
          : found.function.readBar(found.bar.index, busAddress + offset - found.address, width);
      },
      write: (offset, width, value) => {
        const found = find(offset);
        found?.function.writeBar(found.bar.index, busAddress + offset - found.address, width, value);
      },
      reset: () => {},
    };
  }

  #find(address: number): Decoded | undefined {
    this.#decoded ??= this.#decode();
    return this.#decoded.find((each) => address >= each.address && address < each.address + each.bar.size);
  }

  #decode(): Decoded[] {
    const decoded: Decoded[] = [];
    for (const each of this.#functions) {
      if (each === undefined || (each.configuration.command & COMMAND.MEMORY) === 0) continue;
      for (const bar of each.configuration.bars)
        decoded.push({ address: each.configuration.barAddress(bar), bar, function: each });
    }
    return decoded;
  }
}

/** The bridge as its own bus shows it. */
class BridgeFunction implements PciFunction {
  readonly name = "pci-host";
  readonly configuration = new ConfigurationSpace(BRIDGE_IDENTITY, []);

  readConfiguration(offset: number, width: AccessWidth): number {
    return this.configuration.read(offset, width);
  }

  writeConfiguration(offset: number, width: AccessWidth, value: number): void {
    this.configuration.write(offset, width, value);
  }

  readBar(_bar: number, _offset: number, width: AccessWidth): number {
    return ones(width);
  }

  writeBar(): void {}

  reset(): void {
    this.configuration.reset();
  }

  stateFields(): readonly StateField[] {
    return [arrayField("configuration", this.configuration.bytes)];
  }

  state(): Iterable<number> {
    return [];
  }
}

function ones(width: AccessWidth): number {
  return 2 ** (8 * width) - 1;
}
