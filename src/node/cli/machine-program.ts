import type { Command } from "commander";
import type { Host } from "./host.ts";
import { parseSeconds } from "./values.ts";

const STOP_TIMEOUT = 60;

/** The commands that look after machines that run. */
export function addMachineCommands(program: Command, host: Host, setStatus: (status: number) => void): void {
  program
    .command("exec")
    .summary("run a command in a running machine")
    .description(
      "Runs a command in a machine: its input, output, errors, signals and status are the command's.",
    )
    .argument("<NAME>", "the machine")
    .argument("<COMMAND...>", "the program and its arguments, after --")
    .option("-t, --tty", "give the command a terminal")
    .option("-e, --env <NAME=VALUE>", "set a variable (may be repeated)", collect)
    .option("-w, --workdir <DIRECTORY>", "run it in this directory of the guest")
    .addHelpText(
      "after",
      examples([
        "elvisor exec debian-12 -- uname -a",
        "elvisor exec -t debian-12 -- bash",
        "tar c src | elvisor exec debian-12 -- tar x -C /root",
      ]) +
        "\nExit status: the command's own; 128 and a signal's number where one ended it;\n126 and 127 where it cannot be started; 125 where the machine or its agent is not there, or ends before it does.\n",
    )
    .passThroughOptions()
    .action(
      async (name: string, words: string[], options: { tty?: boolean; env?: string[]; workdir?: string }) => {
        const { execCommand } = await import("./exec-command.ts");
        // What was before it is ours, and the command has its own.
        setStatus(await execCommand(name, words[0] === "--" ? words.slice(1) : words, options, host));
      },
    );
  program
    .command("cp")
    .summary("copy files into a running machine or out of it")
    .description("Copies a file or a directory between this host and a machine, whose paths are NAME:PATH.")
    .argument("<FROM>", "what to copy")
    .argument("<TO>", "where to: a directory, or the new name")
    .addHelpText(
      "after",
      examples(["elvisor cp src debian-12:/root", "elvisor cp debian-12:/var/log/dpkg.log ."]),
    )
    .action(async (from: string, to: string) => {
      const { copyCommand } = await import("./copy-command.ts");
      await copyCommand(from, to, host);
    });
  program
    .command("ps")
    .summary("list running machines")
    .description("Lists this user's running machines.")
    .option("-a, --all", "also those that have a disk and do not run")
    .addHelpText("after", examples(["elvisor ps", "elvisor ps --all"]))
    .action(async (options: { all?: boolean }) => (await machineCommands()).psCommand(options, host));
  program
    .command("attach")
    .summary("use the console of a running machine")
    .description("Connects this terminal with a machine's console, until Ctrl-A d.")
    .argument("<NAME>", "the machine")
    .addHelpText("after", examples(["elvisor attach debian-12"]))
    .action(async (name: string) => (await machineCommands()).attachCommand(name, host));
  program
    .command("logs")
    .summary("show what a machine in the background has said")
    .description("Writes what came from the console of a machine that was started with run -d.")
    .argument("<NAME>", "the machine")
    .addHelpText("after", examples(["elvisor logs debian-12"]))
    .action(async (name: string) => (await machineCommands()).logsCommand(name, host));
  program
    .command("stop")
    .summary("switch machines off")
    .description("Lets the guest switch itself off, and ends the machine if it does not.")
    .argument("<NAME...>", "the machines")
    .option("-f, --force", "end them at once, as if the power were cut")
    .option("--timeout <SECONDS>", "how long a guest may take", parseSeconds, STOP_TIMEOUT)
    .addHelpText("after", examples(["elvisor stop debian-12", "elvisor stop --force debian-12"]))
    .action(async (names: string[], options: { force?: boolean; timeout: number }) =>
      (await machineCommands()).stopCommand(names, options, host),
    );
  program
    .command("rm")
    .summary("remove machines and their disks")
    .description("Removes machines that do not run, with everything on their disks.")
    .argument("<NAME...>", "the machines")
    .option("-f, --force", "end them first where they run")
    .addHelpText("after", examples(["elvisor rm debian-12"]))
    .action(async (names: string[], options: { force?: boolean }) =>
      (await machineCommands()).rmCommand(names, options, host),
    );
  program
    .command("stats")
    .summary("show what a running machine counts")
    .description("Writes a machine's statistics in JSON.")
    .argument("<NAME>", "the machine")
    .addHelpText("after", examples(["elvisor stats debian-12"]))
    .action(async (name: string) => (await machineCommands()).statsCommand(name, host));
  addTime(program, host);
  program
    .command("snapshot")
    .summary("keep a running machine's state in a file")
    .description(
      "Keeps the whole state of a machine in a file, from which elvisor run --restore goes on with the same options. The\nmachine stands still meanwhile and then goes on, unless it is to end: its drives are not in the file, and must hold\nwhen it is restored what they held then. Connections through its network end where it is restored.",
    )
    .argument("<NAME>", "the machine")
    .argument("<FILE>", "the snapshot; one that is there is replaced")
    .option("--end", "end the machine when it is kept, so that its drives stay as they are")
    .addHelpText(
      "after",
      examples([
        "elvisor snapshot debian-12 work.snapshot --end",
        "elvisor run debian:12 --restore work.snapshot",
      ]),
    )
    .action(async (name: string, file: string, options: { end?: boolean }) =>
      (await machineCommands()).snapshotCommand(name, file, options, host),
    );
}

/** What looks into a guest's time. */
function addTime(program: Command, host: Host): void {
  program
    .command("time")
    .summary("show or change how fast a running machine's clock runs")
    .description(
      "Shows how many of the guest's seconds pass in one of this computer's, or changes that. The guest's clock neither\njumps nor goes back; 0 stops it.",
    )
    .argument("<NAME>", "the machine")
    .argument("[FACTOR]", "such as 0.5x")
    .addHelpText(
      "after",
      examples(["elvisor time debian-12", "elvisor time debian-12 0.5x", "elvisor time debian-12 0"]),
    )
    .action(async (name: string, factor: string | undefined) =>
      (await machineCommands()).timeCommand(name, factor, host),
    );
}

function machineCommands(): Promise<typeof import("./machine-commands.ts")> {
  return import("./machine-commands.ts");
}

function collect(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}
