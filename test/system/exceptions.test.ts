import { describe, expect, it } from "vitest";
import { BareMachine } from "./bare-machine.ts";
import { EXCEPTION_CASES } from "./exception-cases.ts";
import { EXCEPTION_DIFFERENCES } from "./exception-differences.ts";
import { exceptionProgram } from "./exception-program.ts";
import { runOnQemu } from "./qemu.ts";

/** Cases in one program: X27 and the table allow more, but a failure then hides less. */
const BATCH = 200;
const INSTRUCTIONS = 2e7;

/** What was printed for each case: level and vector, ESR, FAR, ELR, SPSR, HPFAR. */
function records(output: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const line of output.split("\n")) {
    const [index, ...values] = line.trim().split(/\s+/);
    if (values.length < 4) continue;
    const key = Number.parseInt(index ?? "", 16);
    if (found.has(key)) throw new Error(`case ${key} raised two exceptions`);
    found.set(
      key,
      values.map((value) => value.replace(/^0+(?=.)/, "")),
    );
  }
  return found;
}

describe("exceptions at every level", () => {
  const used = new Set<RegExp>();
  const starts = Array.from(
    { length: Math.ceil(EXCEPTION_CASES.length / BATCH) },
    (_, batch) => batch * BATCH,
  );

  it.each(starts)("are those of QEMU, from case %i on", async (start) => {
    const cases = EXCEPTION_CASES.slice(start, start + BATCH);
    const program = exceptionProgram(cases);
    const theirs = records(await runOnQemu(program));
    const ours = records(new BareMachine(program).run(INSTRUCTIONS));
    const unexplained: string[] = [];
    cases.forEach(({ name }, index) => {
      const mine = ours.get(index) ?? [];
      const other = theirs.get(index) ?? [];
      if (mine.length > 0 && mine.join(" ") === other.join(" ")) return;
      const listed = EXCEPTION_DIFFERENCES.find(
        (each) => each.names.test(name) && each.ours.test(mine[1] ?? ""),
      );
      if (listed) used.add(listed.names);
      else unexplained.push(`${name}: ours ${mine.join(" ")}, QEMU's ${other.join(" ")}`);
    });
    expect(unexplained).toEqual([]);
  });

  it("differ in every way that the list says", () => {
    const unused = EXCEPTION_DIFFERENCES.filter(({ names }) => !used.has(names));
    expect(unused.map(({ names }) => String(names))).toEqual([]);
  });
});
