import { MASK64 } from "../../src/base/bits.ts";
import { FAST_CONDITIONS, FAST_REGISTERS } from "../../src/cpu/fast-registers.ts";
import { REDIRECTIONS } from "../../src/cpu/redirection.ts";
import { CONTROL_REGISTERS } from "../../src/isa/system-registers/control.ts";
import { DEBUG_REGISTERS } from "../../src/isa/system-registers/debug.ts";
import {
  type BitRange,
  decodeRegister,
  type FieldMap,
  fieldMask,
  type SystemRegister,
} from "../../src/isa/system-registers/definition.ts";
import { EXCEPTION_REGISTERS } from "../../src/isa/system-registers/exceptions.ts";
import {
  IDENTIFICATION_REGISTERS,
  RESERVED_IDENTIFICATION_REGISTERS,
} from "../../src/isa/system-registers/identification.ts";
import { IMPLEMENTATION_DEFINED_REGISTERS } from "../../src/isa/system-registers/implementation-defined.ts";
import { INTERRUPT_CONTROLLER_REGISTERS } from "../../src/isa/system-registers/interrupt-controller.ts";
import { PERFORMANCE_MONITOR_REGISTERS } from "../../src/isa/system-registers/performance-monitors.ts";
import { SYSTEM_INSTRUCTIONS } from "../../src/isa/system-registers/system-instructions.ts";
import { REGISTER_BY_ENCODING, SYSTEM_REGISTERS } from "../../src/isa/system-registers/table.ts";
import { TIMER_REGISTERS } from "../../src/isa/system-registers/timers.ts";
import { code, hexadecimal, join, type Page, table } from "./markdown.ts";

const GROUPS: readonly { readonly title: string; readonly rows: readonly SystemRegister[] }[] = [
  { title: "Control and translation", rows: CONTROL_REGISTERS },
  { title: "Exceptions and process state", rows: EXCEPTION_REGISTERS },
  { title: "Identification", rows: IDENTIFICATION_REGISTERS },
  { title: "Timers", rows: TIMER_REGISTERS },
  { title: "Debug", rows: DEBUG_REGISTERS },
  { title: "Performance monitors", rows: PERFORMANCE_MONITOR_REGISTERS },
  { title: "Interrupt controller", rows: INTERRUPT_CONTROLLER_REGISTERS },
  { title: "Implementation defined", rows: IMPLEMENTATION_DEFINED_REGISTERS },
  { title: "Reserved identification", rows: RESERVED_IDENTIFICATION_REGISTERS },
];

export function systemRegistersPage(): Page {
  return {
    file: "system-registers.md",
    title: "System registers",
    summary: `All ${SYSTEM_REGISTERS.length} registers of the MRS and MSR space, and the ${SYSTEM_INSTRUCTIONS.length} instructions of the SYS space.`,
    body: join(
      "“From” is the lowest exception level at which a register exists (reading / writing where they differ); " +
        "which accesses trap is in [traps.md](traps.md). “Kept as”: *slot*, 64 bits in the processing element's " +
        "block; *computed*, the processor has a reader and a writer; *alias*, another name; " +
        "*interruptController*, the GIC's; *zero*, reads as zero and ignores writes; *absent*, reserved for a " +
        "facility of this product and UNDEFINED. Bits outside “writable” keep their reset value or read as RES1 " +
        "says. An encoding that is not in this list is UNDEFINED.",
      ...GROUPS.map(({ title, rows }) => join(`## ${title}`, registerTable(rows))),
      "## Redirections",
      "Names that mean another register while the host runs at EL2.",
      redirectionTable(),
      "## Reached without the processor",
      "MRS and MSR that are a plain load or store in generated code while the condition holds.",
      fastTable(),
      "## System instructions",
      systemInstructionTable(),
    ),
  };
}

function registerTable(rows: readonly SystemRegister[]): string {
  return table(
    ["Name", "Encoding", "Access", "From", "Kept as", "Fields", "Writable", "Notes"],
    rows.map((row) => [
      row.name,
      code(encodingText(row.encoding)),
      row.access,
      row.level === row.writeLevel ? `EL${row.level}` : `EL${row.level} / EL${row.writeLevel}`,
      row.storage,
      fieldsText(row.fields),
      writableText(row),
      notes(row),
    ]),
  );
}

function writableText({ access, storage, writable }: SystemRegister): string {
  if (access === "RO" || storage === "alias" || storage === "zero" || storage === "absent") return "";
  return writable === MASK64 ? "all" : code(hexadecimal(writable));
}

function encodingText(encoding: number): string {
  const [op0, op1, crn, crm, op2] = decodeRegister(encoding);
  return `S${op0 | 2}_${op1}_C${crn}_C${crm}_${op2}`;
}

function fieldsText(fields: FieldMap): string {
  return Object.entries(fields)
    .toSorted(([, a], [, b]) => (fieldMask(a) > fieldMask(b) ? -1 : 1))
    .map(([name, range]) => `${name} ${rangeText(range)}`)
    .join(", ");
}

function rangeText(range: BitRange): string {
  return typeof range === "number" ? String(range) : `${range[0]}:${range[1]}`;
}

function notes(row: SystemRegister): string {
  const parts = [
    row.of === undefined ? "" : `names ${row.of}`,
    row.feature ?? "",
    row.ones === 0n ? "" : `RES1 ${code(hexadecimal(row.ones))}`,
    row.reset === 0n ? "" : `reset ${code(hexadecimal(row.reset))}`,
    row.affects.length === 0 ? "" : `affects ${row.affects.join(", ")}`,
  ];
  return parts.filter((part) => part !== "").join("; ");
}

function redirectionTable(): string {
  const rows = Object.entries(REDIRECTIONS).flatMap(([condition, pairs]) =>
    pairs.map(([from, to]) => [from, condition, to]),
  );
  return table(["Name", "At", "Means"], rows);
}

function fastTable(): string {
  return table(
    ["Register", "Direction", "Condition"],
    FAST_REGISTERS.map(({ encoding, direction, condition }) => [
      REGISTER_BY_ENCODING.get(encoding)?.name ?? encodingText(encoding),
      direction,
      FAST_CONDITIONS[condition] ?? "",
    ]),
  );
}

function systemInstructionTable(): string {
  return table(
    ["Name", "op1, CRn, CRm, op2", "From", "Feature", "Needs EL2"],
    SYSTEM_INSTRUCTIONS.map(({ name, encoding, level, feature, needsEl2 }) => [
      name,
      code(decodeRegister(encoding).slice(1).join(", ")),
      `EL${level}`,
      feature ?? "",
      needsEl2 ? "yes" : "",
    ]),
  );
}
