import { PSCI_FUNCTIONS, PSCI_STATUS } from "../../src/hypervisor/psci.ts";
import { code, hexadecimal, join, type Page, table } from "./markdown.ts";

export function powerPage(): Page {
  return {
    file: "power.md",
    title: "Power calls",
    summary: "PSCI and SMCCC functions that the machine answers itself.",
    body: join(
      "Answered over HVC or SMC, whichever the device tree names; any other function is NOT_SUPPORTED.",
      table(
        ["Function", "SMC32", "SMC64"],
        PSCI_FUNCTIONS.map(({ name, smc32, smc64 }) => [name, identifier(smc32), identifier(smc64)]),
      ),
      "## Return codes",
      table(
        ["Name", "Value"],
        Object.entries(PSCI_STATUS).map(([name, value]) => [name, String(value)]),
      ),
    ),
  };
}

function identifier(value: number | undefined): string {
  return value === undefined ? "" : code(hexadecimal(value, 8));
}
