import { hex } from "../../base/bits.ts";
import { decodeCells, decodeStrings } from "./property-values.ts";
import type { DeviceTree, DeviceTreeNode } from "./tree.ts";

/** The tree as source text in the notation of `dtc -I dtb -O dts`, so that the two can be compared. */
export function printDeviceTree(tree: DeviceTree): string {
  const lines = ["/dts-v1/;", ""];
  for (const { address, size } of tree.reservations) {
    lines.push(`/memreserve/\t${hex(address, 16)} ${hex(size, 16)};`);
  }
  printNode(tree.root, "", lines);
  return `${lines.join("\n")}\n`;
}

/** One property's value: strings, cells or bytes, whichever its bytes look like; empty for a flag. */
export function printValue(value: Uint8Array): string {
  if (value.length === 0) return "";
  const strings = decodeStrings(value);
  if (strings !== undefined) return `"${strings.map(escapeString).join("\\0")}"`;
  const cells = decodeCells(value);
  if (cells !== undefined) return `<${cells.map((cell) => hex(cell, 2)).join(" ")}>`;
  return `[${Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join(" ")}]`;
}

function printNode(node: DeviceTreeNode, indent: string, lines: string[]): void {
  lines.push(`${indent}${node.name === "" ? "/" : node.name} {`);
  for (const [name, value] of node.properties) {
    const text = printValue(value);
    lines.push(`${indent}\t${name}${text === "" ? "" : ` = ${text}`};`);
  }
  for (const child of node.children) {
    lines.push("");
    printNode(child, `${indent}\t`, lines);
  }
  lines.push(`${indent}};`);
}

function escapeString(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}
