import { hex } from "../../base/bits.ts";
import { aliasFor, type DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import { resourceFault } from "../../platform/aliases/resource-needs.ts";
import type { DeviceStructure, Enumeration } from "./device-structure.ts";
import { type DriverInstance, HOST_DRIVERS, type HostDriver, type RegisterAccess } from "./host-drivers.ts";

/** What became of a device. */
export interface DeviceBinding {
  readonly device: DeviceStructure;
  /** The driver and the id that it was found by, or why there is none. */
  readonly outcome:
    | {
        readonly status: "bound";
        readonly driver: string;
        readonly id: string;
        /** The id is from the user's table, not the device's own. */
        readonly aliased: boolean;
        readonly instance: DriverInstance;
      }
    | { readonly status: "unbound"; readonly reason: string };
}

/**
 * Binds the hypervisor's own drivers to the devices of a machine, by what its description says: by a device's own
 * id, else by the user's table, else by other ids that it has.
 */
export class DeviceManager {
  readonly bindings: readonly DeviceBinding[];
  readonly enumeration: Enumeration;
  readonly #bus: RegisterAccess;
  readonly #drivers: ReadonlyMap<string, HostDriver>;

  constructor(enumeration: Enumeration, bus: RegisterAccess, drivers: readonly HostDriver[] = HOST_DRIVERS) {
    this.#bus = bus;
    this.#drivers = new Map(drivers.flatMap((driver) => driver.ids.map((id) => [id, driver] as const)));
    this.enumeration = enumeration;
    this.bindings = enumeration.devices.map((device) => ({
      device,
      outcome: this.#bind(device, enumeration.aliases),
    }));
  }

  /** A line for each device that has registers, and for what could not be used. */
  log(): string[] {
    const lines = this.bindings
      .filter(({ device }) => device.registers.length > 0)
      .toSorted((one, other) => one.device.registers[0]!.base - other.device.registers[0]!.base)
      .map(({ device, outcome }) => {
        const wires = device.interrupts.length === 0 ? "" : `, interrupt ${device.interrupts.join(" ")}`;
        const name = `${hex(device.registers[0]!.base)}${wires}: ${device.id}`;
        if (outcome.status === "unbound") return `${name}: ${outcome.reason}`;
        return `${name}: ${outcome.driver}${outcome.aliased ? `, as its alias ${outcome.id}` : ""}`;
      });
    return [...lines, ...this.enumeration.problems];
  }

  #bind(device: DeviceStructure, aliases: readonly DeviceAlias[]): DeviceBinding["outcome"] {
    const { id, compatibleIds, number } = device;
    const alias = aliasFor(aliases, { ids: [id, ...compatibleIds], uid: number });
    const candidates = [
      { id, aliased: false },
      ...(alias?.as ?? []).map((other) => ({ id: other, aliased: true })),
      ...compatibleIds.map((other) => ({ id: other, aliased: false })),
    ];
    let refusal: string | undefined;
    for (const candidate of candidates) {
      const driver = this.#drivers.get(candidate.id);
      if (driver === undefined) continue;
      const instance =
        resourceFault(candidate.id, device.registers[0]?.size ?? 0, device.interrupts.length) ??
        driver.attach(device, this.#bus);
      if (typeof instance !== "string")
        return { status: "bound", driver: driver.name, ...candidate, instance };
      refusal ??= `not ${driver.name}: ${instance}`;
    }
    return { status: "unbound", reason: refusal ?? "no driver" };
  }
}
