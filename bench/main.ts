// npm run bench: how fast the machine is, beside QEMU and the host. `--help` tells how to use it.
import { spawnSync } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CommanderError } from "commander";
import { UserError } from "../src/base/errors.ts";
import { diskWorkload } from "./build/disk-workload.ts";
import { execWorkload } from "./build/exec-workload.ts";
import { kernelWorkload } from "./build/kernel-workload.ts";
import { bootWorkload, type LinuxImages, linuxImages, systemWorkload } from "./build/linux-workloads.ts";
import { networkWorkload } from "./build/network-workload.ts";
import { programWorkload } from "./build/program-workload.ts";
import { shareWorkload } from "./build/share-workload.ts";
import { takeSnapshot } from "./build/snapshot.ts";
import { CONTENDER_NAMES, CONTENDERS } from "./contenders.ts";
import {
  type DiskItem,
  ITEMS,
  type Item,
  type ProgramItem,
  type ShareItem,
  type SystemItem,
  selectItems,
} from "./items.ts";
import { startExecClient } from "./measure/exec-client.ts";
import { startNetworkServer } from "./measure/network-server.ts";
import { type Measured, measure } from "./measure-items.ts";
import { type BenchOptions, buildBenchProgram } from "./options.ts";
import { BENCH, BUILD } from "./paths.ts";
import { writeProfile } from "./profile.ts";
import { report } from "./report.ts";
import { checksumDifferences } from "./results.ts";
import { describeSurroundings } from "./surroundings.ts";
import { GUEST_MEMORY, QEMU, type Workload } from "./workload.ts";

const RESULTS = join(BENCH, "results.md");
/** Code that warm boots find; each measurement begins without. */
const KEPT_CODE = join(BUILD, "boot-code");

const program = buildBenchProgram({ measure: measureAndReport, profile: writeProfile }).exitOverride();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof UserError) {
    say(error.message);
    process.exitCode = error.exitStatus;
  } else throw error;
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

async function measureAndReport(names: readonly string[], options: BenchOptions): Promise<void> {
  const { items } = selectItems(names);
  checkQemu(options);
  const images = items.some(({ kind }) => kind !== "kernel") ? await linuxImages() : undefined;
  const networkItems = items.filter((item) => item.kind === "network");
  const server = networkItems.length > 0 ? await startNetworkServer() : undefined;
  const { codeCache } = options;
  await rm(KEPT_CODE, { recursive: true, force: true });
  const cold = await prepare(items, options.scale, images, KEPT_CODE);
  const workloads =
    codeCache === undefined
      ? cold
      : cold.map((workload) => ({
          ...workload,
          guest: { ...workload.guest, codeCache: resolve(codeCache) },
        }));
  if (server !== undefined && images !== undefined)
    workloads.push(await networkWorkload(networkItems, options.scale, images, server.port));
  const execItem = items.find((item) => item.kind === "exec");
  const client = execItem === undefined ? undefined : await startExecClient();
  if (execItem !== undefined && client !== undefined && images !== undefined)
    workloads.push(await execWorkload(execItem, options.scale, images, client.port));
  const { machineProcess, remove } = takeSnapshot();
  let measured: Measured;
  try {
    measured = await measure(workloads, options.with, { runs: options.runs, machineProcess, say });
  } finally {
    server?.close();
    client?.close();
    remove();
    await rm(KEPT_CODE, { recursive: true, force: true });
  }
  const wrong = measured.results.flatMap(checksumDifferences);
  const text = document(measured, wrong, options, images);
  process.stdout.write(text);
  if (options.json !== undefined) await writeFile(resolve(options.json), json(measured));
  const isFull =
    items.length === ITEMS.length && options.scale === 1 && options.with.length === CONTENDER_NAMES.length;
  if (isFull || options.write === true) {
    await writeFile(RESULTS, text);
    say(`${RESULTS} is written.`);
  }
  if (measured.failures.length + wrong.length > 0) process.exitCode = 1;
}

function checkQemu({ with: contenders }: BenchOptions): void {
  if (contenders.every((name) => CONTENDERS[name].kind !== "qemu")) return;
  if (spawnSync(QEMU, ["--version"], { stdio: "ignore" }).error === undefined) return;
  const others = contenders.filter((name) => CONTENDERS[name].kind !== "qemu");
  throw new UserError(
    `${QEMU} is not installed; to compare with it: apt install qemu-system-arm. Without it: --with ${others.join(",")}`,
  );
}

async function prepare(
  items: readonly Item[],
  scale: number,
  images: LinuxImages | undefined,
  codeDirectory: string,
): Promise<Workload[]> {
  const workloads: Workload[] = [];
  const system: SystemItem[] = [];
  const programs: ProgramItem[] = [];
  const disks: DiskItem[] = [];
  const shares: ShareItem[] = [];
  for (const item of items) {
    if (item.kind === "kernel") workloads.push(await kernelWorkload(item, scale));
    else if (images !== undefined && item.kind === "boot")
      workloads.push(await bootWorkload(item, images, codeDirectory));
    else if (item.kind === "system") system.push(item);
    else if (item.kind === "program") programs.push(item);
    else if (item.kind === "disk") disks.push(item);
    else if (item.kind === "share") shares.push(item);
  }
  if (images !== undefined && system.length > 0) {
    workloads.push(await systemWorkload(system, scale, images));
  }
  if (images !== undefined && disks.length > 0) {
    workloads.push(await diskWorkload(disks, scale, images));
  }
  if (images !== undefined && shares.length > 0) {
    workloads.push(await shareWorkload(shares, scale, images));
  }
  if (images !== undefined && programs.length > 0) {
    workloads.push(await programWorkload(programs, scale, images));
  }
  return workloads;
}

function document(
  measured: Measured,
  wrong: readonly string[],
  options: BenchOptions,
  images: LinuxImages | undefined,
): string {
  const kernel = images && `${images.kernel.package} ${images.kernel.version}, one processing element`;
  const facts = [
    `Medians of ${options.runs} ${options.runs === 1 ? "run" : "runs"}${options.scale === 1 ? "" : `, ${options.scale} times the usual work`}, ${new Date().toISOString().slice(0, 10)}`,
    ...describeSurroundings(kernel),
    `Every guest has ${GUEST_MEMORY / 2 ** 20} MiB of memory.`,
  ];
  const problems = [...wrong, ...measured.failures];
  return [
    "# Benchmark results\n",
    `${facts.map((fact) => `- ${fact}`).join("\n")}\n`,
    ...(problems.length === 0
      ? []
      : [`## Wrong or unfinished\n\n${problems.map((text) => `- ${text}`).join("\n")}\n`]),
    report(measured.results, options.with, options.by),
  ].join("\n");
}

function json(measured: Measured): string {
  const results = measured.results.map(({ item, repetitions }) => ({
    item,
    repetitions: repetitions.map((repetition) => Object.fromEntries(repetition)),
  }));
  return `${JSON.stringify({ results, failures: measured.failures }, null, 2)}\n`;
}
