import type { DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import type { AddressRange } from "../../platform/platform-spec.ts";

/** A device as a machine's description has it, made without a look at the machine itself. */
export interface DeviceStructure {
  /** Where the description has it: a path in ACPI's namespace or in the device tree. */
  readonly path: string;
  /** Its own id, which drivers are looked for by first. */
  readonly id: string;
  /** Other ids of its own, best first. */
  readonly compatibleIds: readonly string[];
  /** Counts the devices with the same id from 0, in the order of the description. */
  readonly number: number;
  readonly registers: readonly AddressRange[];
  /** INTIDs. */
  readonly interrupts: readonly number[];
}

/** All that a description tells. */
export interface Enumeration {
  readonly source: "ACPI" | "device tree";
  readonly devices: readonly DeviceStructure[];
  /** The user's table of ids, where the description leads to one. */
  readonly aliases: readonly DeviceAlias[];
  /** What could not be used, in sentences. */
  readonly problems: readonly string[];
}

/** Physical memory that can be read. */
export interface PhysicalMemory {
  /** Bytes at an address; undefined where there is no memory. */
  read(address: number, length: number): Uint8Array | undefined;
}

/** Numbers devices with the same id in the order in which they come. */
export class DeviceCounter {
  readonly #counts = new Map<string, number>();

  next(id: string): number {
    const number = this.#counts.get(id) ?? 0;
    this.#counts.set(id, number + 1);
    return number;
  }
}
