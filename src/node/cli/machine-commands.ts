import { createReadStream, existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ReadStream } from "node:tty";
import { UserError } from "../../base/errors.ts";
import { parseTimeScale } from "../../base/time-scale.ts";
import { RemoteMachine } from "../machines/control-client.ts";
import { checkedName, MachineStore, machinesDirectory } from "../machines/machine-store.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import { Cleanups } from "./cleanups.ts";
import { type Host, writeFully } from "./host.ts";
import { table } from "./table.ts";
import { enterRawMode, TerminalModes } from "./terminal.ts";

function registryOf(host: Host): Registry {
  return new Registry(runtimeDirectory(host.environment));
}

/** `elvisor ps`: machines that run and, with `all`, those that only have a disk. */
export async function psCommand(options: { readonly all?: boolean }, host: Host): Promise<void> {
  const running = await registryOf(host).list();
  const rows = running.map(({ name, image, pid, started, memory, cpus }) => [
    name,
    image,
    `running for ${duration(Date.now() - started)}`,
    String(pid),
    `${Math.round(memory / 2 ** 20)}M`,
    String(cpus),
  ]);
  if (options.all === true) {
    const stored = await new MachineStore(machinesDirectory(host.environment)).list();
    for (const { name, image } of stored) {
      if (!running.some((machine) => machine.name === name)) rows.push([name, image, "stopped", "", "", ""]);
    }
  }
  const lines = table(["NAME", "IMAGE", "STATE", "PROCESS", "MEMORY", "CPUS"], rows);
  host.stdout.write(`${lines.join("\n")}\n`);
}

function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** `elvisor stats`: what a machine counts. */
export async function statsCommand(name: string, host: Host): Promise<void> {
  const statistics = await RemoteMachine.find(registryOf(host), name).statistics();
  host.stdout.write(`${JSON.stringify(statistics, null, 2)}\n`);
}

/** `elvisor time`: how fast a machine's clock runs, changed first where `factor` says so. */
export async function timeCommand(name: string, factor: string | undefined, host: Host): Promise<void> {
  const wanted = factor === undefined ? undefined : parseTimeScale(factor);
  const scale = await RemoteMachine.find(registryOf(host), name).pace(wanted);
  // Scales have 48 fraction bits; nobody needs to see them.
  host.stdout.write(`${Number(scale.toPrecision(9))}x\n`);
}

/** Milliseconds after which a person is told what takes its time. */
const PATIENCE = 1000;

/** `elvisor snapshot`: keeps a running machine's state in a file. */
export async function snapshotCommand(
  name: string,
  file: string,
  { end = false }: { readonly end?: boolean },
  host: Host,
): Promise<void> {
  const machine = RemoteMachine.find(registryOf(host), name);
  const notice = setTimeout(
    () => host.stderr.write(`elvisor: writing ${file}; ${name} stands still meanwhile ...\n`),
    PATIENCE,
  );
  try {
    await machine.snapshot(resolve(file), end);
  } finally {
    clearTimeout(notice);
  }
}

/** `elvisor logs`: what a machine that runs in the background has said. */
export async function logsCommand(name: string, host: Host): Promise<void> {
  const path = registryOf(host).logOf(name);
  if (!existsSync(path)) {
    throw new UserError(`There is no log of ${name}; machines that were started with run -d have one.`);
  }
  await pipeline(createReadStream(path), host.stdout, { end: false });
}

/** The keys that leave a console: Ctrl-A, then d. */
const ESCAPE = 0x01;
const DETACH = "d".charCodeAt(0);

/** `elvisor attach`: this terminal becomes the guest's console, until Ctrl-A d or the machine's end. */
export async function attachCommand(name: string, host: Host): Promise<void> {
  const { stdin, stdout, stderr } = host;
  const machine = RemoteMachine.find(registryOf(host), name);
  const console = await machine.console();
  const cleanups = new Cleanups();
  const modes = new TerminalModes();
  const resize = (): void => {
    if (stdout.columns && stdout.rows) void machine.resize(stdout.columns, stdout.rows).catch(() => {});
  };
  if (stdin.isTTY) {
    stderr.write(`elvisor: This is the console of ${name}; Ctrl-A d leaves it.\n`);
    cleanups.add(enterRawMode(stdin as ReadStream, (text) => stdout.isTTY && stdout.write(text), modes));
  }
  try {
    resize();
    cleanups.listen(stdout, "resize", resize);
    await new Promise<void>((resolve) => {
      let escaped = false;
      cleanups.listen(stdin, "data", (bytes: Uint8Array) => {
        const typed: number[] = [];
        for (const byte of bytes) {
          if (escaped && byte === DETACH) return resolve();
          if (!escaped && byte === ESCAPE && stdin.isTTY) escaped = true;
          else {
            // Twice is once for the guest; before any other key it is passed on with that key.
            if (escaped && byte !== ESCAPE) typed.push(ESCAPE);
            typed.push(byte);
            escaped = false;
          }
        }
        console.write(Uint8Array.from(typed));
      });
      console.on("close", resolve);
      void (async () => {
        for await (const bytes of console as AsyncIterable<Uint8Array>) {
          modes.watch(bytes);
          await writeFully(stdout, bytes);
        }
        resolve();
      })().catch(() => resolve());
      stdin.resume();
    });
  } finally {
    console.destroy();
    stdin.pause();
    cleanups.run();
  }
}

const POWER_OFF = "command -v systemctl >/dev/null && exec systemctl poweroff; exec poweroff";
const STEP = 100;

/** `elvisor stop`: switches a guest off in its own way; after `timeout` seconds, or with `force`, at once. */
export async function stopCommand(
  names: readonly string[],
  { force = false, timeout }: { readonly force?: boolean; readonly timeout: number },
  host: Host,
): Promise<void> {
  const registry = registryOf(host);
  const machines = names.map((name) => RemoteMachine.find(registry, name));
  for (const machine of machines) {
    const { name } = machine.description;
    const gone = async (seconds: number): Promise<boolean> => {
      for (let waited = 0; waited < seconds * 1000; waited += STEP) {
        if (registry.find(name) === undefined) return true;
        await new Promise((resolve) => setTimeout(resolve, STEP));
      }
      return registry.find(name) === undefined;
    };
    if (!force) {
      // The guest may be gone before it can say how the command ended.
      machine.exec(POWER_OFF, { input: "" }).then(
        () => {},
        () => {},
      );
      if (await gone(timeout)) continue;
      host.stderr.write(`elvisor: ${name} did not switch itself off within ${timeout} seconds; ending it.\n`);
    }
    await machine.end().catch(() => {});
    if (!(await gone(10))) {
      throw new UserError(`${name} does not end; end its process with: kill ${machine.description.pid}`);
    }
  }
}

/** `elvisor rm`: removes machines that do not run, with their disks. */
export async function rmCommand(
  names: readonly string[],
  options: { readonly force?: boolean },
  host: Host,
): Promise<void> {
  const registry = registryOf(host);
  const store = new MachineStore(machinesDirectory(host.environment));
  for (const name of names) {
    if (registry.find(checkedName(name)) !== undefined) {
      if (options.force !== true) {
        throw new UserError(`The machine ${name} is running; stop it first, or remove it with --force.`);
      }
      await stopCommand([name], { force: true, timeout: 0 }, host);
    }
    const log = registry.logOf(name);
    if (!store.has(name) && !existsSync(log))
      throw new UserError(`There is no machine called ${name}; elvisor ps --all shows them.`);
    await store.remove(name);
    await rm(log, { force: true });
  }
}
