import { describe, expect, it } from "vitest";
import { BareMachine } from "./bare-machine.ts";
import { runOnQemu } from "./qemu.ts";
import { VALUE_DIFFERENCES } from "./register-value-differences.ts";
import { VALUE_SETTINGS, valueProgram } from "./register-values.ts";

const INSTRUCTIONS = 5e7;

/** Value, syndrome and level of each line. */
function outcomes(output: string): (readonly [value: bigint, exception: string])[] {
  return output
    .trim()
    .split(/\r?\n/)
    .map((line) => {
      const [value, syndrome, level] = line.trim().split(" ");
      return [BigInt(`0x${value}`), `${syndrome} ${level}`] as const;
    });
}

describe("system registers have the values of QEMU's and keep the same bits", () => {
  const used = new Set<object>();

  it.each(VALUE_SETTINGS.map((setting) => [setting.name, setting] as const))(
    "at %s",
    async (name, setting) => {
      const { bytes, lines } = valueProgram(setting);
      const theirs = outcomes(await runOnQemu(bytes));
      const ours = outcomes(new BareMachine(bytes).run(INSTRUCTIONS));
      expect(theirs).toHaveLength(lines.length);
      expect(ours).toHaveLength(lines.length);
      const unexplained: string[] = [];
      lines.forEach(({ register, pattern }, index) => {
        const [mine, myException] = ours[index]!;
        const [other, otherException] = theirs[index]!;
        let different = myException === otherException ? mine ^ other : (1n << 64n) - 1n;
        if (different === 0n) return;
        for (const difference of VALUE_DIFFERENCES) {
          const { registers, patterns, settings, bits = (1n << 64n) - 1n } = difference;
          if (
            !registers.test(register) ||
            patterns?.test(pattern) === false ||
            settings?.test(name) === false
          )
            continue;
          used.add(difference);
          different &= ~bits;
        }
        if (different === 0n) return;
        unexplained.push(
          `${register}, ${pattern}: bits 0x${different.toString(16)}, ours 0x${mine.toString(16)} ${myException}, QEMU's 0x${other.toString(16)} ${otherException}`,
        );
      });
      expect(unexplained).toEqual([]);
    },
  );

  it("differ in every way that the list says", () => {
    expect(VALUE_DIFFERENCES.filter((difference) => !used.has(difference))).toEqual([]);
  });
});
