/**
 * What watching a guest's kernel costs work that does not touch it (row M7: at most 1 %). Two deterministic machines do
 * the same work, slice by slice and in turns; one is protected, then the other, so that no difference between the two
 * counts. A slice is the same instructions in both, which their states prove in the end: what differs is the host's
 * processor time, and what the protection makes the machine do, which is counted. `npm run bench:protection [PERIODS]`
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { BootPlan } from "../src/machine/boot/boot-plan.ts";
import { prepareBoot } from "../src/machine/boot/prepare-boot.ts";
import { InstructionTime } from "../src/machine/instruction-time.ts";
import { Introspection } from "../src/machine/introspection.ts";
import { Machine } from "../src/machine/machine.ts";
import { MachineClock } from "../src/machine/machine-clock.ts";
import { OutputQueue } from "../src/machine/output-queue.ts";
import { Peripherals } from "../src/machine/peripherals.ts";
import { hashState } from "../src/machine/state-hash.ts";
import { machineStatistics } from "../src/machine/statistics.ts";
import type { VirtualMachineOptions } from "../src/machine/virtual-machine-interface.ts";
import { buildInitramfs, readModuleFiles } from "../src/node/images/initramfs.ts";
import { KERNEL_DECOMPRESSORS } from "../src/node/kernel-decompressors.ts";
import { linuxImages } from "./build/linux-workloads.ts";
import { median } from "./statistics.ts";

/** Each machine is the protected one in every other period. */
const PERIODS = Number(process.argv[2] ?? 6);
/** Instructions of a slice: less than a tenth of a second, so that both of a pair meet the same host. */
const SLICE = 10_000_000;
/** Slices behind a change of the protection that are not timed, and those that are. */
const SETTLING = 16;
const TIMED = 80;
/** Slices until code that is used often is translated. */
const WARM_UP = 100;
/** Instructions in which a kernel reaches the shell that it starts. */
const LONGEST_BOOT = 20e9;
/** Computation, copies, and starts of processes, whose page tables and pages the kernel makes anew. */
const WORK =
  "while :; do dd if=/dev/zero bs=64k count=8 2>/dev/null | sha256sum; dd if=/bin/busybox bs=4k of=/tmp/copy 2>/dev/null; " +
  "for i in $(seq 20); do /bin/busybox true; done; rm /tmp/copy; done >/dev/null";
/** Figures of a machine that tell what its host had to do. */
const COUNTED = [
  "tracedWrites",
  "tlbMisses",
  "tableWalks",
  "tlbFlushes",
  "regionEntries",
  "regions",
] as const;

class Contender {
  readonly machine: Machine;
  readonly #introspection: Introspection;
  readonly #output: OutputQueue;
  readonly #peripherals: Peripherals;
  #text = "";

  static async create(): Promise<Contender> {
    const images = await linuxImages();
    const session = { kind: "shell", terminal: "dumb", size: undefined } as const;
    const initrd = buildInitramfs(images.busybox, await readModuleFiles(images.kernel), session);
    const options = {
      kernel: { name: images.kernelFile, bytes: await readFile(images.kernelFile) },
      initrd: { name: "the default initial file system", bytes: initrd },
      ...{ memoryBytes: 128 * 2 ** 20, cpus: 1, secure: false, virtualization: false },
      commandLine: "console=ttyAMA0 quiet",
      decompressors: KERNEL_DECOMPRESSORS,
      deterministic: true,
      serial: () => {},
    } satisfies VirtualMachineOptions;
    return new Contender(options, await prepareBoot(options));
  }

  private constructor(options: VirtualMachineOptions, plan: BootPlan) {
    const instructionTime = new InstructionTime(0);
    this.#output = new OutputQueue();
    const output = (bytes: Uint8Array): void => {
      this.#text += Buffer.from(bytes).toString("latin1");
    };
    const console = { output, columns: 80, rows: 24 };
    this.machine = new Machine({
      ...options,
      ...{ secure: false, virtualization: false },
      ...{ plan, clock: new MachineClock(instructionTime), instructionTime },
      serial: this.#output.sink(options.serial),
      translationThreshold: 20_000,
    });
    this.#peripherals = new Peripherals(this.machine, { ...options, console }, this.#output, () => {});
    this.#introspection = new Introspection(this.machine);
    this.machine.start();
  }

  /** Until the shell asks for a command, and then on with `WORK`. */
  async boot(): Promise<void> {
    while (!this.#text.includes("~ # ")) {
      await this.slice();
      if (this.machine.instructions > LONGEST_BOOT) throw new Error(`no shell: ${this.#text.slice(-500)}`);
    }
    // Taken in the course of the next slices.
    void this.#peripherals.console?.send(Buffer.from(`${WORK}\n`));
  }

  /** Milliseconds of processor time for the next slice. */
  async slice(): Promise<number> {
    const { machine } = this;
    const end = machine.instructions + SLICE;
    const start = process.cpuUsage();
    const { kind } = machine.loop.burst(() => machine.instructions >= end);
    const { user, system } = process.cpuUsage(start);
    if (kind !== "busy") throw new Error(`the guest stopped: ${kind}; ${this.#text.slice(-500)}`);
    await this.#output.drain();
    return (user + system) / 1000;
  }

  /** Pages protected. */
  protect(): number {
    const { trees } = this.#introspection.protect({ kind: "kernel", action: "log", allow: [] });
    return trees.reduce((sum, tree) => sum + tree.pages, 0);
  }

  release(): void {
    this.#introspection.protect({ kind: "remove" });
  }

  counts(): Readonly<Record<string, number>> {
    const figures = machineStatistics(this.machine, { milliseconds: 1, idleMilliseconds: 0, resets: 0 });
    const counted = COUNTED.map((name) => [name, figures[name] ?? 0] as const);
    return { ...Object.fromEntries(counted), monitoredWrites: this.machine.monitor.writes().length };
  }

  get state(): string {
    const hash = createHash("sha256");
    hashState(this.machine, hash);
    return `${this.machine.instructions} ${hash.digest("hex")}`;
  }
}

const contenders = [await Contender.create(), await Contender.create()] as const;
for (const [index, contender] of contenders.entries()) {
  console.error(`machine ${index + 1} starts`);
  await contender.boot();
  for (let slice = 0; slice < WARM_UP; slice++) await contender.slice();
}

const ratios: [number[], number[]] = [[], []];
const times: number[] = [];
const more: Record<string, number> = {};
let pages = 0;
for (let period = 0; period < PERIODS; period++) {
  console.error(`period ${period + 1} of ${PERIODS}`);
  const which = period % 2 === 0 ? 0 : 1;
  const [watched, free] = [contenders[which], contenders[1 - which] as Contender];
  pages = watched.protect();
  for (let slice = 0; slice < SETTLING; slice++) for (const contender of contenders) await contender.slice();
  const before = [watched.counts(), free.counts()] as const;
  for (let slice = 0; slice < TIMED; slice++) {
    // Who goes first changes, so that what drifts does not count for one of them.
    const first = await (slice % 2 === 0 ? watched : free).slice();
    const second = await (slice % 2 === 0 ? free : watched).slice();
    const [under, without] = slice % 2 === 0 ? [first, second] : [second, first];
    ratios[which].push(under / without);
    times.push(without);
  }
  const after = [watched.counts(), free.counts()] as const;
  for (const name of Object.keys(after[0])) {
    const [under, without] = [0, 1].map((side) => (after[side]?.[name] ?? 0) - (before[side]?.[name] ?? 0));
    more[name] = (more[name] ?? 0) + (under ?? 0) - (without ?? 0);
  }
  watched.release();
}
const [one, other] = contenders.map(({ state }) => state);
if (one !== other) throw new Error(`the protection has changed what the guest did: ${one}, ${other}`);

const medians = ratios.map((each) => median(each) ?? Number.NaN);
const all = ratios.flat().sort((a, b) => a - b);
/** The median lies between these two of the pairs, 19 times out of 20. */
const half = 0.98 * Math.sqrt(all.length);
const [low, high] = [-half, half].map((way) => {
  const index = Math.round((all.length - 1) / 2 + way);
  return percent(all[Math.min(Math.max(index, 0), all.length - 1)] ?? Number.NaN);
});
console.log(
  `${pages} pages protected: ${percent(median(all) ?? Number.NaN)} processor time in the middle of ${all.length} pairs ` +
    `(${low} to ${high} at 95 %; ${medians.map(percent).join(" and ")} with each machine as the protected one); ` +
    `${median(times)?.toFixed(0)} ms a slice of ${SLICE / 1e6} million instructions`,
);
console.log(
  `the same instructions and states; beyond that, in ${(all.length * SLICE) / 1e6} million instructions: ` +
    Object.entries(more)
      .map(([name, count]) => `${name} ${count >= 0 ? "+" : ""}${count}`)
      .join(", "),
);

function percent(ratio: number): string {
  return `${ratio >= 1 ? "+" : ""}${((ratio - 1) * 100).toFixed(2)} %`;
}
