import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { MarkerReader } from "./markers.ts";
import { type ProcessFigures, readProcessFigures } from "./process-figures.ts";

/** A program to run and measure. */
export interface Command {
  readonly program: string;
  readonly arguments: readonly string[];
  /** It writes figures of its own, a JSON object by item, to file descriptor 3 at its end. */
  readonly reports: boolean;
}

/** One item in one run. */
export interface Measurement {
  /** Seconds by the host's steady clock. */
  readonly seconds: number;
  /** Processor time of the whole process, seconds; undefined where the host does not tell. */
  readonly cpuSeconds: number | undefined;
  /** Most resident bytes of the process until then. */
  readonly peakBytes: number | undefined;
  readonly checksum: string | undefined;
  /** How much was done, where that is not known before. */
  readonly work: number | undefined;
  /** What our machine counted meanwhile, by the names of its statistics. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What came out of a run. */
export interface RunResult {
  /** By item; after a failure those that were complete. */
  readonly measured: ReadonlyMap<string, Measurement>;
  /** Why the run did not come to its end. */
  readonly failure: string | undefined;
}

/** Name under which a boot is measured: from the start of the process to the prompt. */
export const BOOT_ITEM = "boot";

/** Characters of a failed process's output to show. */
const OUTPUT_KEPT = 600;
/** Milliseconds for a process to end after it was asked to. */
const END_LIMIT = 10_000;

/** Runs `command` until it ends or its shell prompts. */
export async function runProcess(command: Command, limitSeconds: number): Promise<RunResult> {
  const run = new MeasuredProcess(command);
  const limit = setTimeout(() => run.fail(`did not end within ${limitSeconds} seconds`), limitSeconds * 1000);
  try {
    return await run.result;
  } finally {
    clearTimeout(limit);
  }
}

class MeasuredProcess {
  readonly result: Promise<RunResult>;
  readonly #child: ReturnType<typeof spawn>;
  readonly #markers = new MarkerReader();
  readonly #began = performance.now();
  readonly #open = new Map<string, { at: number; figures: ProcessFigures | undefined }>();
  readonly #done = new Map<string, Measurement>();
  #output = "";
  #errors = "";
  #report = "";
  #failure: string | undefined;

  constructor(command: Command) {
    const { program, arguments: parameters, reports } = command;
    this.#child = spawn(program, parameters, {
      stdio: ["ignore", "pipe", "pipe", reports ? "pipe" : "ignore"],
    });
    this.#open.set(BOOT_ITEM, { at: this.#began, figures: { cpuSeconds: 0, peakBytes: 0 } });
    this.#read(1, (text) => this.#onOutput(text));
    this.#read(2, (text) => {
      this.#errors = (this.#errors + text).slice(-OUTPUT_KEPT);
    });
    if (reports) {
      this.#read(3, (text) => {
        this.#report += text;
      });
    }
    this.result = new Promise((resolve) => {
      this.#child.once("error", (error: NodeJS.ErrnoException) => {
        resolve({
          measured: new Map(),
          failure: `${program} cannot be run (${error.code ?? error.message})`,
        });
      });
      this.#child.once("close", () => {
        resolve({ measured: this.#withCounts(), failure: this.#failure ?? this.#incomplete() });
      });
    });
  }

  fail(reason: string): void {
    this.#failure ??= `${reason}; its last output was:\n${this.#output}${this.#errors}`;
    this.#child.kill("SIGKILL");
  }

  #read(descriptor: number, take: (text: string) => void): void {
    const stream = this.#child.stdio[descriptor] as Readable;
    stream.setEncoding("latin1");
    stream.on("data", take);
  }

  #onOutput(text: string): void {
    const now = performance.now();
    this.#output = (this.#output + text).slice(-OUTPUT_KEPT);
    for (const marker of this.#markers.read(text)) {
      switch (marker.kind) {
        case "start":
          this.#open.set(marker.item, { at: now, figures: this.#figures() });
          break;
        case "end":
          this.#close(marker.item, now, marker);
          break;
        case "prompt":
          this.#close(BOOT_ITEM, now, { checksum: undefined, work: undefined });
          this.#end();
          break;
        case "exception":
          this.fail(`took an exception (${marker.text})`);
          break;
      }
    }
  }

  #figures(): ProcessFigures | undefined {
    return this.#child.pid === undefined ? undefined : readProcessFigures(this.#child.pid);
  }

  #close(item: string, now: number, { checksum, work }: Pick<Measurement, "checksum" | "work">): void {
    const start = this.#open.get(item);
    if (start === undefined) {
      this.fail(`ended ${item} without beginning it`);
      return;
    }
    this.#open.delete(item);
    const figures = this.#figures();
    this.#done.set(item, {
      seconds: (now - start.at) / 1000,
      cpuSeconds: figures && start.figures && figures.cpuSeconds - start.figures.cpuSeconds,
      peakBytes: figures?.peakBytes,
      checksum,
      work,
      counts: {},
    });
  }

  /** The prompt is all that was wanted. */
  #end(): void {
    this.#child.kill("SIGTERM");
    setTimeout(() => this.#child.kill("SIGKILL"), END_LIMIT).unref();
  }

  #incomplete(): string | undefined {
    this.#open.delete(BOOT_ITEM);
    const [item] = this.#open.keys();
    if (item === undefined && this.#done.size > 0) return undefined;
    const what = item === undefined ? "ended without a result" : `ended in the middle of ${item}`;
    return `${what}; its last output was:\n${this.#output}${this.#errors}`;
  }

  #withCounts(): Map<string, Measurement> {
    if (this.#report === "") return this.#done;
    const counts = JSON.parse(this.#report) as Record<string, Record<string, number>>;
    return new Map([...this.#done].map(([item, done]) => [item, { ...done, counts: counts[item] ?? {} }]));
  }
}
