/**
 * The converter alone: what `elvisor/acpi` exports. It imports nothing of the machine and runs in Node.js and in
 * browsers.
 *
 * @example
 * ```ts
 * import { convertDeviceTree } from "elvisor/acpi";
 *
 * const result = convertDeviceTree(blob, { source: "board.dtb" });
 * if (result.status === "refused") throw new Error(result.reason);
 * for (const [signature, table] of result.tables) console.log(signature, table.length);
 * ```
 */
export type { ConversionWarning, Disposition, Fate } from "./platform/conversion/account.ts";
export type { ConversionOptions, ConversionResult } from "./platform/conversion/convert.ts";
export { convertDeviceTree } from "./platform/conversion/convert-blob.ts";
export {
  type ConversionReport,
  type NodeReport,
  type PropertyReport,
  printReport,
} from "./platform/conversion/report.ts";
