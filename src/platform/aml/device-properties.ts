/** _DSD: device properties and hierarchical data, as the "_DSD Implementation Guide" 1.2 defines them. */

import { concatenate } from "./bytes.ts";
import { integer, packageOf, reference, text, uuid } from "./data.ts";
import { name } from "./objects.ts";

const DEVICE_PROPERTIES = uuid("daffd814-6eba-4d8c-8a91-bc9bbf4aa301");
const HIERARCHICAL_DATA = uuid("dbb8e3e6-5886-4ba6-8795-1319f52a966b");

/** One element of a property: a number, a string, or the path of a device. */
export type PropertyElement = number | bigint | string | { readonly device: string };

/** A property's value: one element, or a list of them. */
export type DeviceProperty = PropertyElement | readonly PropertyElement[];

/** A device's properties, and the names of the data nodes below it. */
export interface DeviceData {
  readonly properties: ReadonlyMap<string, DeviceProperty>;
  /** Name of a data node ("led@0") to the ACPI name of the object that holds it, in the same device. */
  readonly nodes: ReadonlyMap<string, string>;
}

/** The package of a _DSD or of a data node. */
export function deviceData({ properties, nodes }: DeviceData): Uint8Array {
  const parts: Uint8Array[] = [];
  if (properties.size > 0 || nodes.size === 0) {
    const pairs = [...properties].map(([key, value]) => packageOf(text(key), encodeProperty(value)));
    parts.push(DEVICE_PROPERTIES, packageOf(...pairs));
  }
  if (nodes.size > 0) {
    const links = [...nodes].map(([key, object]) => packageOf(text(key), text(object)));
    parts.push(HIERARCHICAL_DATA, packageOf(...links));
  }
  return packageOf(...parts);
}

/** `Name (_DSD, ...)`; nothing where there is nothing to say. */
export function deviceSpecificData(data: DeviceData): Uint8Array {
  if (data.properties.size === 0 && data.nodes.size === 0) return concatenate();
  return name("_DSD", deviceData(data));
}

function encodeProperty(value: DeviceProperty): Uint8Array {
  if (isList(value)) return packageOf(...value.map(encodeElement));
  return encodeElement(value);
}

function isList(value: DeviceProperty): value is readonly PropertyElement[] {
  return Array.isArray(value);
}

function encodeElement(element: PropertyElement): Uint8Array {
  if (typeof element === "string") return text(element);
  if (typeof element === "object") return reference(element.device);
  return integer(element);
}
