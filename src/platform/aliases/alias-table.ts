import { ByteWriter } from "../../base/byte-writer.ts";
import { acpiTable, type TableIdentity } from "../acpi/table.ts";
import { type DeviceAlias, isAcpiId, LONGEST_ID, matchId } from "./device-aliases.ts";

/** The table's signature: device id mapping. */
export const ALIAS_TABLE_SIGNATURE = "DIDM";
const REVISION = 1;
/** Kinds of ids, in a byte. */
const KIND = { acpi: 0, compatible: 1 } as const;
const FLAG = { uidValid: 1 << 0 } as const;

/**
 * DIDM, by which aliases are handed to system software. After the header: number of records (u32), bytes of a
 * record (u32), then a record for each pair of ids: kind of the device's id (u8), kind of the alternative (u8),
 * flags (u16: bit 0, the number counts), number (u32), the device's id and the alternative (16 bytes each,
 * filled up with zeros). Records for one device come best first.
 */
export function writeAliasTable(aliases: readonly DeviceAlias[], identity?: TableIdentity): Uint8Array {
  const records = aliases.flatMap((alias) => alias.as.map((id) => ({ alias, id })));
  const body = new ByteWriter().u32(records.length).u32(2 + 2 + 4 + 2 * LONGEST_ID);
  for (const { alias, id } of records) {
    const { uid } = alias.match;
    body.u8(kindOf(matchId(alias))).u8(kindOf(id));
    body.u16(uid === undefined ? 0 : FLAG.uidValid).u32(uid ?? 0);
    body.text(matchId(alias), LONGEST_ID).text(id, LONGEST_ID);
  }
  return acpiTable(ALIAS_TABLE_SIGNATURE, REVISION, body.finish(), identity);
}

function kindOf(id: string): number {
  return isAcpiId(id) ? KIND.acpi : KIND.compatible;
}
