import { describe, expect, it } from "vitest";
import { systemOperationName } from "../support/system-operation-name.ts";
import { BareMachine } from "./bare-machine.ts";
import { runOnQemu } from "./qemu.ts";
import { REGISTER_DIFFERENCES } from "./register-differences.ts";
import { isPossible, PROBE_SETTINGS, registerProbe } from "./register-probe.ts";

const full = process.env["ELVISOR_FULL"] === "1";
/** Settings and levels that `npm test` compares; `test:full` compares all. */
const BRIEF: Readonly<Record<string, readonly number[]>> = {
  open: [0, 1, 2, 3],
  "EL0 closed": [0],
  "HCR_EL2 traps": [1],
  "EL3 traps": [2],
  host: [2],
};
const INSTRUCTIONS = 5e7;

/** Outcomes by direction and encoding: level and syndrome, or "executes". Absent: UNDEFINED. */
function outcomes(output: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of output.split("\n")) {
    const [direction, encoding, level, syndrome] = line.trim().split(/\s+/);
    if (syndrome === undefined) continue;
    const trapped =
      Number(level) === 0 ? "executes" : `goes to EL${Number(level)} with 0x${syndrome.slice(8)}`;
    found.set(`${direction} ${Number.parseInt(encoding ?? "", 16)}`, trapped);
  }
  return found;
}

const settings = PROBE_SETTINGS.filter(({ name }) => full || name in BRIEF);

describe.each(settings)("every encoding with $name", (setting) => {
  const levels = ([0, 1, 2, 3] as const).filter(
    (level) => isPossible(setting, level) && (full || BRIEF[setting.name]?.includes(level)),
  );
  it.each(levels)("at EL%i behaves as on QEMU", { timeout: 300_000 }, async (level) => {
    const program = registerProbe(setting, level);
    const theirs = outcomes(await runOnQemu(program));
    const ours = outcomes(new BareMachine(program).run(INSTRUCTIONS));
    // Most encodings are UNDEFINED, which a mistake of the program's own could hide.
    expect(theirs.size).toBeGreaterThan(50);
    expect(theirs.size).toBeLessThan(10_000);
    const unexplained: string[] = [];
    for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
      const [mine = "UNDEFINED", other = "UNDEFINED"] = [ours.get(key), theirs.get(key)];
      if (mine === other) continue;
      const [direction, encoding] = key.split(" ");
      const name = systemOperationName(Number(encoding));
      const isListed = REGISTER_DIFFERENCES.some(
        ({ names, settings: where }) => names.test(name) && (where === undefined || where.test(setting.name)),
      );
      if (!isListed) unexplained.push(`${direction} ${name}: ours ${mine}, QEMU's ${other}`);
    }
    expect(unexplained).toEqual([]);
  });
});
