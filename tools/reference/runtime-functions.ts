import { RUNTIME_FUNCTIONS } from "../../src/isa/runtime-functions.ts";
import { code, join, type Page, table } from "./markdown.ts";

export function runtimeFunctionsPage(): Page {
  const entries = Object.entries(RUNTIME_FUNCTIONS);
  return {
    file: "runtime-functions.md",
    title: "Runtime functions",
    summary: `The ${entries.length} functions that meanings call instead of being generated code.`,
    body: join(
      "They know only their arguments, FPCR and the cumulative flags of FPSR. Half and single precision values " +
        "travel as the bits of an i32, double precision values as those of an i64.",
      table(
        ["Function", "Operands", "Result"],
        entries.map(([name, { operands, result }]) => [code(name), operands.join(", "), result]),
      ),
    ),
  };
}
