#!/usr/bin/env node
import { lowerBackgroundThreads } from "../background-priority.ts";
import { main } from "./entry.ts";

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  // The machine is loaded when one is made, so that everything else is quick.
  createMachine: async (options) => {
    const { createMachine } = await import("../create-machine.ts");
    const machine = await createMachine(options);
    lowerBackgroundThreads(process.env);
    return machine;
  },
});
// What was piped to us may not have been read to its end, which must not keep the process.
process.exit();
