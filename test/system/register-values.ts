import type { SystemRegister } from "../../src/isa/system-registers/definition.ts";
import { SYSTEM_REGISTERS } from "../../src/isa/system-registers/table.ts";
import { constant, type LevelStep, set, stepProgram } from "./level-steps.ts";
import { ABSENT_FROM_QEMU } from "./register-differences.ts";

/** What is written to a register before it is read back; "initial" is its value before anything was written. */
const PATTERNS: Readonly<Record<string, bigint>> = {
  zeros: 0n,
  ones: (1n << 64n) - 1n,
  odd: 0xaaaa_aaaa_aaaa_aaaan,
  even: 0x5555_5555_5555_5555n,
  halves: 0xffff_0000_00ff_ff0fn,
};

/** A level at which every register is tried, and HCR_EL2 meanwhile. */
export interface ValueSetting {
  readonly name: string;
  readonly level: 1 | 2 | 3;
  readonly hypervisorControl: bigint;
}

const HCR_RW = 1n << 31n;
const HCR_E2H = 1n << 34n;

export const VALUE_SETTINGS: readonly ValueSetting[] = [
  { name: "EL1", level: 1, hypervisorControl: HCR_RW },
  { name: "EL2", level: 2, hypervisorControl: HCR_RW },
  { name: "EL2, E2H", level: 2, hypervisorControl: HCR_RW | HCR_E2H },
  { name: "EL3", level: 3, hypervisorControl: HCR_RW },
];

/** Values that depend on the moment; the timer programs compare them. */
const CHANGING = /^CNT(PCT|VCT|H?[PV]_TVAL|PS_TVAL)_|^CNTHP_TVAL|^CNTHV_TVAL/;
/** Reading changes something, or a write would end the program: the GIC programs and the exception programs do it. */
const WITH_EFFECT = /^(ICC_IAR[01]_EL1|RMR_EL3)$/;

function isReadable(row: SystemRegister, { level, hypervisorControl }: ValueSetting): boolean {
  if (row.access === "WO" || row.storage === "absent" || row.level > level) return false;
  if (CHANGING.test(row.name) || WITH_EFFECT.test(row.name)) return false;
  if (ABSENT_FROM_QEMU.some(({ names }) => names.test(row.name.toLowerCase()))) return false;
  return row.storage !== "alias" || (level === 2 && (hypervisorControl & HCR_E2H) !== 0n);
}

/** The MMU of the level that the program runs at must stay off. */
function pattern(row: SystemRegister, value: bigint): bigint {
  return row.name.startsWith("SCTLR_") ? value & ~1n : value;
}

export interface ValueProgram {
  readonly bytes: Uint8Array;
  /** Register and pattern of each printed line. */
  readonly lines: readonly { readonly register: string; readonly pattern: string }[];
}

/** A program that reads every register, writes patterns to it, and prints what can be read back. */
export function valueProgram(setting: ValueSetting): ValueProgram {
  const { level, hypervisorControl } = setting;
  const rows = SYSTEM_REGISTERS.filter((row) => isReadable(row, setting));
  const steps: LevelStep[] = [];
  const lines: { register: string; pattern: string }[] = [];
  const add = (row: SystemRegister, what: string, code: string): void => {
    steps.push({ name: `${row.name}, ${what}`, level, code });
    lines.push({ register: row.name, pattern: what });
  };
  for (const row of rows) add(row, "initial", `  mrs x0, ${row.name.toLowerCase()}`);
  for (const row of rows) {
    if (row.access === "RO") continue;
    const name = row.name.toLowerCase();
    for (const [what, value] of Object.entries(PATTERNS)) {
      // Nothing but instructions is fetched while the value is there: it may be SCTLR_ELx.EE.
      add(
        row,
        what,
        `${constant("x2", pattern(row, value))}
  mrs x1, ${name}
  msr ${name}, x2
  isb
  mrs x0, ${name}
  msr ${name}, x1
  isb`,
      );
    }
  }
  const isHost = (hypervisorControl & HCR_E2H) !== 0n;
  const setup = [
    set("scr_el3", 0xd31n),
    set("hcr_el2", hypervisorControl),
    set("cpacr_el1", 3n << 20n),
    set("cptr_el2", isHost ? 3n << 20n : 0x33ffn),
    "  msr oslar_el1, xzr",
  ];
  return { bytes: stepProgram(setup.join("\n"), steps), lines };
}
