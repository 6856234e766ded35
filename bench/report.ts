import { CONTENDERS, type ContenderName } from "./contenders.ts";
import { GROUPS, type GroupName } from "./items.ts";
import { counted, type ItemResult, medianOf, medianSeconds, slowdown, speedup } from "./results.ts";
import { geometricMean } from "./statistics.ts";
import { alignTable } from "./table.ts";

const MEBIBYTE = 2 ** 20;
const EMPTY = "–";

/** The tables of a measurement in Markdown that can be read as it is. */
export function report(results: readonly ItemResult[], contenders: readonly ContenderName[]): string {
  const groups = (Object.keys(GROUPS) as GroupName[]).flatMap((group) => {
    const members = results.filter(({ item }) => item.group === group);
    return members.length === 0 ? [] : [groupReport(group, members, contenders)];
  });
  return groups.join("\n");
}

function groupReport(
  group: GroupName,
  results: readonly ItemResult[],
  contenders: readonly ContenderName[],
): string {
  const ours = contenders.filter((name) => CONTENDERS[name].kind === "ours");
  const sections = [`## ${GROUPS[group].title}\n`, timesTable(results, contenders, ours)];
  if (ours.length > 0) sections.push(countsTable(results, ours));
  sections.push(...ours.map((name) => summary(group, results, name)).filter((line) => line !== ""));
  return `${sections.join("\n")}\n`;
}

/** Wall time, processor time in parentheses; then ratios. */
function timesTable(
  results: readonly ItemResult[],
  contenders: readonly ContenderName[],
  ours: readonly ContenderName[],
): string {
  const header = [
    "item",
    ...contenders.map((name) => `${CONTENDERS[name].title}, s (CPU)`),
    ...ours.map((name) => `${CONTENDERS[name].title}: times as fast as QEMU`),
    ...ours.map((name) => `${CONTENDERS[name].title}: times as slow as native`),
  ];
  const rows = results.map((result) => [
    result.item.name,
    ...contenders.map((name) => {
      const seconds = medianSeconds(result, name);
      const processor = medianOf(result, (repetition) => repetition.get(name)?.cpuSeconds);
      return seconds === undefined ? EMPTY : `${seconds.toFixed(2)} (${format(processor)})`;
    }),
    ...ours.map((name) => format(speedup(result, name))),
    ...ours.map((name) => format(slowdown(result, name), 1)),
  ]);
  return alignTable([header, ...rows]);
}

function countsTable(results: readonly ItemResult[], ours: readonly ContenderName[]): string {
  const header = [
    "item",
    "engine",
    "million instructions/s",
    "instructions/region entry",
    "in regions, %",
    "walks/1,000 instructions",
    "peak resident, MiB",
  ];
  const rows = results.flatMap((result) =>
    ours.map((name) => {
      const { millionsPerSecond, perEntry, translatedShare, walksPerThousand } = counted(result, name);
      const peak = medianOf(result, (repetition) => repetition.get(name)?.peakBytes);
      return [
        result.item.name,
        CONTENDERS[name].title,
        format(millionsPerSecond, 0),
        format(perEntry, 1),
        format(translatedShare === undefined ? undefined : translatedShare * 100, 1),
        format(walksPerThousand, 3),
        format(peak === undefined ? undefined : peak / MEBIBYTE, 0),
      ];
    }),
  );
  return alignTable([header, ...rows]);
}

function summary(group: GroupName, results: readonly ItemResult[], name: ContenderName): string {
  const ratios = results.flatMap((result) => speedup(result, name) ?? []);
  const mean = geometricMean(ratios);
  if (mean === undefined) return "";
  const { floor, goal } = GROUPS[group];
  const measure = floor === undefined ? "" : `; floor ${floor}, goal ${goal}`;
  const verdict = floor === undefined || mean >= floor ? "" : " BELOW THE FLOOR";
  const least = ratios.length < 2 ? "" : `, least ${format(Math.min(...ratios))}`;
  const what = ratios.length < 2 ? "ratio" : `geometric mean of ${ratios.length}`;
  return `${CONTENDERS[name].title}, times as fast as QEMU: ${what} **${format(mean)}**${least}${measure}${verdict}\n`;
}

function format(value: number | undefined, digits = 2): string {
  return value === undefined ? EMPTY : value.toFixed(digits);
}
