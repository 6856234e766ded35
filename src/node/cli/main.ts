#!/usr/bin/env node
import { createMachine } from "../create-machine.ts";
import { main } from "./entry.ts";

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  createMachine,
});
// What was piped to us may not have been read to its end, which must not keep the process.
process.exit();
