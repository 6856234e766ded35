import { Bug } from "../base/errors.ts";
import type { SystemRegister } from "../isa/system-registers/definition.ts";
import { SYSTEM_INSTRUCTIONS, type SystemInstruction } from "../isa/system-registers/system-instructions.ts";
import { SYSTEM_REGISTERS } from "../isa/system-registers/table.ts";
import { type Condition, type ConditionContext, compileCondition } from "./condition.ts";
import { EVENT_TRAPS, type EventTrap, IMPLEMENTATION_DEFINED, TRAP_RULES } from "./trap-table.ts";

/** What becomes of an access: it is executed, UNDEFINED, or trapped to a level. */
export type Verdict = "execute" | "undefined" | 1 | 2 | 3;

interface CompiledRule {
  readonly when: Condition;
  readonly target: 1 | 2 | 3 | "undefined";
}

type Direction = "read" | "write";

/** No encoding: op0 is never 0 in the table. */
const IMPLEMENTATION_DEFINED_KEY = 0;

/** Rules by encoding, level and direction. Encodings without any are absent. */
export class TrapTable {
  readonly #rules = new Map<number, readonly CompiledRule[]>();
  readonly #events = new Map<string, readonly CompiledRule[]>();

  constructor() {
    for (const { name, encoding } of [...SYSTEM_REGISTERS, ...SYSTEM_INSTRUCTIONS]) this.#add(name, encoding);
    this.#add(IMPLEMENTATION_DEFINED, IMPLEMENTATION_DEFINED_KEY);
    for (const event of ["WFI", "WFE", "SMC", "HVC"] as const)
      for (const level of [0, 1, 2, 3] as const) {
        const rules = EVENT_TRAPS.filter((trap) => trap.event === event && trap.levels.includes(level));
        this.#events.set(`${event} ${level}`, rules.map(compile));
      }
  }

  #add(name: string, encoding: number): void {
    const matching = TRAP_RULES.filter(({ accesses }) => accesses.some((pattern) => matches(pattern, name)));
    if (matching.length === 0) return;
    for (const level of [0, 1, 2, 3] as const)
      for (const direction of ["read", "write"] as const) {
        const rules = matching.filter(
          (rule) => rule.levels.includes(level) && (rule.direction ?? direction) === direction,
        );
        if (rules.length > 0) this.#rules.set(key(encoding, level, direction), rules.map(compile));
      }
  }

  /** Verdict of the trap table on an access that exists at this level. */
  access(encoding: number, direction: Direction, context: ConditionContext): Verdict {
    return verdict(this.#rules.get(key(encoding, context.state.el, direction)), context);
  }

  /** The same for an encoding that no row has, of those left to implementations. */
  implementationDefined(context: ConditionContext): Verdict {
    return this.access(IMPLEMENTATION_DEFINED_KEY, "write", context);
  }

  /** The same for a wait or call. */
  event(event: EventTrap["event"], context: ConditionContext): Verdict {
    return verdict(this.#events.get(`${event} ${context.state.el}`), context);
  }
}

function verdict(rules: readonly CompiledRule[] | undefined, context: ConditionContext): Verdict {
  if (rules === undefined) return "execute";
  const { privilege } = context;
  for (const { when, target } of rules) {
    if (target === 2 && !privilege.el2Enabled) continue;
    if (target === 3 && !privilege.hasEl3) continue;
    if (!when(context)) continue;
    return target === 1 && privilege.tge ? 2 : target;
  }
  return "execute";
}

function compile({ when, target }: { when: string; target: CompiledRule["target"] }): CompiledRule {
  return { when: compileCondition(when), target };
}

function key(encoding: number, level: number, direction: Direction): number {
  return (encoding << 3) | (level << 1) | (direction === "write" ? 1 : 0);
}

/** Whether a pattern of the trap table names an access. */
function matches(pattern: string, name: string): boolean {
  if (!pattern.includes("*")) return pattern === name;
  if (pattern.startsWith("*")) return name.endsWith(pattern.slice(1));
  if (!pattern.endsWith("*")) throw new Bug(`trap pattern ${pattern} is not understood`);
  return name.startsWith(pattern.slice(0, -1));
}

/** How the whole table judges a register's or instruction's existence at a level, before any trap. */
export function isReachable(
  row: SystemRegister | SystemInstruction,
  level: number,
  direction: Direction,
): boolean {
  const lowest = "writeLevel" in row && direction === "write" ? row.writeLevel : row.level;
  if (level < lowest) return false;
  return !("access" in row) || row.access === "RW" || row.access === (direction === "read" ? "RO" : "WO");
}
