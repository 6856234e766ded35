#!/usr/bin/env node
/** `npm run web`: serves a page in which a machine runs, until Ctrl-C. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { UserError } from "../../base/errors.ts";
import { DEFAULT_KERNEL } from "../cli/defaults.ts";
import { statusOfParserError } from "../cli/program.ts";
import { stderrProgress } from "../cli/progress.ts";
import { EXIT_STATUS } from "../cli/stop-reason.ts";
import { onEndingSignal } from "../cli/terminal.ts";
import { parseCount, parseSize } from "../cli/values.ts";
import { cacheDirectory, ImageCache } from "../images/cache.ts";
import { startWeb, type WebOptions } from "./web-command.ts";

interface ParsedOptions extends Omit<WebOptions, "image" | "memoryBytes"> {
  readonly memory: number;
  readonly mirror?: string;
  readonly keyring?: string;
}

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync([...words], { from: "user" });
    return EXIT_STATUS.success;
  } catch (error) {
    if (error instanceof CommanderError) return statusOfParserError(error.code, error.exitCode);
    if (!(error instanceof UserError)) throw error;
    process.stderr.write(`elvisor: ${error.message}\n`);
    return error.exitStatus;
  }
}

function buildProgram(): Command {
  return new Command("npm run web --")
    .description("Serves a page that boots a guest in a browser on this computer.")
    .helpOption("--help", "print help")
    .argument("[IMAGE]", `kernel to boot (default: ${DEFAULT_KERNEL})`)
    .option("--port <NUMBER>", "port to serve the page at; 0 for a free one", parsePort, 8080)
    .addOption(
      new Option("--memory <SIZE>", "the guest's memory, such as 512M or 1G")
        .argParser(parseSize)
        .default(parseSize("512M"), "512M"),
    )
    .option("--cpus <NUMBER>", "processing elements", parseCount, 1)
    .addOption(
      new Option("--engine <NAME>", "how instructions are run")
        .choices(["interpreter", "translator"])
        .default("translator"),
    )
    .option("--append <TEXT>", "add to the kernel's command line")
    .option("--mirror <URL>", "fetch packages from this Debian mirror instead of apt's")
    .option("--keyring <FILE>", "check them with these OpenPGP keys instead of the host's")
    .configureOutput({
      outputError: (text, write) => write(`elvisor: ${text.replace(/^error: /, "")}`),
    })
    .exitOverride()
    .action(serve);
}

async function serve(
  image: string | undefined,
  { memory, mirror, keyring, ...options }: ParsedOptions,
): Promise<void> {
  const server = await startWeb(
    { ...options, image, memoryBytes: memory },
    {
      cache: new ImageCache(cacheDirectory(process.env)),
      progress: stderrProgress(process.stderr),
      environment: process.env,
      mirror,
      keyring,
    },
  );
  process.stdout.write(`The page is at ${server.url} (Ctrl-C ends it).\n`);
  await new Promise<void>((resolve) => {
    const stopListening = onEndingSignal(() => {
      stopListening();
      resolve();
    });
  });
  await server.close();
  if (process.stdout.isTTY) process.stdout.write("\n");
}

/** 0 to 65535. */
function parsePort(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffff)) throw new InvalidArgumentError("It must be a port, from 0 to 65535.");
  return value;
}
