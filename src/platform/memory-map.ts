import {
  type AddressRange,
  allDevices,
  interruptId,
  type PlatformSpec,
  type World,
} from "./platform-spec.ts";

/** One line of the physical address map, for people. */
export interface MemoryMapRow extends AddressRange {
  /** Device id, or "ram". */
  readonly name: string;
  /** Its first compatible string, or its kind. */
  readonly what: string;
  readonly world: World;
  /** INTIDs of the interrupts wired from it. */
  readonly interruptIds: readonly number[];
}

/** Everything that has addresses, lowest first. */
export function memoryMap(platform: PlatformSpec): MemoryMapRow[] {
  const devices = [...allDevices(platform.devices)].flatMap((device) =>
    device.registers.map((range) => ({
      ...range,
      name: device.id,
      what: device.compatible[0] ?? device.kind,
      world: device.world,
      interruptIds: device.interrupts.map(interruptId),
    })),
  );
  const memory = platform.memory.map((range) => ({
    ...range,
    name: "ram",
    what: "memory",
    world: "any" as const,
    interruptIds: [],
  }));
  return [...devices, ...memory].toSorted((one, other) => one.base - other.base);
}
