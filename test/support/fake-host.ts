import { PassThrough } from "node:stream";
import type { VirtualMachineFactory } from "../../src/machine/virtual-machine-interface.ts";
import { main } from "../../src/node/cli/entry.ts";

/** How a command under test ended. */
export interface CommandOutcome {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CommandSurroundings {
  readonly input?: Uint8Array | string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly createMachine?: VirtualMachineFactory;
}

/** Runs `elvisor` in this process, with standard streams of its own. */
export async function runElvisor(
  words: readonly string[],
  { input = "", environment = process.env, createMachine = noMachine }: CommandSurroundings = {},
): Promise<CommandOutcome> {
  const stdin = new PassThrough();
  stdin.end(input);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const output = collect(stdout);
  const errors = collect(stderr);
  const status = await main(words, { stdin, stdout, stderr, environment, createMachine });
  stdout.end();
  stderr.end();
  return { status, stdout: await output, stderr: (await errors).toString() };
}

const noMachine: VirtualMachineFactory = () => Promise.reject(new Error("this test makes no machine"));

async function collect(stream: PassThrough): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}
