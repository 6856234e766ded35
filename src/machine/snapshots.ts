import { UserError } from "../base/errors.ts";
import type { StateSink } from "../base/state-sink.ts";
import { crc32 } from "../firmware/efi/crc32.ts";
import {
  type StateDescription,
  StateRestorer,
  type StateSubject,
  writeState,
} from "../state/state-stream.ts";
import type { HostTime } from "./host-time.ts";
import type { Machine } from "./machine.ts";
import { machineSubject } from "./machine-state.ts";
import type { Peripherals } from "./peripherals.ts";
import type { Drive } from "./virtual-machine-interface.ts";

/** Milliseconds in which requests to the host that are under way must end. */
const QUIET_LIMIT = 30_000;

interface Parts {
  readonly machine: Machine;
  readonly peripherals: Peripherals;
  readonly drives: readonly Drive[];
  readonly host: HostTime;
  /** Hands all output to its readers. */
  drain(): Promise<void>;
  /** Ends the burst in progress, or the machine's sleep. */
  interrupt(): void;
}

interface Wish {
  readonly sink: StateSink;
  done(): void;
  failed(error: unknown): void;
}

/** Keeps a running machine's state between two of its bursts, and restores it before the first. */
export class Snapshots {
  readonly #parts: Parts;
  #wishes: Wish[] = [];
  #ended = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Resolves when the sink is closed; the machine stands still meanwhile. */
  take(sink: StateSink): Promise<void> {
    if (this.#ended) return Promise.reject(noMachine());
    return new Promise((done, failed) => {
      this.#wishes.push({ sink, done, failed });
      this.#parts.interrupt();
    });
  }

  /** To be called where the machine stands still. What goes wrong is told to those who asked. */
  async serve(): Promise<void> {
    for (let wish = this.#wishes.shift(); wish !== undefined; wish = this.#wishes.shift()) {
      try {
        await this.keep(wish.sink);
        wish.done();
      } catch (error) {
        wish.failed(error);
      }
    }
  }

  /** As {@link take}, of a machine that stands still already. */
  async keep(sink: StateSink): Promise<void> {
    const { machine, drives } = this.#parts;
    if (machine.powerRequest !== undefined) throw noMachine();
    await this.#quieten();
    for (const drive of drives) await drive.flush();
    for (const piece of writeState(await this.#subject())) await sink.write(piece);
    await sink.close();
  }

  /** Makes the machine, which has not started, what a stream describes. What does not fit is a UserError. */
  async restore(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    this.#parts.machine.startEmpty();
    const restorer = new StateRestorer(await this.#subject());
    for await (const piece of pieces) restorer.take(piece);
    restorer.finish();
  }

  /** The machine has ended. */
  close(): void {
    this.#ended = true;
    for (const { failed } of this.#wishes.splice(0)) failed(noMachine());
  }

  /** Waits until nothing is under way that a stream could not hold. */
  async #quieten(): Promise<void> {
    const { peripherals, host, drain } = this.#parts;
    const limit = host.now() + QUIET_LIMIT;
    while (peripherals.busy) {
      if (host.now() > limit)
        throw new UserError("A drive or a shared directory does not answer; try again.");
      await host.sleep(1).over;
    }
    await drain();
    const reason = peripherals.cannotBeKept();
    if (reason !== undefined) throw new UserError(`This machine's state cannot be kept: ${reason}.`);
  }

  async #subject(): Promise<StateSubject> {
    const { machine, peripherals, drives } = this.#parts;
    const description: Record<string, string> = {};
    for (const [index, drive] of drives.entries())
      description[`drive ${index + 1}`] = await identityOf(drive);
    const described: StateDescription = { drives: drives.length, ...description };
    return machineSubject(machine, peripherals.stateParts, described);
  }
}

function noMachine(): UserError {
  return new UserError("The machine has ended, so there is nothing to keep.");
}

/** Bytes of a drive that are looked at together, of its beginning, and how many others. */
const SAMPLE = 4096;
const BEGINNING = 64;
const OTHERS = 192;

/**
 * What a drive is known by: its size and a checksum of its beginning and of blocks all over it. A file system that is
 * written to changes its beginning soon; a drive that was changed elsewhere only may be taken for the same.
 */
async function identityOf(drive: Drive): Promise<string> {
  const samples = new Uint8Array((BEGINNING + OTHERS) * SAMPLE);
  const blocks = Math.floor(drive.size / SAMPLE);
  for (let index = 0; index < BEGINNING + OTHERS; index++) {
    const block = index < BEGINNING ? index : Math.floor(((index - BEGINNING) * blocks) / OTHERS);
    if (block < blocks)
      await drive.read(block * SAMPLE, samples.subarray(index * SAMPLE, (index + 1) * SAMPLE));
  }
  return `${drive.size} bytes with checksum ${crc32(samples).toString(16).padStart(8, "0")}`;
}
