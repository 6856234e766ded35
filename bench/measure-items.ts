import { CONTENDERS, type ContenderName } from "./contenders.ts";
import type { Item } from "./items.ts";
import { packNotedCode } from "./measure/pack-code.ts";
import { BOOT_ITEM, type Measurement, runProcess } from "./measure/run-process.ts";
import type { ItemResult } from "./results.ts";
import { commandFor, type Workload } from "./workload.ts";

export interface MeasureSettings {
  readonly runs: number;
  /** The program that runs our machine. */
  readonly machineProcess: string;
  readonly say: (line: string) => void;
}

/** What came out of a measurement. */
export interface Measured {
  readonly results: readonly ItemResult[];
  /** A sentence for each run that failed. */
  readonly failures: readonly string[];
}

/**
 * Runs each workload with each contender, `runs` times, the contenders taking turns and starting with another
 * one each time, so that what else the host does hits all of them alike.
 */
export async function measure(
  workloads: readonly Workload[],
  contenders: readonly ContenderName[],
  { runs, machineProcess, say }: MeasureSettings,
): Promise<Measured> {
  const results: ItemResult[] = [];
  const failures: string[] = [];
  for (const workload of workloads) {
    failures.push(...(await warm(workload, contenders, { machineProcess, say })));
    const repetitions: Map<ContenderName, ReadonlyMap<string, Measurement>>[] = [];
    for (let run = 0; run < runs; run++) {
      const repetition = new Map<ContenderName, ReadonlyMap<string, Measurement>>();
      for (const contender of rotate(contenders, run)) {
        const command = commandFor(CONTENDERS[contender], workload, machineProcess);
        if (command === undefined) continue;
        const { measured, failure } = await runProcess(command, workload.limitSeconds);
        if (CONTENDERS[contender].kind === "ours") await pack(workload, { machineProcess, say });
        repetition.set(contender, measured);
        for (const [item, { seconds }] of measured) {
          say(`${item}, ${CONTENDERS[contender].title}, run ${run + 1} of ${runs}: ${seconds.toFixed(2)} s`);
        }
        if (failure !== undefined) {
          failures.push(`${workload.title}: ${CONTENDERS[contender].title} ${failure}`);
          say(failures.at(-1) ?? "");
        }
      }
      repetitions.push(repetition);
    }
    for (const item of workload.items) results.push(resultOf(item, contenders, repetitions));
  }
  return { results, failures };
}

/** Runs our translator for the code that it keeps, where the workload wants that; a sentence for each run that failed. */
async function warm(
  workload: Workload,
  contenders: readonly ContenderName[],
  settings: Omit<MeasureSettings, "runs">,
): Promise<string[]> {
  const command = commandFor(CONTENDERS.translator, workload, settings.machineProcess);
  if (command === undefined || !contenders.includes("translator")) return [];
  const failures: string[] = [];
  for (let run = 0; run < (workload.warmingRuns ?? 0); run++) {
    settings.say(`${workload.title}: run ${run + 1} of ${workload.warmingRuns} for the code that it keeps.`);
    const { failure } = await runProcess(command, workload.limitSeconds);
    if (failure !== undefined)
      failures.push(`${workload.title}: a run for the code that it keeps ${failure}`);
    await pack(workload, settings);
  }
  return failures;
}

/** Has the code that our machine noted packed, so that nobody does so while others are measured. */
async function pack(
  { guest }: Workload,
  { machineProcess, say }: Omit<MeasureSettings, "runs">,
): Promise<void> {
  if (guest.codeCache === undefined) return;
  say("Packing the code that machines noted.");
  await packNotedCode(guest.codeCache, machineProcess);
}

function resultOf(
  item: Item,
  contenders: readonly ContenderName[],
  repetitions: readonly ReadonlyMap<ContenderName, ReadonlyMap<string, Measurement>>[],
): ItemResult {
  return {
    item,
    repetitions: repetitions.map(
      (repetition) =>
        new Map(
          contenders.flatMap((name) => {
            const measurement = repetition.get(name)?.get(item.kind === "boot" ? BOOT_ITEM : item.name);
            return measurement === undefined ? [] : [[name, measurement] as const];
          }),
        ),
    ),
  };
}

function rotate<T>(values: readonly T[], by: number): T[] {
  const at = values.length === 0 ? 0 : by % values.length;
  return [...values.slice(at), ...values.slice(0, at)];
}
