import { Argument, type Command } from "commander";
import type { Host } from "./host.ts";

/** Adds `elvisor guest` with its commands. */
export function addGuestCommands(program: Command, host: Host): void {
  const guest = program
    .command("guest")
    .summary("talk to a running machine's guest through its tools")
    .description(
      "What a guest tells of itself, values that guest and host leave for each other, and orders to its tools.\n" +
        "In the guest this takes open-vm-tools and --compat vmware, or hvcall for values.",
    );
  guest
    .command("info")
    .description("Shows what the guest has told: its system, addresses, values.")
    .argument("<NAME>", "the machine")
    .option("--json", "as JSON")
    .addHelpText("after", examples(["elvisor guest info debian-12"]))
    .action(async (name: string, options: { json?: boolean }) =>
      (await commands()).guestInfoCommand(name, options, host),
    );
  guest
    .command("get")
    .description("Writes a value that guest or host has set.")
    .argument("<NAME>", "the machine")
    .argument("<KEY>", "the value's name; in the guest it is guestinfo.KEY")
    .addHelpText("after", examples(["elvisor guest get debian-12 state"]))
    .action(async (name: string, key: string) => (await commands()).guestGetCommand(name, key, host));
  guest
    .command("set")
    .description("Sets a value for the guest to read.")
    .argument("<NAME>", "the machine")
    .argument("<KEY>", "the value's name; in the guest it is guestinfo.KEY")
    .argument("<VALUE>", "the value")
    .addHelpText("after", examples(["elvisor guest set debian-12 role web"]))
    .action(async (name: string, key: string, value: string) =>
      (await commands()).guestSetCommand(name, key, value, host),
    );
  guest
    .command("shutdown")
    .description("Lets the guest shut itself down.")
    .argument("<NAME>", "the machine")
    .addHelpText("after", examples(["elvisor guest shutdown debian-12"]))
    .action(async (name: string) => (await commands()).guestOrderCommand(name, "OS_Halt", host));
  guest
    .command("reboot")
    .description("Lets the guest restart itself.")
    .argument("<NAME>", "the machine")
    .addHelpText("after", examples(["elvisor guest reboot debian-12"]))
    .action(async (name: string) => (await commands()).guestOrderCommand(name, "OS_Reboot", host));
  guest
    .command("sync-time")
    .description("Sets the guest's clock by this computer's and keeps it there, or no longer does.")
    .argument("<NAME>", "the machine")
    .addArgument(new Argument("<CHOICE>", "on or off").choices(["on", "off"]))
    .addHelpText("after", examples(["elvisor guest sync-time debian-12 on"]))
    .action(async (name: string, wanted: "on" | "off") =>
      (await commands()).guestSyncTimeCommand(name, wanted, host),
    );
}

/** Adds `elvisor hvcall`. */
export function addHvcall(program: Command): void {
  program
    .command("hvcall")
    .summary("write the program by which guests call their hypervisor")
    .description("Writes hvcall, a static program for arm64 Linux that makes each of the hypervisor's calls.")
    .requiredOption("-o, --output <FILE>", "write it to this file")
    .addHelpText(
      "after",
      examples(["elvisor hvcall -o hvcall && elvisor cp hvcall debian-12:/usr/local/bin/hvcall"]),
    )
    .action(async (options: { output: string }) =>
      (await import("./hvcall-command.ts")).hvcallCommand(options),
    );
}

function commands(): Promise<typeof import("./guest-command.ts")> {
  return import("./guest-command.ts");
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}
