import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { signatureOf, TABLE_OFFSET, withChecksum } from "../../src/platform/acpi/table.ts";
import { runHostProgram } from "./host-program.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

/** A field of a table as iasl names it. */
interface Field {
  readonly name: string;
  readonly value: string;
}

/** A structure in a table; the first is the table's own head. */
interface Structure {
  readonly title: string;
  readonly fields: readonly Field[];
}

/** A difference between two machines' tables. */
export interface FieldDifference {
  readonly table: string;
  /** The structure, where it is not the table's head. */
  readonly structure: string;
  /** Undefined for a whole structure or table. */
  readonly field: string | undefined;
  readonly ours: string | undefined;
  readonly theirs: string | undefined;
}

/** All fields of a static table, taken apart by iasl. */
function structuresOf(table: Uint8Array): Structure[] {
  const text = withTemporaryDirectory((folder) => {
    const path = join(folder, "table.dat");
    writeFileSync(path, table);
    const { status, stderr } = runHostProgram("iasl", ["-d", path]);
    if (status !== 0) throw new Error(stderr);
    return readFileSync(join(folder, "table.dsl"), "latin1");
  });
  const structures: { title: string; fields: Field[] }[] = [{ title: "", fields: [] }];
  // Lines are "[offset decimal length] Name : value"; flags that a field decodes to come without brackets.
  for (const [, name, value] of text.matchAll(/^\[[0-9A-F]+h [0-9]+ +[0-9]+\] +(.*?) : (.*)$/gm)) {
    if (name === "Subtable Type") structures.push({ title: value!, fields: [] });
    structures.at(-1)!.fields.push({ name: name!, value: value! });
  }
  return structures;
}

/** Field by field; a structure that one side has more of is one difference. */
export function compareTables(
  ours: ReadonlyMap<string, Uint8Array>,
  theirs: ReadonlyMap<string, Uint8Array>,
): FieldDifference[] {
  const differences: FieldDifference[] = [];
  for (const table of new Set([...ours.keys(), ...theirs.keys()])) {
    const [one, other] = [ours.get(table), theirs.get(table)];
    if (one === undefined || other === undefined) {
      const there = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : "a table");
      differences.push({ table, structure: "", field: undefined, ours: there(one), theirs: there(other) });
    } else differences.push(...compareStructures(table, structuresOf(one), structuresOf(other)));
  }
  return differences;
}

function compareStructures(
  table: string,
  ours: readonly Structure[],
  theirs: readonly Structure[],
): FieldDifference[] {
  const differences: FieldDifference[] = [];
  for (const title of new Set([...ours, ...theirs].map((structure) => structure.title))) {
    const mine = ours.filter((structure) => structure.title === title);
    const others = theirs.filter((structure) => structure.title === title);
    for (let index = 0; index < Math.max(mine.length, others.length); index++) {
      const [one, other] = [mine[index], others[index]];
      if (one === undefined || other === undefined) {
        const there = (structure: Structure | undefined) => structure && "a structure";
        differences.push({
          table,
          structure: title,
          field: undefined,
          ours: there(one),
          theirs: there(other),
        });
        continue;
      }
      differences.push(...compareFields(table, one, other));
    }
  }
  return differences;
}

function compareFields(table: string, ours: Structure, theirs: Structure): FieldDifference[] {
  const differences: FieldDifference[] = [];
  for (let index = 0; index < Math.max(ours.fields.length, theirs.fields.length); index++) {
    const [one, other] = [ours.fields[index], theirs.fields[index]];
    if (one?.name === other?.name && one?.value === other?.value) continue;
    const field = one?.name ?? other?.name;
    differences.push({ table, structure: ours.title, field, ours: one?.value, theirs: other?.value });
  }
  return differences;
}

/** The IORT without the numbers of its nodes, which Debian's iasl takes for reserved; other tables as they are. */
export function withoutIdentifiers(table: Uint8Array): Uint8Array {
  if (signatureOf(table) !== "IORT") return table;
  const copy = table.slice();
  const view = new DataView(copy.buffer);
  for (let at = view.getUint32(40, true); at < copy.length; at += view.getUint16(at + 1, true))
    view.setUint32(at + 4, 0, true);
  return withChecksum(copy, TABLE_OFFSET.checksum);
}
