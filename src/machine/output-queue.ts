import type { ByteSink } from "../devices/byte-sink.ts";
import type { ByteOutput } from "./virtual-machine-interface.ts";

/** Bytes kept before the machine is stopped for their reader, whatever the reader says. */
const CHUNK = 65536;

/** With more bytes than this the burst ends early. */
const FULL = 1 << 20;

/**
 * Output of devices on its way to the host: collected during a burst, handed over between bursts. While a
 * reader is busy the machine does not run, so nothing piles up.
 */
export class OutputQueue {
  readonly #channels: Channel[] = [];
  readonly #onFull: () => void;

  /** `onFull` is called when so much was collected that it should be handed over soon. */
  constructor(onFull: () => void = () => {}) {
    this.#onFull = onFull;
  }

  /** A device's end of a channel to `output`. */
  sink(output: ByteOutput): ByteSink {
    const channel = new Channel(output, this.#onFull);
    this.#channels.push(channel);
    return channel;
  }

  /** Hands everything over and waits for the readers. */
  async drain(): Promise<void> {
    for (const channel of this.#channels) {
      const busy = channel.flush();
      if (busy !== undefined) await busy;
    }
  }
}

class Channel implements ByteSink {
  readonly #output: ByteOutput;
  readonly #onFull: () => void;
  #buffer = new Uint8Array(256);
  #length = 0;
  #busy: Promise<void> | undefined;

  constructor(output: ByteOutput, onFull: () => void) {
    this.#output = output;
    this.#onFull = onFull;
  }

  write(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(CHUNK, this.#buffer.length * 2, this.#length + bytes.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    if (this.#length > FULL) this.#onFull();
  }

  flush(): Promise<void> | undefined {
    if (this.#length > 0) {
      const bytes = this.#buffer.slice(0, this.#length);
      this.#length = 0;
      const busy = this.#output(bytes);
      if (busy !== undefined) this.#busy = this.#busy === undefined ? busy : this.#busy.then(() => busy);
    }
    const busy = this.#busy;
    this.#busy = undefined;
    return busy;
  }
}
