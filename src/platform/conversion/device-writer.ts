import { concatenate } from "../../base/bytes.ts";
import { aliasFor, compatibleIds, type DeviceAlias } from "../aliases/device-aliases.ts";
import { integer, packageOf, text } from "../aml/data.ts";
import {
  type DeviceData,
  type DeviceProperty,
  deviceData,
  deviceSpecificData,
  estimateProperties,
} from "../aml/device-properties.ts";
import { device, name, scope } from "../aml/objects.ts";
import { qwordMemory, resourceTemplate } from "../aml/resources.ts";
import type { PhysicalRange } from "./addresses.ts";
import type { NamedConversion } from "./context.ts";
import { DeviceResources, type SerialBus, serialBusOf } from "./device-resources.ts";
import { CONTAINER, hardwareId, PROCESSOR, PROCESSOR_CONTAINER } from "./hardware-ids.ts";
import { dataName, isController, isPortContainer } from "./namespace.ts";
import { type HostTables, isCoherent, isOnPci, pciAddress, writePciHost } from "./pci-hosts.ts";
import type { Processor } from "./processors.ts";
import { PropertyConverter } from "./properties.ts";
import type { TreeNode } from "./tree-index.ts";

/** What the writer is told by other parts of the conversion. */
export interface DeviceWriterInput {
  readonly processors: readonly Processor[];
  readonly hosts: readonly HostTables[];
  /** Registers that may be given out, by device. */
  readonly registers: ReadonlyMap<TreeNode, readonly PhysicalRange[]>;
  readonly aliases: readonly DeviceAlias[];
}

/** Writes the devices of DSDT. */
export class DeviceWriter {
  readonly #conversion: NamedConversion;
  readonly #input: DeviceWriterInput;
  readonly #properties: PropertyConverter;
  readonly #processors: ReadonlyMap<TreeNode, Processor>;
  readonly #hosts: ReadonlyMap<TreeNode, HostTables>;
  readonly #counts = new Map<string, number>();
  #uid = 0;

  constructor(conversion: NamedConversion, input: DeviceWriterInput) {
    this.#conversion = conversion;
    this.#input = input;
    this.#properties = new PropertyConverter(conversion);
    this.#processors = new Map(input.processors.map((processor) => [processor.node, processor]));
    this.#hosts = new Map(input.hosts.map((host) => [host.node, host]));
  }

  /** The body of the definition block. */
  write(): Uint8Array {
    return scope("\\_SB", this.#below(undefined));
  }

  #below(node: TreeNode | undefined): Uint8Array[] {
    return (this.#conversion.namespace.devicesBelow.get(node) ?? []).map((child) => this.#device(child));
  }

  #device(node: TreeNode): Uint8Array {
    const { account, namespace } = this.#conversion;
    const place = namespace.placeOf(node);
    if (place?.kind !== "device") return concatenate();
    const resources = new DeviceResources(this.#conversion, place.path);
    const identity = this.#identity(node);
    account.node(node, "converted", `${place.path} (${identity.label})`);
    this.#registers(node, resources, identity.addressed);
    this.#interrupts(node, resources);
    this.#busWindows(node, resources);
    // Properties come before the resources are taken: pins add to them.
    const { data, objects } = this.#data(node, resources);
    const host = this.#hosts.get(node);
    const dsd = deviceSpecificData(data);
    if (host !== undefined) {
      return writePciHost(host, place.segment, [dsd, ...objects, ...this.#below(node)]);
    }
    const template = resources.template();
    return device(
      place.segment,
      ...identity.terms,
      ...(node.statusOkay ? [] : [name("_STA", integer(0))]),
      ...this.#coherency(node),
      ...(template === undefined ? [] : [name("_CRS", template)]),
      ...this.#dmaWindows(node),
      dsd,
      objects,
      this.#below(node),
    );
  }

  /** _HID with _UID, or _ADR: what makes the system find a driver, or the parent's driver find the device. */
  #identity(node: TreeNode): { terms: Uint8Array[]; label: string; addressed: boolean } {
    const processor = this.#processors.get(node);
    if (processor !== undefined) return this.#named(node, PROCESSOR, processor.uid);
    if (node.path === "/cpus") return this.#named(node, PROCESSOR_CONTAINER);
    const address = busAddress(node);
    if (address !== undefined) {
      this.#conversion.account.property(node, "reg", "converted", "_ADR");
      return {
        terms: [name("_ADR", integer(address))],
        label: `_ADR 0x${address.toString(16)}`,
        addressed: true,
      };
    }
    return this.#named(node, node.compatible.length === 0 ? CONTAINER : hardwareId(node));
  }

  #named(
    node: TreeNode,
    id: string,
    uid = this.#uid++,
  ): { terms: Uint8Array[]; label: string; addressed: boolean } {
    const alternatives = this.#alternatives(node, id);
    const terms = [name("_HID", text(id)), name("_UID", integer(uid))];
    if (alternatives.length > 0) terms.splice(1, 0, compatibleIdsObject(alternatives));
    return { terms, label: [id, ...alternatives].join(", "), addressed: false };
  }

  /** What an alias adds as _CID. The number of a device counts those with the same first name. */
  #alternatives(node: TreeNode, id: string): readonly string[] {
    const [first] = node.compatible;
    if (first === undefined || this.#input.aliases.length === 0) return [];
    const uid = this.#counts.get(first) ?? 0;
    this.#counts.set(first, uid + 1);
    const alias = aliasFor(this.#input.aliases, { ids: [id, ...node.compatible], uid });
    return alias === undefined ? [] : compatibleIds(alias).filter((other) => other !== id);
  }

  #registers(node: TreeNode, resources: DeviceResources, addressed: boolean): void {
    const { account } = this.#conversion;
    const ranges = this.#input.registers.get(node);
    if (ranges !== undefined) {
      for (const range of ranges) resources.memory(range);
      account.property(node, "reg", "converted", "_CRS, memory");
      return;
    }
    const bus: SerialBus | undefined = addressed ? undefined : serialBusOf(node);
    if (bus !== undefined && resources.connection(node, bus)) {
      account.property(node, "reg", "converted", "_CRS, connection to the bus");
    }
  }

  #interrupts(node: TreeNode, resources: DeviceResources): void {
    const { account, interrupts } = this.#conversion;
    const property = interrupts.propertyOf(node);
    if (property === undefined || account.fateOfProperty(node, property) !== undefined) return;
    const missing: string[] = [];
    for (const wire of interrupts.wires(node)) {
      if (resources.interrupt(wire)) continue;
      if (wire.kind === "unknown") missing.push(wire.reason);
      else if (wire.kind !== "gic") {
        missing.push(`${wire.controller.path} is not in the namespace`);
        account.warn(
          node,
          property,
          `Its interrupt controller ${wire.controller.path} is not in the namespace.`,
        );
      }
    }
    if (missing.length === 0) account.property(node, property, "converted", "_CRS, interrupts");
    else account.property(node, property, "left-out", missing[0]!);
    account.property(node, "interrupts", "used", "interrupts-extended stands instead");
  }

  /** What a bus passes on to its children; nothing to say where addresses stay as they are. */
  #busWindows(node: TreeNode, resources: DeviceResources): void {
    const { account, addresses } = this.#conversion;
    if (!node.has("ranges") || this.#hosts.has(node)) return;
    if (node.isCompatible("simple-bus")) {
      for (const { child, parent, size } of addresses.windows(node, "ranges") ?? []) {
        const physical = addresses.translate(node.parent, parent, size);
        if (physical === undefined || size === 0n) continue;
        const translation = BigInt.asUintN(64, BigInt(physical.base) - child);
        if (child + size > 1n << 64n) continue;
        resources.add(qwordMemory({ base: child, size, translation, usage: "producer" }));
      }
      account.property(node, "ranges", "converted", "_CRS, windows");
    }
    const raw = isOnPci(node) || node.text("device_type") === "pci";
    if (!raw) account.property(node, "ranges", "used", "addresses below are led through it");
  }

  /** _DMA: how addresses that devices below make become physical ones. */
  #dmaWindows(node: TreeNode): Uint8Array[] {
    const { account, addresses } = this.#conversion;
    if (!node.has("dma-ranges") || node.text("device_type") === "pci") return [];
    const windows = addresses.windows(node, "dma-ranges");
    account.property(
      node,
      "dma-ranges",
      "converted",
      windows === undefined ? "one to one, as without it" : "_DMA",
    );
    const usable = (windows ?? []).filter(
      ({ child, parent, size }) => size > 0n && child + size <= 1n << 64n && parent + size <= 1n << 64n,
    );
    if (windows !== undefined && usable.length < windows.length) {
      account.warn(node, "dma-ranges", "It has a window beyond 64 bits, or without a size.");
    }
    if (usable.length === 0) return [];
    const descriptors = usable.map(({ child, parent, size }) =>
      qwordMemory({ base: child, size, translation: BigInt.asUintN(64, parent - child), usage: "consumer" }),
    );
    return [name("_DMA", resourceTemplate(descriptors))];
  }

  #coherency(node: TreeNode): Uint8Array[] {
    const mapped = this.#input.registers.get(node);
    const says = node.has("dma-coherent") || node.has("dma-noncoherent");
    if ((mapped === undefined || mapped.length === 0) && !says) return [];
    return [name("_CCA", integer(isCoherent(node) ? 1 : 0))];
  }

  /** The properties of a device, and the objects with those of the data nodes below it. */
  #data(node: TreeNode, resources: DeviceResources): { data: DeviceData; objects: Uint8Array[] } {
    const objects: Uint8Array[] = [];
    const collect = (at: TreeNode): Map<string, string> => {
      const links = new Map<string, string>();
      for (const child of at.children) {
        const place = this.#conversion.namespace.placeOf(child);
        if (place?.kind !== "data") continue;
        if (isPortContainer(child)) {
          this.#portContainer(child, node);
          for (const [link, object] of collect(child)) links.set(link, object);
          continue;
        }
        links.set(dataName(child), place.object);
        objects.push(this.#dataObject(child, place.object, resources, collect));
      }
      return links;
    };
    const properties = this.#convert(node, resources);
    return { data: { properties, nodes: collect(node) }, objects };
  }

  #dataObject(
    node: TreeNode,
    object: string,
    resources: DeviceResources,
    collect: (node: TreeNode) => Map<string, string>,
  ): Uint8Array {
    const { account, interrupts } = this.#conversion;
    account.node(node, "converted", `data ${object} of the device above`);
    const property = interrupts.propertyOf(node);
    if (property !== undefined)
      account.property(node, property, "left-out", "data nodes have no resources in ACPI");
    if (!node.statusOkay) account.property(node, "status", "left-out", "data nodes have no status in ACPI");
    const properties = this.#convert(node, resources);
    return name(object, deviceData({ properties, nodes: collect(node) }));
  }

  #convert(node: TreeNode, resources: DeviceResources): ReadonlyMap<string, DeviceProperty> {
    const properties = this.#properties.convert(node, resources);
    this.#conversion.effort.produce(node.path, estimateProperties(properties));
    return properties;
  }

  #portContainer(node: TreeNode, device: TreeNode): void {
    const { account } = this.#conversion;
    account.node(node, "used", `its ports hang on ${device.path} itself, as ACPI's graphs want it`);
    for (const property of node.properties.keys())
      account.property(node, property, "used", "the ports hang on the device");
  }
}

/** The address on a bus whose driver finds its devices itself: PCI, USB, MDIO, and channels of multiplexers. */
function busAddress(node: TreeNode): number | undefined {
  if (isOnPci(node)) return pciAddress(node);
  const [address] = node.cells("reg") ?? [];
  const parent = node.parent;
  // A part of a device that is a controller: its parent's driver knows the parts by their order.
  if (node.compatible.length === 0 && isController(node)) return parent?.children.indexOf(node);
  const numbered = parent?.cell("#address-cells") === 1 && parent.cell("#size-cells") === 0;
  if (address === undefined || parent === undefined || !numbered) return undefined;
  if (node.compatible.length === 0) return address;
  if (/^mdio/.test(parent.baseName)) return address;
  const onUsb =
    /^(usb|hub)/.test(parent.baseName) && node.compatible.some((name) => /^usb[0-9a-f]+,/.test(name));
  return onUsb ? address : undefined;
}

/** _CID: one id, or a package of them. */
function compatibleIdsObject(ids: readonly string[]): Uint8Array {
  const [only] = ids;
  if (ids.length === 1 && only !== undefined) return name("_CID", text(only));
  return name("_CID", packageOf(...ids.map(text)));
}
