import type { DeviceProperty, PropertyElement } from "../aml/device-properties.ts";
import { decodeStrings } from "../device-tree/property-values.ts";
import type { NamedConversion } from "./context.ts";
import type { DeviceResources } from "./device-resources.ts";
import { isGraphNode } from "./namespace.ts";
import { type ReferenceShape, referenceShape, WIDE_PROPERTIES } from "./reference-properties.ts";
import type { TreeNode } from "./tree-index.ts";

/** Properties that the structure of the tables replaces, with what replaces them. */
const STRUCTURE: Readonly<Record<string, string>> = {
  phandle: "references name devices by their paths",
  "linux,phandle": "references name devices by their paths",
  status: "_STA",
  "dma-coherent": "_CCA",
  "dma-noncoherent": "_CCA",
  "interrupt-parent": "interrupts name their controllers",
  "interrupt-controller": "interrupts name their controllers",
  "#address-cells": "how the addresses below it are counted",
  "#size-cells": "how the addresses below it are counted",
  "interrupt-map": "interrupts are led through it",
  "interrupt-map-mask": "interrupts are led through it",
};

/** Turns a node's properties into _DSD's. */
export class PropertyConverter {
  readonly #conversion: NamedConversion;

  constructor(conversion: NamedConversion) {
    this.#conversion = conversion;
  }

  /**
   * All properties of `node` that have no fate yet, `compatible` first. Pins become resources of the device.
   * Data nodes of graphs get the `reg` that ACPI asks of them.
   */
  convert(node: TreeNode, resources: DeviceResources): Map<string, DeviceProperty> {
    const { account } = this.#conversion;
    const converted = new Map<string, DeviceProperty>();
    const names = [...node.properties.keys()];
    if (node.has("compatible")) names.unshift("compatible");
    for (const name of names) {
      if (Object.hasOwn(STRUCTURE, name)) account.property(node, name, "used", STRUCTURE[name]!);
      if (account.fateOfProperty(node, name) !== undefined) continue;
      const value = this.#value(node, name, resources);
      if (value !== undefined) converted.set(name, value);
    }
    if (isGraphNode(node) && !node.has("reg")) converted.set("reg", 0);
    return converted;
  }

  #value(node: TreeNode, name: string, resources: DeviceResources): DeviceProperty | undefined {
    const { account } = this.#conversion;
    const bytes = node.properties.get(name);
    if (bytes === undefined) return undefined;
    if (!/^[\x21-\x7e]+$/.test(name)) {
      account.property(node, name, "left-out", "its name is not ASCII");
      account.warn(node, undefined, "One of its properties has a name that is not ASCII.");
      return undefined;
    }
    const shape = referenceShape(name);
    const cells = node.cells(name);
    if (shape !== undefined && cells !== undefined && cells.length > 0) {
      return this.#references(node, name, shape, cells, resources);
    }
    const { value, how } = plainValue(name, bytes, cells);
    account.property(node, name, "converted", `_DSD, ${how}`);
    return value;
  }

  #references(
    node: TreeNode,
    name: string,
    shape: ReferenceShape,
    cells: readonly number[],
    resources: DeviceResources,
  ): DeviceProperty | undefined {
    const { account } = this.#conversion;
    const hog = shape.kind === "gpios" && node.has("gpio-hog");
    if (hog) {
      account.property(node, name, "converted", "_DSD, pin and flags");
      return [...cells];
    }
    const elements =
      shape.kind === "gpios" ? resources.pins(node, name) : this.#resolve(node, name, shape, cells);
    if (elements === undefined) {
      account.property(node, name, "left-out", "what it refers to is not in the namespace");
      return undefined;
    }
    account.property(
      node,
      name,
      "converted",
      shape.kind === "gpios" ? "_DSD, and GpioIo in _CRS" : "_DSD, references",
    );
    const [first] = elements;
    return elements.length === 1 && first !== undefined ? first : elements;
  }

  #resolve(
    node: TreeNode,
    name: string,
    shape: Exclude<ReferenceShape, { kind: "gpios" }>,
    cells: readonly number[],
  ): PropertyElement[] | undefined {
    const { index, account, namespace } = this.#conversion;
    const elements: PropertyElement[] = [];
    for (let at = 0; at < cells.length; ) {
      const phandle = cells[at]!;
      at += 1;
      // A list may have holes, which are zeros.
      if (phandle === 0) {
        elements.push(0);
        continue;
      }
      const target = index.byPhandle(phandle);
      if (target === undefined) {
        account.warn(node, name, `No node has the phandle ${phandle}.`);
        return undefined;
      }
      const count = shape.kind === "arguments" ? (target.cell(shape.counter) ?? 0) : 0;
      if (at + count > cells.length) {
        account.warn(node, name, `It ends within a reference to ${target.path}.`);
        return undefined;
      }
      const reference = namespace.reference(target);
      if (reference === undefined) return undefined;
      elements.push(...reference);
      for (const end = at + count; at < end; at++) elements.push(cells[at]!);
    }
    return elements;
  }
}

/** A value that is no reference, by what its bytes look like. */
function plainValue(
  name: string,
  bytes: Uint8Array,
  cells: readonly number[] | undefined,
): { value: DeviceProperty; how: string } {
  if (bytes.length === 0) return { value: 1, how: "true" };
  const strings = decodeStrings(bytes);
  if (strings !== undefined) {
    return strings.length === 1
      ? { value: strings[0]!, how: "a string" }
      : { value: strings, how: "strings" };
  }
  if (cells !== undefined && WIDE_PROPERTIES.has(name) && cells.length % 2 === 0) {
    const wide = Array.from(
      { length: cells.length / 2 },
      (_, at) => (BigInt(cells[2 * at]!) << 32n) | BigInt(cells[2 * at + 1]!),
    );
    return { value: wide.length === 1 ? wide[0]! : wide, how: "64-bit numbers" };
  }
  if (cells !== undefined) {
    return cells.length === 1 ? { value: cells[0]!, how: "a number" } : { value: [...cells], how: "numbers" };
  }
  return { value: [...bytes], how: "bytes" };
}
