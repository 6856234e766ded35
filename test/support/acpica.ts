import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Bytes of a table's header, in which a compiler names itself. */
const HEADER_SIZE = 36;

/** What ACPICA's compiler says of a table that it disassembled and assembled again. */
export interface RoundTrip {
  readonly errors: number;
  readonly warnings: number;
  /** Everything behind the header came back as it was. */
  readonly identical: boolean;
  /** ASL. */
  readonly source: string;
  /** The compiler's messages. */
  readonly messages: string;
}

/** Disassembles a table with `iasl -d` and assembles the result. */
export async function roundTrip(table: Uint8Array): Promise<RoundTrip> {
  return await withDirectory(async (directory) => {
    const file = (extension: string): string => join(directory, `table.${extension}`);
    await writeFile(file("aml"), table);
    const taken = await run("iasl", ["-d", "table.aml"], directory);
    const source = await readFile(file("dsl"), "utf8").catch(() => "");
    // -oa: names are written as they stand, not shortened.
    const made = await run("iasl", ["-oa", "-p", "again", "table.dsl"], directory);
    const again = await readFile(join(directory, "again.aml")).catch(() => new Uint8Array(0));
    const summary = /(\d+) Errors, (\d+) Warnings/.exec(made);
    return {
      errors: summary === null ? (again.length === 0 ? 1 : 0) : Number(summary[1]),
      warnings:
        (summary === null ? 0 : Number(summary[2])) + (taken.match(/^\s*(Warning|Error)/gim) ?? []).length,
      identical: Buffer.compare(table.subarray(HEADER_SIZE), again.subarray(HEADER_SIZE)) === 0,
      source,
      messages: `${taken}\n${made}`,
    };
  });
}

/** Lets ACPICA's interpreter load definition blocks and obey `commands`; the result is all it printed. */
export async function executeTables(
  tables: readonly Uint8Array[],
  commands: readonly string[],
): Promise<string> {
  return await withDirectory(async (directory) => {
    const files: string[] = [];
    for (const [index, table] of tables.entries()) {
      files.push(`table${index}.aml`);
      await writeFile(join(directory, `table${index}.aml`), table);
    }
    return await run("acpiexec", ["-b", commands.join("; "), ...files], directory);
  });
}

async function withDirectory<Result>(work: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), "elvisor-acpi-"));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** All that a program prints, whatever its exit status. */
function run(program: string, parameters: readonly string[], directory: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd: directory, maxBuffer: 256 * 2 ** 20, timeout: 300_000 };
    execFile(program, [...parameters], options, (error, stdout, stderr) => {
      if (error !== null && "code" in error && error.code === "ENOENT") reject(error);
      else resolve(`${stdout}${stderr}`);
    });
  });
}
