import { EVENT_TRAPS, FLOATING_POINT_ACCESSES, TRAP_RULES, type TrapRule } from "../../src/cpu/trap-table.ts";
import { code, join, type Page, table } from "./markdown.ts";

export function trapsPage(): Page {
  return {
    file: "traps.md",
    title: "Traps",
    summary: `The ${TRAP_RULES.length} rules by which accesses to system registers trap, and ${EVENT_TRAPS.length} for waits and calls.`,
    body: join(
      "The first rule that applies decides. A condition is a disjunction (`|`) of conjunctions (`&`) of fields, " +
        "each possibly negated (`!`). SCTLR, CNTKCTL and CPACR stand for the register that governs EL0 in the " +
        "current regime, HOST for HCR_EL2.{E2H,TGE} = {1,1}, E2H for HCR_EL2.E2H, EL2 for “EL2 is enabled”, " +
        "HasEL2 and EL3 for “is implemented”, NS for SCR_EL3.NS. Rules for EL1 go to EL2 under HCR_EL2.TGE; rules " +
        "for EL2 apply only while EL2 is enabled.",
      "## System registers and system instructions",
      accessTable(),
      `Under CPACR_EL1.FPEN, CPTR_EL2 and CPTR_EL3, instructions of the SIMD and floating-point unit and accesses to ${FLOATING_POINT_ACCESSES.join(" and ")} take the trap of class 0x07.`,
      "## Waits and calls",
      eventTable(),
    ),
  };
}

function accessTable(): string {
  return table(
    ["Rule", "Accesses", "Direction", "At", "When", "Target"],
    TRAP_RULES.map((rule) => [
      rule.name,
      rule.accesses.map(code).join(", "),
      rule.direction ?? "both",
      levelsText(rule.levels),
      code(rule.when),
      targetText(rule.target),
    ]),
  );
}

function eventTable(): string {
  return table(
    ["Event", "At", "When", "Target"],
    EVENT_TRAPS.map(({ event, levels, when, target }) => [
      event,
      levelsText(levels),
      code(when),
      targetText(target),
    ]),
  );
}

function levelsText(levels: TrapRule["levels"]): string {
  return levels.map((level) => `EL${level}`).join(", ");
}

function targetText(target: TrapRule["target"]): string {
  return target === "undefined" ? "UNDEFINED" : `EL${target}`;
}
