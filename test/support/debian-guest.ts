import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage, RECIPE_FILE } from "../../src/node/images/build.ts";
import { userSettings } from "../../src/node/user-settings.ts";
import type { CreateOptions, VirtualMachine } from "../../src/node/virtual-machine.ts";
import { buildGuestModule } from "./guest-module.ts";

/** Long tests of Debian 12 take minutes, and packages from the mirror of this computer's apt. */
export const FULL: boolean = process.env["ELVISOR_FULL"] === "1";
/** Milliseconds. */
export const LIMIT = 3_600_000;

const IMAGE = "elvisor-test:tools";
const RECIPE = "base: debian:12\npackages: [curl, fio, git, openssh-server]\n";

/** The name of a Debian 12 with the tools that tests use, which is made where it is not there yet. */
export async function debianWithTools(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  try {
    writeFileSync(join(folder, RECIPE_FILE), RECIPE);
    await buildImage(folder, IMAGE, userSettings());
  } finally {
    rmSync(folder, { recursive: true });
  }
  return IMAGE;
}

type Library = typeof import("../../src/node/index.ts");

/** The machine as it is built: the test runner's own form of a module takes twice the time. */
export async function builtLibrary(): Promise<Library> {
  return (await import(join(import.meta.dirname, "../../dist/src/node/index.js"))) as Library; // built from it
}

/** Starts a machine and waits for its agent, however long that takes: ready() would give up at some time. */
export async function startDebian(options: CreateOptions): Promise<VirtualMachine> {
  const library = await builtLibrary();
  const machine = await library.VirtualMachine.create({ memoryBytes: 2 ** 30, ...options });
  await Promise.race([
    once(machine.events, "ready"),
    machine.ended.then((reason) => {
      throw new Error(`the machine ended: ${JSON.stringify(reason)}`);
    }),
  ]);
  return machine;
}

/** What a command says, which must succeed. */
export async function outputOf(machine: VirtualMachine, command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await machine.exec(command, { input: "" });
  if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode}: ${stdout}${stderr}`);
  return stdout;
}

/** A guest of our default system, ready for commands. */
export async function startKernel(image: string, memoryBytes: number): Promise<VirtualMachine> {
  const library = await builtLibrary();
  const machine = await library.VirtualMachine.create({ image, memoryBytes });
  await machine.ready();
  return machine;
}

/** Compiles a module for the guest's kernel from a source of test/support and loads it; `parameters` as for insmod. */
export async function loadModule(machine: VirtualMachine, source: string, parameters: string): Promise<void> {
  const release = (await outputOf(machine, "uname -r")).trim();
  const module = await buildGuestModule(release, source);
  await machine.exec("cat > /tmp/guest.ko", { input: module });
  await outputOf(machine, `insmod /tmp/guest.ko ${parameters}`);
}
