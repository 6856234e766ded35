import { ByteWriter } from "../../base/byte-writer.ts";
import { acpiTable, TABLE_HEADER_SIZE, TABLE_OFFSET, type TableIdentity } from "../acpi/table.ts";
import {
  type AliasMatch,
  checkAliases,
  type DeviceAlias,
  isAcpiId,
  LONGEST_ID,
  matchId,
} from "./device-aliases.ts";

/** The table's signature: device id mapping. */
export const ALIAS_TABLE_SIGNATURE = "DIDM";
const REVISION = 1;
/** Kinds of ids, in a byte. */
const KIND = { acpi: 0, compatible: 1 } as const;
/** Bytes of a record, and where the records begin. */
const RECORD_SIZE = 2 + 2 + 4 + 2 * LONGEST_ID;
const RECORDS = TABLE_HEADER_SIZE + 4 + 4;
const FLAG = { uidValid: 1 << 0 } as const;

/**
 * DIDM, by which aliases are handed to system software. After the header: number of records (u32), bytes of a
 * record (u32), then a record for each pair of ids: kind of the device's id (u8), kind of the alternative (u8),
 * flags (u16: bit 0, the number counts), number (u32), the device's id and the alternative (16 bytes each,
 * filled up with zeros). Records for one device come best first.
 */
export function writeAliasTable(aliases: readonly DeviceAlias[], identity?: TableIdentity): Uint8Array {
  const records = aliases.flatMap((alias) => alias.as.map((id) => ({ alias, id })));
  const body = new ByteWriter().u32(records.length).u32(RECORD_SIZE);
  for (const { alias, id } of records) {
    const { uid } = alias.match;
    body.u8(kindOf(matchId(alias))).u8(kindOf(id));
    body.u16(uid === undefined ? 0 : FLAG.uidValid).u32(uid ?? 0);
    body.text(matchId(alias), LONGEST_ID).text(id, LONGEST_ID);
  }
  return acpiTable(ALIAS_TABLE_SIGNATURE, REVISION, body.finish(), identity);
}

/** Aliases that system software was handed, or why it does not use the table. */
export type AliasReading =
  | { readonly status: "read"; readonly aliases: readonly DeviceAlias[] }
  | { readonly status: "ignored"; readonly reason: string };

/** Reads DIDM, whose checksum has been looked at. A table with anything wrong in it is ignored as a whole. */
export function readAliasTable(table: Uint8Array): AliasReading {
  const ignored = (reason: string): AliasReading => ({ status: "ignored", reason });
  const revision = table[TABLE_OFFSET.revision];
  if (revision !== REVISION) return ignored(`its revision is ${revision ?? "missing"}, not ${REVISION}`);
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  if (table.length < RECORDS) return ignored("it is cut off");
  const [count, size] = [
    view.getUint32(TABLE_HEADER_SIZE, true),
    view.getUint32(TABLE_HEADER_SIZE + 4, true),
  ];
  if (size !== RECORD_SIZE || RECORDS + count * size !== table.length)
    return ignored(`${count} records of ${size} bytes do not make its ${table.length} bytes`);
  const aliases: { match: AliasMatch; as: string[] }[] = [];
  for (let at = RECORDS; at < table.length; at += size) {
    const flags = view.getUint16(at + 2, true);
    const uid = (flags & FLAG.uidValid) === 0 ? undefined : view.getUint32(at + 4, true);
    const [id, other] = [textAt(table, at + 8), textAt(table, at + 8 + LONGEST_ID)];
    if (kindOf(id) !== table[at] || kindOf(other) !== table[at + 1])
      return ignored(`"${id}" or "${other}" is not of the kind that it says`);
    const match = { ...(isAcpiId(id) ? { hid: id } : { compatible: id }), ...(uid !== undefined && { uid }) };
    const last = aliases.at(-1);
    // Records for one device follow each other.
    if (last !== undefined && matchId(last) === id && last.match.uid === uid) last.as.push(other);
    else aliases.push({ match, as: [other] });
  }
  return checkedAliases(aliases);
}

/** What a list of aliases is worth to system software. */
export function checkedAliases(aliases: readonly DeviceAlias[]): AliasReading {
  const [problem] = checkAliases(aliases);
  if (problem === undefined) return { status: "read", aliases };
  return { status: "ignored", reason: `alias ${problem.index + 1}: ${problem.text}` };
}

function textAt(table: Uint8Array, at: number): string {
  const field = table.subarray(at, at + LONGEST_ID);
  const end = field.indexOf(0);
  return String.fromCharCode(...(end < 0 ? field : field.subarray(0, end)));
}

function kindOf(id: string): number {
  return isAcpiId(id) ? KIND.acpi : KIND.compatible;
}
