import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { ConversionResult } from "../../platform/conversion/convert.ts";
import { convertDeviceTree } from "../../platform/conversion/convert-blob.ts";
import { printReport } from "../../platform/conversion/report.ts";
import { readAliases } from "../aliases/alias-file.ts";
import type { Host } from "./host.ts";
import { readInputFile, writeOutputFile } from "./user-files.ts";

/** The options of `elvisor acpi`, read. */
export interface AcpiOptions {
  readonly output: string;
  readonly report?: boolean;
  readonly strict?: boolean;
  readonly aliases?: string | undefined;
}

/** Warnings that are printed without --report. */
const WARNINGS_SHOWN = 10;

/** `elvisor acpi`: makes ACPI tables from a board's device tree, one file each. */
export async function acpiCommand(board: string, options: AcpiOptions, host: Host): Promise<void> {
  const file = await readInputFile(board, "device tree");
  const aliases = await readAliases(options.aliases, file);
  const result = convertDeviceTree(file.bytes, {
    source: board,
    strict: options.strict ?? false,
    ...(aliases === undefined ? {} : { aliases }),
  });
  await makeDirectory(options.output);
  if (options.report === true) await writeReport(result, options.output, host);
  if (result.status === "refused") {
    const hint = options.report === true ? "" : " For all that is in it, add --report.";
    throw new UserError(`${board} has no ACPI tables: ${result.reason}${hint}`);
  }
  for (const [signature, table] of result.tables) {
    const path = join(options.output, `${signature}.aml`);
    await writeOutputFile(path, table);
    host.stdout.write(`${path}  ${table.length} bytes\n`);
  }
  const { warnings } = result;
  const shown = options.report === true ? 0 : WARNINGS_SHOWN;
  for (const { path, property, text } of warnings.slice(0, shown)) {
    const place = property === undefined ? path : `${path}, ${property}`;
    host.stderr.write(`elvisor: Warning: ${place}: ${text}\n`);
  }
  if (warnings.length > shown) {
    const more = shown === 0 ? `${warnings.length} warnings` : `${warnings.length - shown} more warnings`;
    const where =
      options.report === true ? `are in ${join(options.output, "report.txt")}` : "are in --report";
    host.stderr.write(`elvisor: ${more} ${where}.\n`);
  }
}

/** The whole report, for programs and for people. */
async function writeReport(result: ConversionResult, directory: string, host: Host): Promise<void> {
  const { status } = result;
  const outcome =
    status === "converted"
      ? { status, tables: [...result.tables.keys()] }
      : { status, reason: result.reason };
  const report = result.report();
  const json = `${JSON.stringify({ ...outcome, ...report }, null, 2)}\n`;
  const files = { "report.json": json, "report.txt": printReport(report) };
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    await writeOutputFile(path, Buffer.from(content));
    host.stdout.write(`${path}\n`);
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`The directory ${path} cannot be made (${code}); give another one with --output.`, {
      cause,
    });
  }
}
