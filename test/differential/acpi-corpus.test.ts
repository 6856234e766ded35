import { expect, test } from "vitest";
import { convertDeviceTree } from "../../src/platform/conversion/convert-blob.ts";
import { executeTables, roundTrip } from "../support/acpica.ts";
import { type BoardTree, boardTrees } from "../support/guest-images.ts";

/** Real boards: all in the long form, each so many-th otherwise. */
const full = process.env["ELVISOR_FULL"] === "1";
const SAMPLE = 26;
/** CPU time that a board may take, in milliseconds, and all of them together; see the issue. */
const BOARD_LIMIT = 100;
const CORPUS_LIMIT = 60_000;
const HOURS = 3_600_000;

/** Why boards are refused: a sentence from this list. */
const REFUSALS = [/^It has no Generic Interrupt Controller/, /^It has no arm,armv8-timer/];

/** Methods are called with arguments that ACPICA makes up: it warns of its own choice. */
const MADE_UP_ARGUMENTS = /_(SRS|OSC): Argument #\d type mismatch/;

/** What ACPICA finds wrong with the tables of a board. */
async function faultsOf({ name, bytes }: BoardTree): Promise<string[]> {
  const result = convertDeviceTree(bytes, { source: name });
  if (result.status === "refused") {
    return REFUSALS.some((pattern) => pattern.test(result.reason)) ? [] : [`${name}: ${result.reason}`];
  }
  const faults: string[] = [];
  for (const [signature, table] of result.tables) {
    const { errors, warnings, identical, messages } = await roundTrip(table);
    if (errors + warnings > 0 || !identical) {
      faults.push(
        `${name} ${signature}: ${errors} errors, ${warnings} warnings, identical: ${identical}\n${messages}`,
      );
    }
  }
  const dsdt = result.tables.get("DSDT")!;
  const output = await executeTables([dsdt], ["execute predefined"]);
  const evaluated = Number(/Evaluated (\d+) predefined/.exec(output)?.[1] ?? 0);
  const exceptions = (
    output.match(/^.*(returned AE_(?!OK)|ACPI Error|ACPI Warning|Exception).*$/gm) ?? []
  ).filter((line) => !MADE_UP_ARGUMENTS.test(line));
  if (exceptions.length > 0 || evaluated < 3)
    faults.push(`${name}: evaluated ${evaluated}: ${exceptions.join("\n")}`);
  return faults;
}

/** Every node and every property has a fate, and every device with registers is in a table, or says why not. */
function unaccounted({ name, bytes }: BoardTree): string[] {
  const { nodes } = convertDeviceTree(bytes, { source: name }).report();
  return nodes.flatMap(({ path, how, properties }) => [
    ...(how === "" ? [`${name} ${path}`] : []),
    ...properties
      .filter((property) => property.how === "")
      .map((property) => `${name} ${path} ${property.name}`),
  ]);
}

test.each(["6.12", "6.1"] as const)(
  "boards of Linux %s become tables that ACPICA reads, writes again and evaluates, or are refused with a reason",
  async (series) => {
    // The older boards are nearly all among the newer ones: only the long form looks at them.
    const every = full ? 1 : SAMPLE;
    const boards = series === "6.12" || full ? await boardTrees(series, every) : [];
    const pending = [...boards];
    const faults: string[] = [];
    const work = async (): Promise<void> => {
      for (let board = pending.pop(); board !== undefined; board = pending.pop()) {
        faults.push(...unaccounted(board), ...(await faultsOf(board)));
      }
    };
    await Promise.all([work(), work()]);
    expect(faults).toEqual([]);
    if (full) expect(boards.length).toBe(series === "6.12" ? 1023 : 577);
    else if (series === "6.12") expect(boards.length).toBeGreaterThan(35);
  },
  full ? 3 * HOURS : 600_000,
);

test(
  "a board takes less than 100 ms, and all of them less than a minute",
  async () => {
    const boards = await boardTrees("6.12", full ? 1 : SAMPLE);
    const times = boards.map(({ name, bytes }) => {
      // The best of three: the first ones run code that the host has not compiled yet, and others use the processor.
      const tries = Array.from({ length: 3 }, () => {
        const start = process.cpuUsage();
        convertDeviceTree(bytes, { source: name });
        const { user, system } = process.cpuUsage(start);
        return (user + system) / 1000;
      });
      return { name, time: Math.min(...tries) };
    });
    expect(times.filter(({ time }) => time > BOARD_LIMIT)).toEqual([]);
    const total = times.reduce((sum, { time }) => sum + time, 0);
    console.log(
      `${boards.length} boards: ${total.toFixed(0)} ms of CPU time, the slowest ${Math.max(...times.map(({ time }) => time)).toFixed(0)} ms`,
    );
    expect((total / boards.length) * 1023).toBeLessThan(CORPUS_LIMIT);
  },
  full ? HOURS : 600_000,
);
