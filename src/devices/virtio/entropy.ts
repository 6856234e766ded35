import type { VirtioDevice, VirtioHost } from "./device.ts";
import { VIRTIO_DEVICE } from "./protocol.ts";

/** Most bytes given in one buffer; a driver asks again for more. */
const MOST_BYTES = 65_536;

/** A virtio entropy source (virtio 1.2, section 5.4). */
export class VirtioEntropy implements VirtioDevice {
  readonly name = "entropy";
  readonly type = VIRTIO_DEVICE.ENTROPY;
  readonly features = 0n;
  readonly queueSizes = [64];
  readonly configuration = new Uint8Array(0);
  readonly #source: (length: number) => Uint8Array;
  #host: VirtioHost | undefined;

  /** `source` gives exactly as many random bytes as asked for. */
  constructor(source: (length: number) => Uint8Array) {
    this.#source = source;
  }

  start(host: VirtioHost): void {
    this.#host = host;
    this.notify(0);
  }

  resume(host: VirtioHost): void {
    this.#host = host;
  }

  stop(): void {
    this.#host = undefined;
  }

  notify(_index: number): void {
    const queue = this.#host?.queue(0);
    for (let buffer = queue?.take(); buffer !== undefined; buffer = queue?.take()) {
      const bytes = this.#source(Math.min(buffer.writableLength, MOST_BYTES));
      queue?.give(buffer, buffer.write(0, bytes) ? bytes.length : 0);
    }
    queue?.announce();
  }
}
