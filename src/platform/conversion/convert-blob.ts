import { UserError } from "../../base/errors.ts";
import { readDeviceTree } from "../device-tree/reader.ts";
import type { DeviceTree } from "../device-tree/tree.ts";
import { type ConversionOptions, type ConversionResult, convertTree } from "./convert.ts";

/**
 * ACPI tables for the board that a device tree blob describes. What is no device tree is refused with the place
 * where it stops being one; nothing is thrown for what `blob` contains.
 */
export function convertDeviceTree(blob: Uint8Array, options: ConversionOptions): ConversionResult {
  let tree: DeviceTree;
  try {
    tree = readDeviceTree(blob, options.source);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const report = () => ({ source: options.source, model: undefined, nodes: [], warnings: [] });
    return { status: "refused", reason: error.message, warnings: [], report };
  }
  return convertTree(tree, options);
}
