import { readFile } from "node:fs/promises";
import type { Writable } from "node:stream";
import { CommanderError } from "commander";
import { UserError } from "../../base/errors.ts";
import type { Host } from "./host.ts";
import { buildProgram, statusOfParserError } from "./program.ts";
import { EXIT_STATUS } from "./stop-reason.ts";

/** Runs `elvisor` with these arguments; the result is its exit status. Everything it wrote has gone out. */
export async function main(words: readonly string[], host: Host): Promise<number> {
  // A reader that has gone away (`elvisor images | head -1`) is not an error.
  const ignore = (): void => {};
  host.stdout.on("error", ignore);
  host.stderr.on("error", ignore);
  const status = await runProgram(words, host);
  await Promise.all([flushed(host.stdout), flushed(host.stderr)]);
  host.stdout.off("error", ignore);
  host.stderr.off("error", ignore);
  return status;
}

async function runProgram(words: readonly string[], host: Host): Promise<number> {
  let status: number = EXIT_STATUS.success;
  const program = buildProgram(host, await ownVersion(), (value) => {
    status = value;
  });
  try {
    if (words.length === 0) {
      program.outputHelp({ error: true });
      return EXIT_STATUS.usage;
    }
    await program.parseAsync([...words], { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return statusOfParserError(error.code, error.exitCode);
    const underExec =
      words[0] === "exec" || words.some((word) => word === "--exec" || word.startsWith("--exec="));
    if (error instanceof UserError) {
      host.stderr.write(`elvisor: ${error.message}\n`);
      return underExec && error.exitStatus === EXIT_STATUS.failure
        ? EXIT_STATUS.execFailure
        : error.exitStatus;
    }
    const report = error instanceof Error ? (error.stack ?? error.message) : String(error);
    host.stderr.write(`elvisor: This is a defect of elvisor; please report it with this text:\n${report}\n`);
    return underExec ? EXIT_STATUS.execFailure : EXIT_STATUS.failure;
  }
}

/** The version in the package's own package.json, wherever this file was built to. */
async function ownVersion(): Promise<string> {
  for (let url = new URL("./package.json", import.meta.url); ; url = new URL("../package.json", url)) {
    try {
      const content = JSON.parse(await readFile(url, "utf8")) as { name?: string; version?: string };
      if (content.name === "elvisor" && content.version !== undefined) return content.version;
    } catch {
      // Not here; further up.
    }
    if (url.pathname === "/package.json") return "unknown";
  }
}

function flushed(stream: Writable): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0) return Promise.resolve();
  return new Promise((resolve) => {
    stream.write("", () => resolve());
    stream.once("close", () => resolve());
  });
}
