import { CONTENDERS, type ContenderName } from "./contenders.ts";
import type { Item } from "./items.ts";
import { type Measurement, runProcess } from "./measure/run-process.ts";
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
    const repetitions: Map<ContenderName, ReadonlyMap<string, Measurement>>[] = [];
    for (let run = 0; run < runs; run++) {
      const repetition = new Map<ContenderName, ReadonlyMap<string, Measurement>>();
      for (const contender of rotate(contenders, run)) {
        const command = commandFor(CONTENDERS[contender], workload, machineProcess);
        if (command === undefined) continue;
        const { measured, failure } = await runProcess(command, workload.limitSeconds);
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
            const measurement = repetition.get(name)?.get(item.name);
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
