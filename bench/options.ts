import { Command, InvalidArgumentError, Option } from "commander";
import { CONTENDER_NAMES, type ContenderName, isContenderName } from "./contenders.ts";
import { GROUPS, type GroupName, ITEMS, selectItems } from "./items.ts";
import type { Basis } from "./results.ts";

export interface BenchOptions {
  readonly runs: number;
  readonly with: readonly ContenderName[];
  readonly scale: number;
  readonly by: Basis;
  readonly write?: boolean;
  readonly json?: string;
  readonly codeCache?: string;
}

export interface Actions {
  measure(names: readonly string[], options: BenchOptions): Promise<void>;
  profile(options: { output?: string }): Promise<void>;
}

const DEFAULT_RUNS = 5;

/** The benchmark's command line. */
export function buildBenchProgram(actions: Actions): Command {
  const program = new Command("bench")
    .usage("[options] [GROUP or ITEM...]")
    .description(
      "Measures our machine beside QEMU's (TCG) and, where that makes sense, beside the host itself: every run a " +
        "process of its own, contenders in turn, medians of ratios of wall time. Without names everything is " +
        "measured, and bench/results.md is written.",
    )
    .argument("[NAME...]", "groups and items", checkNames)
    .option("--runs <N>", "repeat each measurement N times", parseRuns, DEFAULT_RUNS)
    .addOption(
      new Option("--with <NAMES>", "contenders, with commas between")
        .argParser(parseContenders)
        .default(CONTENDER_NAMES, CONTENDER_NAMES.join(",")),
    )
    .addOption(
      new Option("--by <TIME>", "what ratios are of; processor time is steadier on a busy host")
        .choices(["wall", "cpu"])
        .default("wall"),
    )
    .option("--scale <FACTOR>", "do FACTOR times the work", parseScale, 1)
    .option("--write", "write bench/results.md although not everything was measured")
    .option("--json <FILE>", "write every single measurement to this file")
    .option(
      "--code-cache <DIR>",
      "our machine starts with translated code from there, and adds to it; run twice to measure a warm start (default: cold)",
    )
    .helpOption("--help", "print help")
    .helpCommand(false)
    .action(async (names: string[] = [], options: BenchOptions) => {
      await actions.measure(names, options);
    });
  program
    .command("profile")
    .summary("find the interpreter's hottest instructions")
    .description(
      "Boots Debian's 6.1 cloud kernel with counters and rewrites src/engine/interpreter/hot-words.ts.",
    )
    .option("-o, --output <FILE>", "write there instead")
    .helpOption("--help", "print help")
    .action(async (options: { output?: string }) => {
      await actions.profile(options);
    });
  return program.addHelpText("after", `\nItems:\n${listItems()}\n\nExamples:\n${EXAMPLES}\n`);
}

const EXAMPLES = [
  "npm run bench",
  "npm run bench -- boot boot-warm --runs 3",
  "npm run bench -- integer --with cortex-a57,neoverse-n1,translator",
  "npm run bench -- crc32 saxpy --runs 1 --scale 0.1",
  "npm run bench -- boot --code-cache /tmp/code",
  "npm run bench -- profile",
]
  .map((line) => `  ${line}`)
  .join("\n");

function listItems(): string {
  return (Object.keys(GROUPS) as GroupName[])
    .map((group) => {
      const names = ITEMS.filter((item) => item.group === group).map(({ name }) => name);
      return `  ${group.padEnd(10)} ${names.join(", ")}`;
    })
    .join("\n");
}

function checkNames(name: string, before: readonly string[] = []): string[] {
  if (selectItems([name]).unknown.length > 0) {
    throw new InvalidArgumentError(`There is no group or item of that name; --help lists them.`);
  }
  return [...before, name];
}

function parseRuns(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError("Give a number from 1 to 999.");
  return Number(text);
}

function parseScale(text: string): number {
  const scale = Number(text);
  if (!(scale > 0 && scale <= 100)) throw new InvalidArgumentError("Give a number above 0, at most 100.");
  return scale;
}

function parseContenders(text: string): ContenderName[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !isContenderName(name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`"${unknown}" is none of ${CONTENDER_NAMES.join(", ")}.`);
  }
  // In the usual order, each once.
  return CONTENDER_NAMES.filter((name) => names.includes(name));
}
