import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import type { Host } from "./host.ts";

const STEP = 50;
const SHOWN_LINES = 10;

/**
 * Starts the same command again in a process of its own, which outlives this one and writes to a log; returns
 * when the machine is running there. Its name goes to standard output.
 */
export async function runDetached(name: string, words: readonly string[], host: Host): Promise<void> {
  const registry = new Registry(runtimeDirectory(host.environment));
  await registry.prepare();
  const running = registry.find(name);
  if (running !== undefined) {
    throw new UserError(
      `The machine ${name} is running already (process ${running.pid}); use elvisor exec or attach, or give another --name.`,
    );
  }
  const path = registry.logOf(name);
  const log = openSync(path, "w", 0o600);
  const child = spawn(process.execPath, words, {
    detached: true,
    stdio: ["ignore", log, log],
    env: process.env,
  });
  closeSync(log);
  let ended = false;
  child.on("exit", () => {
    ended = true;
  });
  child.on("error", () => {
    ended = true;
  });
  while (!ended) {
    // Another machine may have taken the name just now.
    if (registry.find(name)?.pid === child.pid) {
      child.unref();
      host.stdout.write(`${name}\n`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, STEP));
  }
  const said = readFileSync(path, "utf8").trimEnd().split("\n").slice(-SHOWN_LINES);
  const sentence = said.join("\n").replace(/^elvisor: /, "");
  throw new UserError(sentence === "" ? `The machine ${name} ended at once.` : sentence);
}

/** The words of this process's command line with `--name`, and without the option that detaches. */
export function wordsInForeground(argv: readonly string[], name: string): string[] {
  const end = argv.indexOf("--");
  const options = (end < 0 ? argv : argv.slice(0, end)).filter(
    (word) => word !== "-d" && word !== "--detach",
  );
  return [
    ...options,
    ...(options.includes("--name") ? [] : ["--name", name]),
    ...(end < 0 ? [] : argv.slice(end)),
  ];
}
