/** _DSD: device properties and hierarchical data, as the "_DSD Implementation Guide" 1.2 defines them. */

import { Bug } from "../../base/errors.ts";
import {
  BYTE_PREFIX,
  integer,
  LARGEST_PACKAGE,
  PACKAGE,
  packageOf,
  reference,
  STRING_PREFIX,
  uuid,
  VARIABLE_PACKAGE,
} from "./data.ts";
import { name } from "./objects.ts";
import { packageLength } from "./package-length.ts";

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
    const pairs = [...properties].map(([key, value]) => encodePair(key, value));
    parts.push(DEVICE_PROPERTIES, packageOf(pairs));
  }
  if (nodes.size > 0) {
    const links = [...nodes].map(([key, object]) => encodePair(key, object));
    parts.push(HIERARCHICAL_DATA, packageOf(links));
  }
  return packageOf(parts);
}

/** `Name (_DSD, ...)`; nothing where there is nothing to say. */
export function deviceSpecificData(data: DeviceData): Uint8Array {
  if (data.properties.size === 0 && data.nodes.size === 0) return new Uint8Array(0);
  return name("_DSD", deviceData(data));
}

/** About as many bytes as {@link deviceData} makes of these properties, found without making them. */
export function estimateProperties(properties: ReadonlyMap<string, DeviceProperty>): number {
  let bytes = 0;
  for (const [key, value] of properties) {
    bytes += key.length;
    if (isList(value)) for (const element of value) bytes += estimateElement(element);
    else bytes += estimateElement(value);
  }
  return bytes;
}

function estimateElement(element: PropertyElement): number {
  if (typeof element === "string") return element.length + 2;
  return typeof element === "object" ? element.device.length : 2;
}

/** `Package () { key, value }`. There are thousands of them in a table, so its parts are not made one by one. */
function encodePair(key: string, value: DeviceProperty): Uint8Array {
  const bytes: number[] = [];
  pushText(bytes, key);
  if (isList(value)) {
    const list: number[] = [];
    for (const element of value) pushElement(list, element);
    pushPackage(bytes, value.length, list);
  } else pushElement(bytes, value);
  const pair: number[] = [];
  pushPackage(pair, 2, bytes);
  return Uint8Array.from(pair);
}

function isList(value: DeviceProperty): value is readonly PropertyElement[] {
  return Array.isArray(value);
}

function pushElement(bytes: number[], element: PropertyElement): void {
  if (typeof element === "string") pushText(bytes, element);
  else if (typeof element === "number" && element > 1 && element < 0x100) bytes.push(BYTE_PREFIX, element);
  else pushAll(bytes, typeof element === "object" ? reference(element.device) : integer(element));
}

function pushText(bytes: number[], value: string): void {
  bytes.push(STRING_PREFIX);
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code === 0 || code > 0x7f) throw new Bug(`"${value}" is not ASCII, so AML has no string for it`);
    bytes.push(code);
  }
  bytes.push(0);
}

function pushPackage(bytes: number[], count: number, elements: readonly number[]): void {
  const many = count > LARGEST_PACKAGE;
  const size = many ? integer(count) : Uint8Array.of(count);
  bytes.push(many ? VARIABLE_PACKAGE : PACKAGE);
  pushAll(bytes, packageLength(size.length + elements.length));
  pushAll(bytes, size);
  pushAll(bytes, elements);
}

function pushAll(bytes: number[], more: Uint8Array | readonly number[]): void {
  for (let at = 0; at < more.length; at++) bytes.push(more[at]!);
}
