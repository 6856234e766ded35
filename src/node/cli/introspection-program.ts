import type { Command } from "commander";
import type { Host } from "./host.ts";
import { parseSeconds } from "./values.ts";

/** The commands that look into guests from outside. */
export function addIntrospectionCommands(program: Command, host: Host): void {
  program
    .command("inspect")
    .summary("show what a running guest does, from outside")
    .description(
      "Shows the processes, modules and address spaces of a machine's Linux guest. They are read from its memory: nothing runs in the guest for it, and nothing there changes.",
    )
    .argument("<NAME>", "the machine")
    .option("--json", "write everything once, in JSON")
    .option("--once", "write it once; without, a terminal shows it until q is pressed")
    .option("--interval <SECONDS>", "how often the view is drawn", parseSeconds, 1)
    .addHelpText(
      "after",
      "\nExamples:\n  elvisor inspect debian-12\n  elvisor inspect debian-12 --json | jq '.processes[].name'\n",
    )
    .action(async (name: string, options: { json?: boolean; once?: boolean; interval: number }) => {
      const { inspectCommand } = await import("./inspect-command.ts");
      await inspectCommand(name, options, host);
    });
}
