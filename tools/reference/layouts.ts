import { PROCESSOR_OPERATION_NUMBER } from "../../src/engine/interpreter/processor-operations.ts";
import { indexOf, SYSTEM_REGISTERS } from "../../src/isa/system-registers/table.ts";
import { FRAME_FLAGS } from "../../src/memory/frame-table.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../src/memory/pe-layout.ts";
import { code, join, type Page, table } from "./markdown.ts";

export function layoutsPage(): Page {
  return {
    file: "layouts.md",
    title: "Layouts in linear memory",
    summary:
      "Where processing elements keep their state, the soft TLB, frame flags, slots of system registers.",
    body: join(
      "Contracts between generated code and TypeScript; src/memory/pe-layout.ts and src/memory/frame-table.ts say " +
        "what each name means.",
      "## Processing element",
      "Byte offsets from the element's base.",
      numbers(PE_LAYOUT),
      "## Soft TLB",
      "Bytes, offsets within an entry, and counts.",
      numbers(SOFT_TLB),
      "## Frame flags",
      numbers(FRAME_FLAGS),
      "## Processor operations",
      "Numbers by which generated code names what the processor does for it.",
      numbers(PROCESSOR_OPERATION_NUMBER),
      "## Slots of system registers",
      "Byte offsets from the element's base.",
      slots(),
    ),
  };
}

function numbers(entries: Readonly<Record<string, number>>): string {
  return table(
    ["Name", "Value"],
    Object.entries(entries).map(([name, value]) => [code(name), String(value)]),
  );
}

function slots(): string {
  return table(
    ["Offset", "Register"],
    SYSTEM_REGISTERS.flatMap((row) => {
      const index = indexOf(row);
      return index === undefined ? [] : [[String(PE_LAYOUT.SYSTEM_REGISTERS + 8 * index), row.name]];
    }),
  );
}
