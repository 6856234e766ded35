import { Bug } from "../base/errors.ts";
import { encodeCells, encodeStrings, wideCells } from "./device-tree/property-values.ts";
import { createNode, type DeviceTree, type DeviceTreeNode } from "./device-tree/tree.ts";
import { writeDeviceTree } from "./device-tree/writer.ts";
import { pciHostProperties, pciHostUnitAddress } from "./device-tree-pci.ts";
import {
  allDevices,
  type Cell,
  type ChosenSpec,
  type DeviceSpec,
  type InterruptSpec,
  type MemorySpec,
  type PlatformSpec,
  type PropertyValue,
  type PsciConduit,
} from "./platform-spec.ts";
import { GIBIBYTE } from "./units.ts";

/** Cells of an address and of a size on the system bus. */
const ADDRESS_CELLS = 2;
const SIZE_CELLS = 2;

/** Interrupt specifier of the GIC's binding: type, number, flags. */
const INTERRUPT_TYPE = { spi: 0, ppi: 1 } as const;
const INTERRUPT_FLAGS = { "edge-rising": 1, "level-high": 4 } as const;

/** Our phandles count from here, like QEMU's. */
const FIRST_PHANDLE = 0x8000;

/** The blob for a platform. */
export function generateDeviceTreeBlob(platform: PlatformSpec): Uint8Array {
  return writeDeviceTree(generateDeviceTree(platform));
}

/** The tree for a platform: nodes in the order of its devices, the CPUs before the timer as QEMU has them. */
function generateDeviceTree(platform: PlatformSpec): DeviceTree {
  return { reservations: [], bootProcessor: 0, root: new Generator(platform).root() };
}

/** The node that says how power is controlled (Devicetree binding "arm,psci"). Without a conduit there is none. */
export function psciNode(conduit: PsciConduit): DeviceTreeNode | undefined {
  if (conduit === "none") return undefined;
  return nodeWith("psci", {
    compatible: ["arm,psci-1.0", "arm,psci-0.2", "arm,psci"],
    method: conduit,
    // Function ids for readers of the oldest binding.
    cpu_suspend: 0xc400_0001,
    cpu_off: 0x8400_0002,
    cpu_on: 0xc400_0003,
    migrate: 0xc400_0005,
  });
}

/** A memory node for a tree whose root counts addresses and sizes in these cells. */
export function memoryNode(
  range: MemorySpec,
  addressCells = ADDRESS_CELLS,
  sizeCells = SIZE_CELLS,
): DeviceTreeNode {
  return nodeWith(`memory@${range.base.toString(16)}`, {
    device_type: "memory",
    reg: { cells: [...wideCells(range.base, addressCells), ...wideCells(range.size, sizeCells)] },
    ...domainProperty(range.domain),
  });
}

/** The binding "numa": which domain a processor or memory belongs to. */
function domainProperty(domain: number | undefined): Record<string, PropertyValue> {
  return domain === undefined ? {} : { "numa-node-id": domain };
}

/** The binding "numa-distance-map-v1": a triple for each pair of domains. */
function distanceNode(distances: readonly (readonly number[])[]): DeviceTreeNode {
  const cells = distances.flatMap((row, from) => row.flatMap((distance, to) => [from, to, distance]));
  return nodeWith("distance-map", { compatible: "numa-distance-map-v1", "distance-matrix": { cells } });
}

function nodeWith(name: string, properties: Record<string, PropertyValue>): DeviceTreeNode {
  const node = createNode(name);
  for (const [key, value] of Object.entries(properties))
    node.properties.set(key, encodeValue(value, new Map()));
  return node;
}

function encodeValue(value: PropertyValue, phandles: ReadonlyMap<string, number>): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (typeof value === "number") return encodeCells(value);
  if (typeof value === "string") return encodeStrings(value);
  if ("cells" in value) return encodeCells(...value.cells.map((cell) => resolve(cell, phandles)));
  return encodeStrings(...value);
}

function resolve(cell: Cell, phandles: ReadonlyMap<string, number>): number {
  if (typeof cell === "number") return cell;
  const phandle = phandles.get(cell.reference);
  if (phandle === undefined) throw new Bug(`the platform has no device called ${cell.reference}`);
  return phandle;
}

class Generator {
  readonly #platform: PlatformSpec;
  readonly #phandles: ReadonlyMap<string, number>;

  constructor(platform: PlatformSpec) {
    this.#platform = platform;
    this.#phandles = numberReferences(platform);
  }

  root(): DeviceTreeNode {
    const platform = this.#platform;
    const root = this.#node("", {
      "interrupt-parent": reference(platform.interruptController),
      model: platform.model,
      "#size-cells": SIZE_CELLS,
      "#address-cells": ADDRESS_CELLS,
      compatible: platform.compatible,
    });
    const psci = psciNode(platform.psciConduit);
    if (psci !== undefined) root.children.push(psci);
    root.children.push(...platform.memory.map((range) => memoryNode(range)));
    if (platform.distances !== undefined) root.children.push(distanceNode(platform.distances));
    for (const device of platform.devices) {
      if (device.kind === "timer") root.children.push(this.#cpus());
      root.children.push(this.#device(device));
    }
    if (platform.hypervisor !== undefined) {
      root.children.push(this.#node("hypervisor", { compatible: platform.hypervisor.compatible }));
    }
    if (platform.secureChosen !== undefined) {
      root.children.push(this.#chosen("secure-chosen", platform.secureChosen));
    }
    root.children.push(this.#chosen("chosen", platform.chosen));
    return root;
  }

  #node(name: string, properties: Record<string, PropertyValue>): DeviceTreeNode {
    const node = createNode(name);
    for (const [key, value] of Object.entries(properties)) {
      node.properties.set(key, encodeValue(value, this.#phandles));
    }
    return node;
  }

  #device(device: DeviceSpec): DeviceTreeNode {
    const node = this.#node(deviceNodeName(device), {
      ...this.#phandle(device.id),
      ...optional("compatible", device.compatible.length > 0, device.compatible),
      ...registerProperties(device),
      ...optional("interrupts", device.interrupts.length > 0, {
        cells: device.interrupts.flatMap(interruptCells),
      }),
      ...clockProperties(device),
      ...optional("gpios", device.gpios.length > 0, {
        // The last cell holds the line's flags: 0 is active high.
        cells: device.gpios.flatMap(({ controller, line }) => [{ reference: controller }, line, 0]),
      }),
      ...device.properties,
      ...this.#pciHost(device),
      ...(device.world === "secure" ? { status: "disabled", "secure-status": "okay" } : {}),
    });
    node.children.push(...device.children.map((child) => this.#device(child)));
    return node;
  }

  #pciHost({ pciHost }: DeviceSpec): Record<string, PropertyValue> {
    if (pciHost === undefined) return {};
    return pciHostProperties(pciHost, this.#platform.interruptController, (wire) =>
      interruptCells(pciHost.interrupts[wire]!),
    );
  }

  #cpus(): DeviceTreeNode {
    const cpus = this.#node("cpus", { "#size-cells": 0, "#address-cells": 1 });
    cpus.children.push(this.#cpuMap());
    this.#platform.cpus.forEach((cpu, index) => {
      cpus.children.push(
        this.#node(`cpu@${index}`, {
          ...this.#phandle(cpuId(index)),
          ...optional("enable-method", this.#platform.cpusStartByPsci, "psci"),
          compatible: cpu.compatible,
          device_type: "cpu",
          reg: cpu.affinity,
          ...domainProperty(cpu.domain),
        }),
      );
    });
    return cpus;
  }

  /** The topology: one socket, one cluster, as QEMU's default. */
  #cpuMap(): DeviceTreeNode {
    const cluster = createNode("cluster0");
    cluster.children.push(
      ...this.#platform.cpus.map((_, index) => this.#node(`core${index}`, { cpu: reference(cpuId(index)) })),
    );
    const socket = createNode("socket0");
    socket.children.push(cluster);
    const map = createNode("cpu-map");
    map.children.push(socket);
    return map;
  }

  #chosen(name: string, chosen: ChosenSpec): DeviceTreeNode {
    const console = this.#platform.devices.find((device) => device.id === chosen.stdout);
    if (console === undefined) throw new Bug(`the platform has no device called ${chosen.stdout}`);
    const node = this.#node(name, { "stdout-path": `/${deviceNodeName(console)}` });
    setSeeds(node, chosen);
    setChosen(node, chosen);
    return node;
  }

  #phandle(id: string): Record<string, PropertyValue> {
    const phandle = this.#phandles.get(id);
    return phandle === undefined ? {} : { phandle };
  }
}

/** Adds the seeds to a /chosen node. */
export function setSeeds(
  chosen: DeviceTreeNode,
  { addressSeed, randomSeed }: Pick<ChosenSpec, "addressSeed" | "randomSeed">,
): void {
  if (addressSeed !== undefined) {
    const halves = encodeCells(Number(addressSeed >> 32n), Number(addressSeed & 0xffff_ffffn));
    chosen.properties.set("kaslr-seed", halves);
  }
  if (randomSeed !== undefined) chosen.properties.set("rng-seed", randomSeed.slice());
}

/** Adds to a /chosen node what booting a kernel adds: its arguments and the initrd's place. */
export function setChosen(
  chosen: DeviceTreeNode,
  { commandLine, initrd }: Pick<ChosenSpec, "commandLine" | "initrd">,
): void {
  if (commandLine !== undefined && commandLine !== "") {
    chosen.properties.set("bootargs", encodeStrings(commandLine));
  }
  if (initrd !== undefined) {
    chosen.properties.set("linux,initrd-start", encodeAddress(initrd.base));
    chosen.properties.set("linux,initrd-end", encodeAddress(initrd.base + initrd.size));
  }
}

/** The binding takes one cell or two, whatever the root's cell counts are; QEMU writes one. */
function encodeAddress(address: number): Uint8Array {
  return encodeCells(...wideCells(address, address < 4 * GIBIBYTE ? 1 : 2));
}

function cpuId(index: number): string {
  return `cpu${index}`;
}

function reference(id: string): PropertyValue {
  return { cells: [{ reference: id }] };
}

function optional(name: string, present: boolean, value: PropertyValue): Record<string, PropertyValue> {
  return present ? { [name]: value } : {};
}

function deviceNodeName(device: DeviceSpec): string {
  // A node's unit address is that of its first register; a flash node counts its lower half.
  const first = device.pciHost === undefined ? device.registers[0] : pciHostUnitAddress(device.pciHost);
  return first === undefined ? device.nodeName : `${device.nodeName}@${first.base.toString(16)}`;
}

/** A bus has `ranges` that give its children addresses from zero; anything else has `reg`. */
function registerProperties(device: DeviceSpec): Record<string, PropertyValue> {
  const [first] = device.registers;
  if (first === undefined) return {};
  if (device.kind === "platform-bus") {
    return { ranges: { cells: [0, ...wideCells(first.base, ADDRESS_CELLS), first.size] } };
  }
  const cells = device.registers.flatMap(({ base, size }) => [
    ...wideCells(base, ADDRESS_CELLS),
    ...wideCells(size, SIZE_CELLS),
  ]);
  return { reg: { cells } };
}

function clockProperties(device: DeviceSpec): Record<string, PropertyValue> {
  if (device.clocks.length === 0) return {};
  return {
    clocks: { cells: device.clocks.map(({ source }) => ({ reference: source })) },
    "clock-names": device.clocks.map(({ name }) => name),
  };
}

function interruptCells({ type, number, trigger }: InterruptSpec): number[] {
  return [INTERRUPT_TYPE[type], number, INTERRUPT_FLAGS[trigger]];
}

/** Phandles for everything that is referred to: CPUs first, then devices in their order. */
function numberReferences(platform: PlatformSpec): Map<string, number> {
  const devices = [...allDevices(platform.devices)];
  const referenced = new Set<string>([
    platform.interruptController,
    ...devices.flatMap((device) => [
      ...device.clocks.map(({ source }) => source),
      ...device.gpios.map(({ controller }) => controller),
      ...Object.values(device.properties).flatMap(referencesIn),
      ...(device.pciHost === undefined ? [] : [device.pciHost.messageController]),
    ]),
  ]);
  const ids = [...platform.cpus.map((_, index) => cpuId(index)), ...devices.map(({ id }) => id)];
  const numbered = ids.filter((id) => id.startsWith("cpu") || referenced.has(id));
  return new Map(numbered.map((id, index) => [id, FIRST_PHANDLE + index]));
}

function referencesIn(value: PropertyValue): string[] {
  if (typeof value !== "object" || !("cells" in value)) return [];
  return value.cells.flatMap((cell) => (typeof cell === "number" ? [] : [cell.reference]));
}
