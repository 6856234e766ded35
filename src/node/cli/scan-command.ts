import { readFile } from "node:fs/promises";
import { UserError } from "../../base/errors.ts";
import {
  difference,
  type HalfDocument,
  parseScan,
  type RangeChange,
  type RangeDocument,
  type ScanDocument,
  type ScanRequest,
} from "../../introspection/scan/scan-document.ts";
import { RemoteMachine } from "../machines/control-client.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import type { Host } from "./host.ts";
import { table } from "./table.ts";

export interface ScanOptions {
  readonly kernel?: boolean;
  readonly user?: boolean;
  readonly all?: boolean;
  readonly pid?: number;
  readonly asid?: number;
  readonly wx?: boolean;
  readonly diff?: string;
  readonly json?: boolean;
}

/** `elvisor scan`: what is mapped in a guest. With `diff`, what is mapped otherwise than in an earlier scan. */
export async function scanCommand(name: string, options: ScanOptions, host: Host): Promise<void> {
  const earlier =
    options.diff === undefined ? undefined : parseScan(await readScan(options.diff), options.diff);
  const machine = RemoteMachine.find(new Registry(runtimeDirectory(host.environment)), name);
  const scan = await machine.scan(requestOf(options));
  if (earlier !== undefined) {
    const changes = scan.scans.map((half) => ({
      ...{ half: half.half, tables: half.tables },
      changes: difference(matching(earlier, half)?.ranges ?? [], half.ranges),
    }));
    if (options.json === true) host.stdout.write(`${JSON.stringify({ differences: changes }, null, 2)}\n`);
    else for (const half of changes) host.stdout.write(`${changeLines(half).join("\n")}\n`);
  } else if (options.json === true) host.stdout.write(`${JSON.stringify(scan, null, 2)}\n`);
  else for (const half of scan.scans) host.stdout.write(`${halfLines(half).join("\n")}\n`);
}

function requestOf(options: ScanOptions): ScanRequest {
  const { kernel = false, user = false, pid, asid, all = false } = options;
  const spaces = [pid, asid, all || undefined].filter((value) => value !== undefined);
  if (spaces.length > 1)
    throw new UserError("Only one of --pid, --asid and --all can be given.", { exitStatus: 2 });
  const space =
    pid !== undefined
      ? { pid }
      : asid !== undefined
        ? { asid }
        : all
          ? ("all" as const)
          : ("current" as const);
  const named = space !== "current";
  const half = kernel === user ? (named && !kernel ? "user" : "both") : kernel ? "kernel" : "user";
  return { space, half, writableAndExecutable: options.wx };
}

async function readScan(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new UserError(`The earlier scan ${path} cannot be read (${String(cause)}).`, { cause });
  }
}

/** The scan of the same tables, or else of the same half where there is only one. */
function matching({ scans }: ScanDocument, { half, tables }: HalfDocument): HalfDocument | undefined {
  const halves = scans.filter((scan) => scan.half === half);
  return halves.find((scan) => scan.tables === tables) ?? (halves.length === 1 ? halves[0] : undefined);
}

function halfLines(scan: HalfDocument): string[] {
  const { half, tables, processes, ranges, counts, complete, milliseconds } = scan;
  const users = processes.length === 0 ? "" : ` of ${processes.join(", ")}`;
  return [
    `${half} half${users}, tables at ${tables}: ${counts.leaves} leaves in ${counts.tables} tables, ${counts.translations} AT instructions, ${milliseconds.toFixed(0)} ms${complete ? "" : "; given up before the end"}`,
    ...table(
      ["START", "END", "SIZE", "PHYSICAL", "LEAF", "EL1", "EL0", "MEMORY", "NOTE"],
      ranges.map((range) => [range.start, range.end, ...rangeCells(range)]),
    ),
    "",
  ];
}

function rangeCells(range: RangeDocument): string[] {
  const { size, physical, leaf, kernel, user, attributes, note } = range;
  return [bytesText(size), physical ?? "", bytesText(leaf), kernel, user, attributes, note ?? ""];
}

function changeLines({
  half,
  tables,
  changes,
}: {
  half: string;
  tables: string;
  changes: readonly RangeChange[];
}): string[] {
  return [
    `${half} half, tables at ${tables}: ${changes.length} changes`,
    ...table(
      ["", "START", "END", "BEFORE", "AFTER"],
      changes.map(({ kind, start, end, before, after }) => [
        ...[kind, start, end],
        ...[before, after].map((range) =>
          range === undefined ? "-" : `${range.kernel} ${range.user} ${range.physical ?? "?"}`,
        ),
      ]),
    ),
    "",
  ];
}

function bytesText(bytes: number): string {
  for (const [unit, size] of [
    ["T", 2 ** 40],
    ["G", 2 ** 30],
    ["M", 2 ** 20],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes / 1024}K`;
}
