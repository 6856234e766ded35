#!/usr/bin/env node
import { main } from "./entry.ts";

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  // The machine is loaded when one is made, so that everything else is quick.
  createMachine: async (options) => (await import("../create-machine.ts")).createMachine(options),
});
// What was piped to us may not have been read to its end, which must not keep the process.
process.exit();
