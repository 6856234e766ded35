import { CONTENDERS, type ContenderName } from "./contenders.ts";
import { GROUPS, type GroupName } from "./items.ts";
import {
  type Basis,
  counted,
  type ItemResult,
  medianOf,
  medianSeconds,
  quotient,
  slowdown,
  speedup,
} from "./results.ts";
import { geometricMean } from "./statistics.ts";
import { alignTable } from "./table.ts";

const MEBIBYTE = 2 ** 20;
const EMPTY = "–";

/** The tables of a measurement in Markdown that can be read as it is. */
export function report(
  results: readonly ItemResult[],
  contenders: readonly ContenderName[],
  basis: Basis,
): string {
  const groups = (Object.keys(GROUPS) as GroupName[]).flatMap((group) => {
    const members = results.filter(({ item }) => item.group === group);
    return members.length === 0 ? [] : [groupReport(group, members, contenders, basis)];
  });
  return groups.join("\n");
}

function groupReport(
  group: GroupName,
  results: readonly ItemResult[],
  contenders: readonly ContenderName[],
  basis: Basis,
): string {
  const ours = contenders.filter((name) => CONTENDERS[name].kind === "ours");
  return [
    `## ${GROUPS[group].title}\n`,
    timesTable(results, contenders),
    ...ours.flatMap((name) => [engineTable(results, name, basis), ...summary(group, results, name, basis)]),
    ...comparison(results, basis),
  ].join("\n");
}

/** Wall time, processor time in parentheses. */
function timesTable(results: readonly ItemResult[], contenders: readonly ContenderName[]): string {
  const header = ["seconds (CPU)", ...contenders.map((name) => CONTENDERS[name].title)];
  const rows = results.map((result) => [
    result.item.name,
    ...contenders.map((name) => {
      const wall = medianSeconds(result, name, "wall");
      return wall === undefined ? EMPTY : `${format(wall)} (${format(medianSeconds(result, name, "cpu"))})`;
    }),
  ]);
  return alignTable([header, ...rows]);
}

/** Ratios and counts of one of our engines. */
function engineTable(results: readonly ItemResult[], name: ContenderName, basis: Basis): string {
  const header = [
    CONTENDERS[name].title,
    "× as fast as QEMU",
    "× as slow as native",
    "M instr./s",
    "instr./region entry",
    "in regions, %",
    "walks/1,000 instr.",
    "peak resident, MiB",
  ];
  const rows = results.map((result) => {
    const { millionsPerSecond, perEntry, translatedShare, walksPerThousand } = counted(result, name);
    const peak = medianOf(result, (repetition) => repetition.get(name)?.peakBytes);
    return [
      result.item.name,
      format(speedup(result, name, basis)),
      format(slowdown(result, name, basis), 1),
      format(millionsPerSecond, 0),
      format(perEntry, 1),
      format(translatedShare === undefined ? undefined : translatedShare * 100, 1),
      format(walksPerThousand, 3),
      format(peak === undefined ? undefined : peak / MEBIBYTE, 0),
    ];
  });
  return alignTable([header, ...rows]);
}

/** The group's mean, held against what is laid down for it. */
function summary(
  group: GroupName,
  results: readonly ItemResult[],
  name: ContenderName,
  basis: Basis,
): string[] {
  const { floor, goal, least } = GROUPS[group];
  const ratios = results.flatMap((result) => {
    const ratio = speedup(result, name, basis);
    return ratio === undefined ? [] : [{ item: result.item.name, ratio }];
  });
  const mean = geometricMean(ratios.map(({ ratio }) => ratio));
  if (mean === undefined) return [];
  const facts = [
    `${CONTENDERS[name].title} against QEMU: **${format(mean)} times as fast**${basis === "cpu" ? " by processor time" : ""}`,
  ];
  if (ratios.length > 1) facts[0] += ` (geometric mean of ${ratios.length})`;
  if (floor !== undefined) {
    facts.push(
      `floor ${floor}, goal ${goal}: ${mean < floor ? "BELOW THE FLOOR" : mean < goal ? "above the floor" : "goal reached"}`,
    );
  }
  const low = least === undefined ? [] : ratios.filter(({ ratio }) => ratio < least);
  if (low.length > 0) facts.push(`below ${least}: ${low.map(({ item }) => item).join(", ")}`);
  return [`${facts.join("; ")}.\n`];
}

/** A translator that is slower than the interpreter has not paid for itself. */
function comparison(results: readonly ItemResult[], basis: Basis): string[] {
  const slower = results.flatMap((result) => {
    const ratio = medianOf(result, (repetition) =>
      quotient(result, repetition, "interpreter", "translator", basis),
    );
    return ratio === undefined || ratio >= 1 ? [] : [`${result.item.name} (${format(ratio)})`];
  });
  return slower.length === 0 ? [] : [`Translator slower than the interpreter: ${slower.join(", ")}.\n`];
}

function format(value: number | undefined, digits = 2): string {
  return value === undefined ? EMPTY : value.toFixed(digits);
}
