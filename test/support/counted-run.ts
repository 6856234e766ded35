import { createHash } from "node:crypto";
import { prepareBoot } from "../../src/machine/boot/prepare-boot.ts";
import { InstructionTime } from "../../src/machine/instruction-time.ts";
import { Machine } from "../../src/machine/machine.ts";
import { MachineClock } from "../../src/machine/machine-clock.ts";
import { machineSubject } from "../../src/machine/machine-state.ts";
import { OutputQueue } from "../../src/machine/output-queue.ts";
import { Peripherals } from "../../src/machine/peripherals.ts";
import { hashState } from "../../src/machine/state-hash.ts";
import type { Drive, VirtioBus } from "../../src/machine/virtual-machine-interface.ts";
import { KERNEL_DECOMPRESSORS } from "../../src/node/kernel-decompressors.ts";
import { StateRestorer, writeState } from "../../src/state/state-stream.ts";
import { type GuestKernel, guestFiles } from "./guest-images.ts";

export interface CountedRunOptions {
  /** A state stream to go on from, with the machine otherwise empty. */
  readonly restore?: Uint8Array;
  readonly virtioBus?: VirtioBus;
  readonly engine?: "interpreter" | "translator";
  readonly kernel: GuestKernel;
  readonly cpus: number;
  readonly secure?: boolean;
  readonly virtualization?: boolean;
  /** The machine stops at the end of the turn in which this many instructions are reached. */
  readonly instructions: number;
  readonly drives?: readonly Drive[];
  /** Rounds of turns between two looks at the host's events; must not matter. */
  readonly roundsInBurst: () => number;
}

/** What a run came to. */
export interface CountedRun {
  readonly instructions: number;
  /** SHA-256 of all state. */
  readonly hash: string;
  readonly output: string;
  readonly machine: Machine;
  /** Its state stream. */
  snapshot(): Uint8Array;
  /** Runs on to another number of instructions; the output is what came since. */
  goOn(instructions: number): Promise<CountedRun>;
}

/** RAM of the machine. */
export const MEMORY_BYTES = 128 * 2 ** 20;

const DATE = 1_704_067_200;

/** Boots on a deterministic machine with serial port, console and entropy device, to a number of instructions. */
export async function countedRun(options: CountedRunOptions): Promise<CountedRun> {
  const { cpus, kernel, secure = false, virtualization = false } = options;
  let text = "";
  const show = (bytes: Uint8Array): void => {
    text += Buffer.from(bytes).toString("latin1");
  };
  const machineOptions = {
    ...(await guestFiles(kernel)),
    memoryBytes: MEMORY_BYTES,
    ...{ cpus, secure, virtualization },
    commandLine: "console=ttyAMA0 earlycon",
    decompressors: KERNEL_DECOMPRESSORS,
    deterministic: true,
    serial: show,
    console: { output: show, columns: 80, rows: 24 },
    randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
  } as const;
  const plan = await prepareBoot(machineOptions);
  const instructionTime = new InstructionTime(DATE);
  const clock = new MachineClock(instructionTime);
  const output = new OutputQueue();
  const machine = new Machine({
    ...machineOptions,
    ...{ plan, clock, instructionTime, serial: output.sink(show) },
    translationThreshold: options.engine === "translator" ? 1000 : undefined,
  });
  const { drives = [] } = options;
  const virtioBus = options.virtioBus ?? "mmio";
  const peripherals = new Peripherals(machine, { ...machineOptions, drives, virtioBus }, output, () => {});
  const { orderedDrives } = peripherals;
  const subject = machineSubject(machine, peripherals.stateParts);
  if (options.restore === undefined) machine.start();
  else {
    machine.startEmpty();
    const restorer = new StateRestorer(subject);
    restorer.take(options.restore);
    restorer.finish();
  }
  const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const run = async (instructions: number): Promise<CountedRun> => {
    text = "";
    const isDone = (): boolean => machine.instructions >= instructions;
    while (!isDone()) {
      let rounds = options.roundsInBurst();
      const end = machine.loop.burst(() => --rounds <= 0 || isDone() || orderedDrives?.busy === true);
      await output.drain();
      await orderedDrives?.settle(breathe);
      if (end.kind !== "busy") throw new Error(`the guest stopped: ${end.kind}; ${text.slice(-1000)}`);
      await breathe();
    }
    const hash = createHash("sha256");
    hashState(machine, hash);
    return {
      ...{ instructions: machine.instructions, hash: hash.digest("hex"), output: text, machine },
      snapshot: () => Buffer.concat([...writeState(subject)]),
      goOn: run,
    };
  };
  return await run(options.instructions);
}
