import { type Command, Option } from "commander";
import { ACTIONS, type ProtectionAction } from "../../introspection/protection/page-tree.ts";
import type { Host } from "./host.ts";
import type { ProtectOptions } from "./protect-command.ts";
import type { ScanOptions } from "./scan-command.ts";
import { parseCount, parseSeconds } from "./values.ts";

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
  program
    .command("scan")
    .summary("show what is mapped in a running guest")
    .description(
      "Finds what is mapped in a machine's guest, by address translation instructions that a processor of the hypervisor's own executes. The guest's tables, registers and flags stay as they are.",
    )
    .argument("<NAME>", "the machine")
    .option("--kernel", "only the kernel's half of the addresses")
    .option("--user", "only the programs' half: of the program that runs, unless another is named")
    .option("--pid <PID>", "the address space of this process", parseCount)
    .option("--asid <ASID>", "the address space with this ASID (machines with --mmu shadow)", parseCount)
    .option("--all", "the address spaces of all processes")
    .option("--wx", "only what can be both written and executed")
    .option("--diff <FILE>", "what is mapped otherwise than in an earlier scan that was written with --json")
    .option("--json", "write it in JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  elvisor scan debian-12 --kernel\n  elvisor scan debian-12 --pid 1 --json\n  elvisor scan debian-12 --all --wx\n",
    )
    .action(async (name: string, options: ScanOptions) => {
      const { scanCommand } = await import("./scan-command.ts");
      await scanCommand(name, options, host);
    });
  program
    .command("protect")
    .summary("watch or forbid writes to a guest's kernel")
    .description(
      "Monitors every write to pages of a machine's guest before it happens, whoever writes: processors and devices. Without options it shows what is protected, and the writes so far.",
    )
    .argument("<NAME>", "the machine")
    .option("--kernel", "protect the code and the read-only data of its Linux kernel")
    .addOption(
      new Option("--action <ACTION>", "what becomes of a write")
        .choices(ACTIONS)
        .default("log" satisfies ProtectionAction),
    )
    .option(
      "--allow-from <FUNCTION>",
      "a function of the kernel that may write there (may be repeated)",
      collect,
    )
    .option("--callback <URL>", "with the action callback: post writes to this address, in JSON")
    .option("--snapshot <FILE>", "with the action snapshot+pause: keep the machine's state in this file")
    .option("--remove [TREE]", "protect no longer: everything, or one tree")
    .option("--resume", "let a machine go on that a write with the action pause has stopped")
    .option("--follow", "show further writes as they come, until Ctrl-C")
    .option("--json", "write everything in JSON; with --follow one write a line")
    .addHelpText(
      "after",
      "\nActions: log (tell of it), deny (it does not happen), inject (the instruction takes an external abort), pause (the machine stops behind it), kill (the machine ends), snapshot+pause (as pause, with a snapshot of what is behind the write), callback (tell a program of it).\n" +
        "\nExamples:\n  elvisor protect debian-12 --kernel --action deny\n  elvisor protect debian-12 --kernel --action callback --callback http://localhost:8080/writes\n  elvisor protect debian-12 --kernel --action snapshot+pause --snapshot evidence\n  elvisor protect debian-12 --follow\n  elvisor protect debian-12 --remove\n",
    )
    .action(async (name: string, options: ProtectOptions) => {
      const { protectCommand } = await import("./protect-command.ts");
      await protectCommand(name, options, host);
    });
}

function collect(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}
