import { Bug } from "../../base/errors.ts";

/** GUIDs of configuration tables (UEFI 2.10, sections 4.6 and 4.6.2; the last is Linux's own). */
export const EFI_GUID = {
  ACPI_20_TABLE: "8868e871-e4f1-11d3-bc22-0080c73c8881",
  SMBIOS3_TABLE: "f2fd1544-9794-4a2c-992e-e5bbcf20e394",
  RT_PROPERTIES_TABLE: "eb66918a-7eef-402a-842e-931d21c38ae9",
  LINUX_MEMRESERVE: "888eb0c6-8ede-4ff5-a8f0-9aee5cb977c2",
} as const;

/** The 16 bytes of a GUID: its first three fields are little-endian (UEFI 2.10, appendix A). */
export function encodeGuid(guid: string): Uint8Array {
  const digits = guid.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/.test(digits)) throw new Bug(`${guid} is no GUID`);
  const bytes = Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16),
  );
  for (const [start, end] of [
    [0, 4],
    [4, 6],
    [6, 8],
  ] as const)
    bytes.subarray(start, end).reverse();
  return bytes;
}
