import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { convertDeviceTree } from "../../src/acpi.ts";
import { virtDeviceTreeBlob } from "../../src/platform/virt-device-tree.ts";
import { launchChromium } from "../support/chromium.ts";

const ENTRY = join(import.meta.dirname, "../../src/acpi.ts");

/** The bytes of each table in hexadecimal, or why there are none. */
function tablesOf(convert: typeof convertDeviceTree, blob: Uint8Array): Record<string, string> | string {
  const result = convert(blob, { source: "board.dtb" });
  if (result.status === "refused") return result.reason;
  const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return Object.fromEntries(Array.from(result.tables, ([signature, table]) => [signature, hex(table)]));
}

test("elvisor/acpi makes the same tables in a browser", { timeout: 120_000 }, async () => {
  // As a bundler for browsers takes it: an import of Node's, or of a package, would fail.
  const options = { bundle: true, write: false, format: "iife", platform: "browser" } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [ENTRY], globalName: "elvisorAcpi" });
  const machine = { memoryBytes: 2 ** 29, cpus: 2, secure: false, virtualization: true };
  const blob = virtDeviceTreeBlob(machine);
  const cut = blob.subarray(0, 1000);
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.addScriptTag({ content: outputFiles[0]!.text });
    for (const given of [blob, cut]) {
      const call = `(${String(tablesOf)})(elvisorAcpi.convertDeviceTree, Uint8Array.from(${JSON.stringify([...given])}))`;
      expect(await page.evaluate(call)).toEqual(tablesOf(convertDeviceTree, given));
    }
  } finally {
    await browser.close();
  }
  expect(tablesOf(convertDeviceTree, blob)).toHaveProperty("DSDT");
  expect(tablesOf(convertDeviceTree, cut)).toMatch(/^The device tree board\.dtb is truncated/);
});
