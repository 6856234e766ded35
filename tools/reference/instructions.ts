import { Bug } from "../../src/base/errors.ts";
import { HOT_WORDS } from "../../src/engine/interpreter/hot-words.ts";
import type { Instruction } from "../../src/isa/instruction.ts";
import { DECODER, IMPLEMENTED_FEATURES, INSTRUCTIONS } from "../../src/isa/table.ts";
import { code, join, type Page, table } from "./markdown.ts";

/** Chapters of DDI 0487 by which rows are grouped. */
const CHAPTERS = [
  { prefix: "C6.2", title: "Base instructions" },
  { prefix: "C7.2", title: "Floating-point and Advanced SIMD instructions" },
] as const;

/** What rows without a feature belong to. */
const BASELINE = "Armv8.0-A";

export function instructionsPage(): Page {
  const hot = hotHandlers();
  const isPlaced = ({ manual }: Instruction) => CHAPTERS.some(({ prefix }) => manual.startsWith(prefix));
  const lost = INSTRUCTIONS.find((row) => !isPlaced(row));
  if (lost) throw new Bug(`${lost.name} is in no chapter of the reference: ${lost.manual}`);
  const chapters = CHAPTERS.map(({ prefix, title }) => {
    const rows = INSTRUCTIONS.filter(({ manual }) => manual.startsWith(prefix));
    return join(`## ${title}`, instructionTable(rows, hot));
  });
  const count = INSTRUCTIONS.length.toString();
  return {
    file: "instructions.md",
    title: "Instructions",
    summary: `Every A64 encoding in the table (${count} rows) and how many are implemented.`,
    body: join(
      "Where a word fits several rows, the one with more fixed bits counts. “Undefined row” means that the " +
        "encoding is known (it can be assembled and disassembled) and raises an Undefined Instruction " +
        "exception. “Hot” counts the handlers of a row that are arms of the interpreter's switch. Sections are " +
        "those of DDI 0487.",
      "## Coverage",
      coverage(),
      ...chapters,
    ),
  };
}

function coverage(): string {
  const features = new Set(INSTRUCTIONS.map(featureOf));
  const rows = [...features].map((feature) => {
    const members = INSTRUCTIONS.filter((row) => featureOf(row) === feature);
    const implemented = members.filter(({ execute }) => execute !== undefined).length;
    return [feature, String(members.length), String(implemented), String(members.length - implemented)];
  });
  const isBaseline = ([feature]: readonly string[]) => feature === BASELINE;
  rows.sort((a, b) => Number(isBaseline(b)) - Number(isBaseline(a)) || (a[0]! < b[0]! ? -1 : 1));
  const total = [1, 2, 3].map((column) => String(rows.reduce((sum, row) => sum + Number(row[column]), 0)));
  return table(["Feature", "Rows", "Implemented", "Undefined"], [...rows, ["all", ...total]]);
}

function featureOf({ feature }: Instruction): string {
  return feature ?? BASELINE;
}

function instructionTable(rows: readonly Instruction[], hot: ReadonlyMap<Instruction, number>): string {
  return table(
    ["Name", "Encoding", "Assembly", "Feature", "Manual", "Status", "Hot"],
    rows.map((row) => [
      row.name,
      code(row.encoding),
      templates(row).map(code).join(" or "),
      row.feature ?? "",
      row.manual,
      row.execute === undefined ? "undefined row" : "implemented",
      hot.get(row)?.toString() ?? "",
    ]),
  );
}

function templates({ assembly }: Instruction): string[] {
  if (typeof assembly === "string") return [assembly];
  return [...new Set(assembly.map(({ template }) => template))];
}

/** Each hot word stands for one handler. */
function hotHandlers(): ReadonlyMap<Instruction, number> {
  const counts = new Map<Instruction, number>();
  for (const word of HOT_WORDS) {
    const decoded = DECODER.decode(word, IMPLEMENTED_FEATURES);
    if (decoded) counts.set(decoded.instruction, (counts.get(decoded.instruction) ?? 0) + 1);
  }
  return counts;
}
