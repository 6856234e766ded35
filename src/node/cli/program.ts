import { Command, Option } from "commander";
import { DEFAULT_MMU } from "../../machine/virtual-machine-interface.ts";
import { parseIdentity, type SmbiosIdentity } from "../../platform/smbios/identity.ts";
import { CATALOGUE } from "../images/catalogue.ts";
import type { AcpiOptions } from "./acpi-command.ts";
import { DEFAULT_KERNEL } from "./defaults.ts";
import type { DevicesOptions } from "./devices-command.ts";
import type { DtbOptions } from "./dtb-command.ts";
import { ESCAPE_HELP } from "./escape-keys.ts";
import { addGuestCommands, addHvcall } from "./guest-program.ts";
import type { Host } from "./host.ts";
import { addIntrospectionCommands } from "./introspection-program.ts";
import { addMachineCommands } from "./machine-program.ts";
import type { RunOptions } from "./run-command.ts";
import { EXIT_STATUS } from "./stop-reason.ts";
import {
  type FilePlace,
  parseAddress,
  parseCount,
  parseFilePlace,
  parseSeconds,
  parseSize,
  parseTime,
} from "./values.ts";

const DEFAULT_MEMORY = "512M";

/**
 * The command line. `setStatus` receives the exit status of a command that succeeded in its own way. What a
 * command needs is imported when it runs, so that `--help` is quick.
 */
export function buildProgram(host: Host, version: string, setStatus: (status: number) => void): Command {
  const program = new Command("elvisor")
    .description("An AArch64 computer that boots unmodified arm64 kernels.")
    .version(version, "--version", "print the version")
    .helpOption("--help", "print help")
    .helpCommand("help [COMMAND]", "print help for a command")
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      outputError: (text, write) =>
        write(`elvisor: ${text.replace(/^error: /, "").replace(/\n(?=\()/, " ")}`),
    })
    .showHelpAfterError("elvisor: For the commands and their options, run: elvisor help")
    .enablePositionalOptions()
    .exitOverride();
  program.addHelpText(
    "after",
    examples(["elvisor run", "elvisor run --exec 'uname -a'", "elvisor help run"]),
  );
  addRun(program, host, setStatus);
  addMachineCommands(program, host, setStatus);
  addIntrospectionCommands(program, host);
  addGuestCommands(program, host);
  addImages(program, host);
  addTools(program, host);
  addHvcall(program);
  return program;
}

function addRun(program: Command, host: Host, setStatus: (status: number) => void): void {
  const run = machineOptions(program.command("run"))
    .summary("boot a guest on this terminal")
    .description("Boots a guest: Debian's kernel with a shell, where nothing else is named.")
    .argument("[IMAGE]", `system, kernel or firmware to pull and boot (default: ${DEFAULT_KERNEL})`)
    .option(
      "--name <NAME>",
      "what to call the machine; a system's disk is kept under it (default: the image's)",
    )
    .option("-d, --detach", "run in the background; elvisor exec, attach, logs and stop reach it by its name")
    .option("--rm", "forget at the end what the machine wrote to its system's disk")
    .option("--kernel <FILE>", "boot this kernel: Image, gzip, EFI zboot, ELF or flat")
    .option("--initrd <FILE>", "give it this initial file system")
    .option("--append <TEXT>", "add to the kernel's command line")
    .option("--dtb <FILE>", "give it this device tree instead of the machine's own")
    .option("--bios <FILE>", "start this firmware from flash")
    .option("--uefi", "start Debian's EDK2 from flash: it boots from drives, or the kernel that is given")
    .option(
      "--uefi-vars <FILE>",
      "keep its variables in this file, which is made when missing (default: one of the machine that --name names)",
    )
    .addOption(
      new Option(
        "--acpi <CHOICE>",
        "describe the machine by ACPI instead of a device tree; auto: converted from that (default: on for firmware, off for kernels)",
      ).choices(["on", "off", "auto"]),
    )
    .option(
      "--load <FILE@ADDRESS>",
      "put a file into memory (may be repeated); with --acpi auto, ACPI tables in it are used",
      collectPlace,
    )
    .option("--aliases <FILE>", "tell the guest other ids of devices that it does not know (YAML or JSON)")
    .option(
      "--smbios <SETTING>",
      "what the machine calls itself, such as type=1,manufacturer=ACME (may be repeated)",
      collectIdentity,
    )
    .option(
      "--drive <FILE[,OPTION...]>",
      "add a disk, a raw or qcow2 image (may be repeated); options: ro, overlay[=FILE], serial=TEXT, format=raw|qcow2, bus=mmio|pci",
      collect,
    )
    .option(
      "--share <DIR:/MNT[,ro]>",
      "mount a directory of the host in the guest (may be repeated)",
      collect,
    )
    .option(
      "--net <KIND>",
      "none, user (through this computer's sockets), or user,allow=HOST:PORT[,allow=...] (default: user)",
    )
    .option(
      "--publish <[ADDRESS:]PORT:GUESTPORT[/udp]>",
      "lead a port of this computer into the guest (may be repeated)",
      collect,
    )
    .option("--balloon <SIZE>", "take this much of its memory from the guest again", parseSize)
    .addOption(
      new Option("--virtio-bus <NAME>", "where virtio devices sit for which nothing else is said")
        .choices(["mmio", "pci"])
        .default("mmio"),
    )
    .addOption(
      new Option("--engine <NAME>", "how instructions are run")
        .choices(["translator", "interpreter"])
        .default("translator"),
    )
    .addOption(
      new Option(
        "--translation <PLACE>",
        "where hot code is translated: on a thread of its own, or on the machine's (default: background; inline with --deterministic). $ELVISOR_COMPILER_NICENESS, 0 to 19: how far compiling threads stand back behind the guest (default: 10)",
      ).choices(["background", "inline"]),
    )
    .option(
      "--code-cache <DIR>",
      "where translated code is kept, so that the next machine starts with it; off: nowhere (default: $ELVISOR_CODE_CACHE, or a directory of this user's cache)",
    )
    .option(
      "--code-cache-check",
      "write all code that was kept anew, and compare (slow); a difference is a defect of Elvisor's",
    )
    .addOption(
      new Option(
        "--dbt-regtrack <MODE>",
        "off: translated code stores its registers after each block, for comparison",
      )
        .choices(["on", "off"])
        .default("on"),
    )
    .addOption(
      new Option("--dbt-counters <MODE>", "off: the processor is asked for each count, for comparison")
        .choices(["on", "off"])
        .default("on"),
    )
    .addOption(
      new Option("--mmu <MODE>", "how addresses are translated: by shadow tables or by walking the guest's")
        .choices(["walk", "shadow"])
        .default(DEFAULT_MMU),
    )
    .addOption(
      new Option("--tlbi <MODE>", "with --mmu shadow: what a TLB invalidation forgets")
        .choices(["full", "incremental"])
        .default("full"),
    )
    .option("--mmu-check", "with --mmu shadow: compare every translation with a walk (slow)")
    .addOption(
      new Option(
        "--compat <NAME>",
        "also answer another hypervisor's guest interface: vmware, for open-vm-tools",
      ).choices(["vmware"]),
    )
    .option("--no-guest-services", "answer no calls of the guest's to its hypervisor")
    .option(
      "--time-scale <FACTOR[,trap]>",
      "let the guest's clock run slower or faster, such as 0.5x; trap: by converting at each access (default: 1x)",
      parseTime,
    )
    .option("--deterministic", "let time follow the instruction count: equal runs are equal to the last bit")
    .addOption(
      new Option(
        "--console <NAME>",
        "where typed keys go (default: virtio in the default guest, else serial)",
      ).choices(["virtio", "serial"]),
    )
    .option(
      "--restore <FILE>",
      "go on from a snapshot instead of booting; the other options must be those of the machine that it was taken of",
    )
    .option("--stats <FILE>", "write statistics to this JSON file at the end")
    .option("--timeout <SECONDS>", "end the machine after this time, with status 124", parseSeconds)
    .option("--exec <COMMAND>", "run this in the guest's shell instead, then power off")
    .action(async (image: string | undefined, options: Omit<RunOptions, "image">) => {
      const { runCommand } = await import("./run-command.ts");
      setStatus(await runCommand({ ...options, image }, host));
    });
  mirrorOptions(run);
  run.addHelpText(
    "after",
    `${examples([
      "elvisor run",
      "elvisor run debian:12",
      "elvisor run debian:12 --name work --memory 2G",
      "elvisor run kernel:6.12-generic --memory 2G --cpus 4",
      "elvisor run --exec 'cat /proc/cpuinfo'",
      "tar c src | elvisor run --exec 'tar x && ls -R'",
      "truncate -s 1G disk.img && elvisor run --drive disk.img",
      "elvisor run --drive base.qcow2,overlay=mine.qcow2 --drive data.img,ro",
      "elvisor run --share .:/mnt --exec 'ls /mnt'",
      "elvisor run --publish 2222:22 --net user,allow=mirror.example.org:80",
      "elvisor run --kernel Image --initrd initrd.img --append 'root=/dev/vda1'",
      "elvisor run firmware:uboot",
      "elvisor run --uefi --uefi-vars vars.fd --drive debian.img",
      "elvisor run --acpi on",
      "elvisor run --time-scale 0.1x",
      "elvisor run --restore work.snapshot",
      "elvisor run installer:12 --memory 1G --drive disk.img",
    ])}
Keys while a guest runs:
${ESCAPE_HELP.replace(/^/gm, "  ")}

Exit status:
  0 the guest powered off; 1 failure; 2 wrong usage; 124 --timeout.
  Under --exec: the command's own, and 125 for a failure of the machine.`,
  );
}

function addImages(program: Command, host: Host): void {
  const pull = program
    .command("pull")
    .summary("fetch images")
    .description(
      "Fetches the newest version of images from a Debian mirror, checked against its signed index.",
    )
    .argument("<NAME...>", "images to fetch")
    .action(async (names: string[], options: { mirror?: string; keyring?: string }) => {
      const { pullCommand } = await import("./images-command.ts");
      await pullCommand(names, options, host);
    });
  mirrorOptions(pull);
  const names = CATALOGUE.map(({ name, title }) => `  ${name.padEnd(20)} ${title}`).join("\n");
  pull.addHelpText(
    "after",
    `\nImages:\n${names}\n${examples(["elvisor pull kernel:6.12-cloud", "elvisor pull firmware:uboot firmware:edk2"])}`,
  );
  addBuild(program, host);
  const list = async (): Promise<void> => {
    const { imagesCommand } = await import("./images-command.ts");
    await imagesCommand(host);
  };
  const lists = "Lists the images that are here, with sizes and SHA-256, and the names of the others.";
  program
    .command("images")
    .summary("list images in the cache")
    .description(lists)
    .addHelpText("after", examples(["elvisor images"]))
    .action(list);
  const image = program
    .command("image")
    .summary("list and remove images")
    .description("Lists images, removes them, and clears up what interrupted runs have left.")
    .addHelpText(
      "after",
      examples(["elvisor image list", "elvisor image remove web kernel:6.12-generic", "elvisor image prune"]),
    );
  image.command("list").summary("as elvisor images").description(lists).action(list);
  image
    .command("remove")
    .alias("rm")
    .summary("remove images from the cache")
    .description("Removes images. Machines that were made from them go on as they are.")
    .argument("<NAME...>", "images to remove")
    .addHelpText("after", examples(["elvisor image remove web"]))
    .action(async (removed: string[]) => {
      const { removeImagesCommand } = await import("./images-command.ts");
      await removeImagesCommand(removed, host);
    });
  image
    .command("prune")
    .summary("remove downloads and the remains of interrupted runs")
    .description("Removes downloaded packages and what interrupted runs have left; no image is touched.")
    .addHelpText("after", examples(["elvisor image prune"]))
    .action(async () => {
      const { pruneImagesCommand } = await import("./images-command.ts");
      await pruneImagesCommand(host);
    });
}

function addBuild(program: Command, host: Host): void {
  const build = program
    .command("build")
    .summary("make an image from a recipe")
    .description(
      "Makes a system image from a recipe: a base, packages, files and commands. It is kept in the cache under its\n" +
        "name, for elvisor run NAME, and made again only where the recipe, its files or the packages are new.",
    )
    .argument("[FILE]", "the recipe, or the directory with an Elvisorfile", ".")
    .option("--name <NAME>", "what to call the image (default: the recipe's name:, else its directory's)")
    .action(async (path: string, options: { name?: string; mirror?: string; keyring?: string }) => {
      const { buildCommand } = await import("./images-command.ts");
      await buildCommand(path, options, host);
    });
  mirrorOptions(build);
  build.addHelpText(
    "after",
    `${examples(["elvisor build", "elvisor build web/Elvisorfile --name web:2 && elvisor run web:2"])}
An Elvisorfile (YAML):
  base: debian:12
  packages:
    - nginx
  files:
    - from: site            # a file or directory beside the recipe
      to: /var/www/html     # with / at its end: into that directory
    - { from: motd, to: /etc/motd, mode: 0644 }
  commands:                 # for /bin/sh, as root, with the network; no services run
    - systemctl disable apt-daily.timer
`,
  );
}

function addTools(program: Command, host: Host): void {
  machineOptions(program.command("dtb"))
    .summary("write the machine's device tree")
    .description("Writes the device tree (DTB) that a kernel would be given.")
    .option("--append <TEXT>", "the kernel's command line")
    .option("-o, --output <FILE>", "write to this file instead of standard output")
    .addHelpText("after", examples(["elvisor dtb --cpus 4 -o virt.dtb", "elvisor dtb | dtc -I dtb -O dts"]))
    .action(async (options: DtbOptions) => {
      const { dtbCommand } = await import("./dtb-command.ts");
      await dtbCommand(options, host);
    });
  program
    .command("acpi")
    .summary("make ACPI tables from a device tree")
    .description(
      "Makes ACPI tables for the board that a device tree describes: DSDT, MADT (APIC), GTDT, FADT (FACP) and\n" +
        "whatever else the board needs, one file each.",
    )
    .argument("<BOARD>", "the board's device tree (DTB)")
    .requiredOption("-o, --output <DIRECTORY>", "write the tables there, as DSDT.aml, APIC.aml, ...")
    .option("--report", "also write report.txt and report.json: what became of every node and property")
    .option("--aliases <FILE>", "add alternative ids for devices (YAML or JSON), and the table DIDM")
    .option("--strict", "refuse the board where there would be a warning")
    .addHelpText(
      "after",
      `${examples([
        "elvisor acpi board.dtb -o tables",
        "elvisor acpi board.dtb -o tables --report && less tables/report.txt",
        "elvisor dtb --cpus 4 -o virt.dtb && elvisor acpi virt.dtb -o tables && iasl -d tables/*.aml",
      ])}
Exit status:
  0 tables were written; 1 the board was refused; 2 wrong usage.
`,
    )
    .action(async (board: string, options: AcpiOptions) => {
      const { acpiCommand } = await import("./acpi-command.ts");
      await acpiCommand(board, options, host);
    });
  machineOptions(program.command("devices"))
    .summary("list a machine's devices and the drivers for them")
    .description(
      "Puts a machine together, reads the description in its memory as system software does, and binds the\n" +
        "hypervisor's own drivers to its devices: by their ids, or by those that --aliases gives them.",
    )
    .option("--dtb <FILE>", "describe it by this device tree instead of its own")
    .addOption(
      new Option(
        "--acpi <CHOICE>",
        "describe it by ACPI: its own tables, or (auto) converted from the device tree",
      )
        .choices(["on", "off", "auto"])
        .default("off"),
    )
    .option("--aliases <FILE>", "other ids of its devices (YAML or JSON)")
    .addHelpText(
      "after",
      examples(["elvisor devices", "elvisor devices --dtb board.dtb --aliases aliases.yaml --acpi auto"]),
    )
    .action(async (options: DevicesOptions) => {
      const { devicesCommand } = await import("./devices-command.ts");
      await devicesCommand(options, host);
    });
  program
    .command("asm")
    .summary("assemble A64 instructions")
    .description("Assembles a file, the program in the argument, or standard input, and lists the words.")
    .argument("[SOURCE]", "file, or the program itself")
    .option("--address <ADDRESS>", "address of the first instruction (default: 0)", parseAddress)
    .option("-o, --output <FILE>", "write the bytes to this file instead of listing them")
    .addHelpText(
      "after",
      examples(["elvisor asm 'add x0, x1, #1'", "elvisor asm boot.s --address 0x40080000 -o boot.bin"]),
    )
    .action(async (source: string | undefined, options: { address?: bigint; output?: string }) => {
      const { asmCommand } = await import("./assembly-commands.ts");
      await asmCommand(source, options, host);
    });
  program
    .command("disasm")
    .summary("disassemble A64 instructions")
    .description("Disassembles words in hexadecimal, a binary file, or standard input.")
    .argument("[SOURCE...]", "words, or a file")
    .option("--address <ADDRESS>", "address of the first instruction (default: 0)", parseAddress)
    .addHelpText(
      "after",
      examples(["elvisor disasm 91000420 d65f03c0", "elvisor disasm boot.bin --address 0x40080000"]),
    )
    .action(async (sources: string[], options: { address?: bigint }) => {
      const { disasmCommand } = await import("./assembly-commands.ts");
      await disasmCommand(sources, options, host);
    });
}

/** What describes the machine itself. */
function machineOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--memory <SIZE>", "memory, such as 512M or 2G")
        .argParser(parseSize)
        .default(parseSize(DEFAULT_MEMORY), DEFAULT_MEMORY),
    )
    .option("--cpus <NUMBER>", "processing elements", parseCount, 1)
    .option("--numa <NUMBER>", "NUMA domains among which CPUs and memory are divided", parseCount, 1)
    .option("--secure", "give the machine EL3 and Secure devices")
    .option("--virtualization", "give the machine EL2");
}

function mirrorOptions(command: Command): void {
  command
    .option("--mirror <URL>", "fetch packages from this Debian mirror instead of apt's")
    .option("--keyring <FILE>", "check them with these OpenPGP keys instead of the host's");
}

function collectIdentity(text: string, settings: readonly SmbiosIdentity[] = []): SmbiosIdentity[] {
  return [...settings, parseIdentity(text)];
}

function collectPlace(text: string, places: readonly FilePlace[] = []): FilePlace[] {
  return [...places, parseFilePlace(text)];
}

function collect(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

function examples(lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}

/** The status that an error of the command-line parser means: help and version are no errors. */
export function statusOfParserError(code: string, exitCode: number): number {
  return code === "commander.helpDisplayed" || code === "commander.version" || exitCode === 0
    ? EXIT_STATUS.success
    : EXIT_STATUS.usage;
}
