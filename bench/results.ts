import { CONTENDERS, type ContenderName } from "./contenders.ts";
import type { Item } from "./items.ts";
import type { Measurement } from "./measure/run-process.ts";
import { median } from "./statistics.ts";

/** One repetition of one item: what each contender measured. */
export type Repetition = ReadonlyMap<ContenderName, Measurement>;

/** Everything that was measured of one item. */
export interface ItemResult {
  readonly item: Item;
  readonly repetitions: readonly Repetition[];
}

/** Which time is compared: by the host's clock, or of its processors. */
export type Basis = "wall" | "cpu";

/** Seconds, for the item's unit of work where it has one. */
function secondsOf(
  { item }: ItemResult,
  measurement: Measurement | undefined,
  basis: Basis,
): number | undefined {
  const seconds = basis === "wall" ? measurement?.seconds : measurement?.cpuSeconds;
  if (seconds === undefined || item.kind !== "program" || item.unit === undefined) return seconds;
  return measurement?.work === undefined ? undefined : (seconds * item.unit) / measurement.work;
}

/** Seconds of the faster QEMU in a repetition. */
function fastestQemu(result: ItemResult, repetition: Repetition, basis: Basis): number | undefined {
  const seconds = [...repetition].flatMap(([name, measurement]) =>
    CONTENDERS[name].kind === "qemu" ? (secondsOf(result, measurement, basis) ?? []) : [],
  );
  return seconds.length === 0 ? undefined : Math.min(...seconds);
}

/** The median over repetitions of what `value` makes of one; repetitions without that value do not count. */
export function medianOf(
  result: ItemResult,
  value: (repetition: Repetition) => number | undefined,
): number | undefined {
  return median(
    result.repetitions.flatMap((repetition) => {
      const number = value(repetition);
      return number === undefined || !Number.isFinite(number) ? [] : [number];
    }),
  );
}

export function medianSeconds(result: ItemResult, name: ContenderName, basis: Basis): number | undefined {
  return medianOf(result, (repetition) => secondsOf(result, repetition.get(name), basis));
}

/** How many times as fast as the faster QEMU. */
export function speedup(result: ItemResult, name: ContenderName, basis: Basis): number | undefined {
  return medianOf(result, (repetition) =>
    ratio(fastestQemu(result, repetition, basis), secondsOf(result, repetition.get(name), basis)),
  );
}

/** How many times as slow as the host's own program. */
export function slowdown(result: ItemResult, name: ContenderName, basis: Basis): number | undefined {
  return medianOf(result, (repetition) => quotient(result, repetition, name, "native", basis));
}

/** One contender's time in units of another's. */
export function quotient(
  result: ItemResult,
  repetition: Repetition,
  name: ContenderName,
  unit: ContenderName,
  basis: Basis,
): number | undefined {
  return ratio(
    secondsOf(result, repetition.get(name), basis),
    secondsOf(result, repetition.get(unit), basis),
  );
}

function ratio(above: number | undefined, below: number | undefined): number | undefined {
  return above === undefined || below === undefined ? undefined : above / below;
}

/** What our machine counted, in words of the report. */
export function counted(result: ItemResult, name: ContenderName): Counted {
  const per = (value: (counts: Measurement["counts"], seconds: number) => number) =>
    medianOf(result, (repetition) => {
      const measurement = repetition.get(name);
      return measurement && value(measurement.counts, measurement.seconds);
    });
  return {
    millionsPerSecond: per((counts, seconds) => (counts["instructions"] ?? Number.NaN) / seconds / 1e6),
    perEntry: per(
      (counts) => (counts["regionInstructions"] ?? Number.NaN) / (counts["regionEntries"] ?? Number.NaN),
    ),
    translatedShare: per(
      (counts) => (counts["regionInstructions"] ?? Number.NaN) / (counts["instructions"] ?? Number.NaN),
    ),
    walksPerThousand: per(
      (counts) => (1000 * (counts["tlbMisses"] ?? Number.NaN)) / (counts["instructions"] ?? Number.NaN),
    ),
  };
}

export interface Counted {
  /** Guest instructions, millions a second of the host's clock. */
  readonly millionsPerSecond: number | undefined;
  /** Instructions for each entry into a translated region. */
  readonly perEntry: number | undefined;
  /** Part of all instructions that were executed in translated regions, 0 to 1. */
  readonly translatedShare: number | undefined;
  /** Table walks for each thousand instructions. */
  readonly walksPerThousand: number | undefined;
}

/** Contenders whose checksums are not QEMU's, or among QEMUs not each other's; a sentence for each. */
export function checksumDifferences({ item, repetitions }: ItemResult): string[] {
  const sentences = new Set<string>();
  for (const repetition of repetitions) {
    const reference = [...repetition].find(([name]) => CONTENDERS[name].kind !== "native");
    const comparable = [...repetition].filter(
      ([name]) => CONTENDERS[name].kind !== "native" || !mayDiffer(item),
    );
    const expected = (reference ?? comparable[0])?.[1].checksum;
    for (const [name, { checksum }] of comparable) {
      if (BigInt(`0x${checksum ?? 0}`) === BigInt(`0x${expected ?? 0}`)) continue;
      sentences.add(
        `${item.name}: ${CONTENDERS[name].title} computes ${checksum}, ${CONTENDERS[reference?.[0] ?? name].title} computes ${expected}.`,
      );
    }
  }
  return [...sentences];
}

/** The host rounds otherwise, or has another version of the program. */
function mayDiffer(item: Item): boolean {
  return item.kind === "program" || (item.kind === "kernel" && item.rounds === true);
}
