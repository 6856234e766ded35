import { usageLine } from "../../src/hypervisor/services/hvcall.ts";
import { CALL_LIMITS } from "../../src/hypervisor/services/rate-limit.ts";
import {
  BACKDOOR_IMMEDIATE,
  REGISTER_DOOR,
  SERVICE_MAGIC,
} from "../../src/hypervisor/services/register-doors.ts";
import {
  SERVICE_STATUS,
  SERVICES,
  type Service,
  STATUS_TEXTS,
} from "../../src/hypervisor/services/service-table.ts";
import { SMCCC_DOOR } from "../../src/hypervisor/services/smccc-door.ts";
import { code, hexadecimal, join, type Page, table } from "./markdown.ts";

export function servicesPage(): Page {
  return {
    file: "services.md",
    title: "Services for guests",
    summary: "What guests may ask of their hypervisor, and the three doors through which they do.",
    body: join(
      "Each service can be called through three doors. Buffers are the caller's own memory, by address and length in " +
        "two registers, read and written with the caller's rights; a fault on one is the calling instruction's.",
      table(
        ["Door", "Instruction", "For", "Service", "Arguments", "Results"],
        [
          ["debug channel", code("MRS XZR, MDCCSR_EL0"), "programs and kernels", ...registerColumns()],
          [
            "breakpoint",
            `${code(`BRK #${hexadecimal(BACKDOOR_IMMEDIATE)}`)}, unless the guest's debugger uses the debug registers`,
            "programs and kernels",
            ...registerColumns(),
          ],
          [
            "SMCCC",
            `${code("HVC #0")} or ${code("SMC #0")}, as for PSCI`,
            "kernels",
            `W0 = ${code(hexadecimal(SMCCC_DOOR.first))} and the number`,
            registers(SMCCC_DOOR.arguments),
            registers(SMCCC_DOOR.results),
          ],
        ],
      ),
      `Through the first two doors X0 holds ${code(hexadecimal(SERVICE_MAGIC))} ("ELVI") and X7 ` +
        `${code(hexadecimal(REGISTER_DOOR.call))}. What is no call does what the architecture says. A machine may make ` +
        `${CALL_LIMITS.perSecond} calls a second, ${CALL_LIMITS.burst} of them at once; the others are answered as ` +
        "if there were no door.",
      `From outside, ${code("machine.guest.call(NAME, { ... })")} of the library makes the same calls, with bytes in the ` +
        "place of addresses and lengths; its types come from this table, too.",
      "## Services",
      ...SERVICES.map(section),
      "## Status",
      "The first result.",
      table(
        ["Name", "Value", "Meaning"],
        Object.entries(SERVICE_STATUS).map(([name, value]) => [name, String(value), statusText(name)]),
      ),
    ),
  };
}

function statusText(name: string): string {
  const texts: Readonly<Record<string, string>> = STATUS_TEXTS;
  return texts[name] ?? "";
}

function registerColumns(): string[] {
  return [
    `X${REGISTER_DOOR.number}[15:0]`,
    registers(REGISTER_DOOR.arguments),
    registers(REGISTER_DOOR.results),
  ];
}

function registers(numbers: readonly number[]): string {
  return numbers.map((number) => `X${number}`).join(", ");
}

function section(service: Service): string {
  const { number, name, description, privilege, arguments: list, results } = service;
  const rows = [
    ...list.map((argument) =>
      argument.kind === "number"
        ? [argument.name, "a number"]
        : [argument.name, `${argument.kind}: address and length, at most ${argument.most} bytes`],
    ),
    ...results.map((result) => [result, "result: a number"]),
  ];
  return join(
    `### ${number}: ${name}`,
    `${description} For ${privilege === "user" ? "programs and kernels" : "kernels only"}. ` +
      `In a guest: ${code(usageLine(service))}`,
    ...(rows.length === 0 ? [] : [table(["Name", "Kind"], rows)]),
  );
}
