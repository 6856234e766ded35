import type { Duplex } from "node:stream";
import type { ByteInput, ByteOutput } from "../../machine/virtual-machine-interface.ts";

/** Bytes of a console that somebody who comes later is shown. */
const REMEMBERED = 4096;

/** A console that several look at: the terminal in which the machine was started, and those that attach. */
export class ConsoleHub {
  readonly #clients = new Set<Duplex>();
  #recent = Buffer.alloc(0);

  /** Passes on to `output`, to everyone who is attached, and remembers the end. */
  tee(output: ByteOutput): ByteOutput {
    return (bytes) => {
      this.#recent = Buffer.concat([this.#recent, bytes]).subarray(-REMEMBERED);
      // A client that does not read is let go rather than waited for.
      for (const client of this.#clients) {
        if (client.writableLength > MOST_BEHIND) client.destroy();
        else client.write(bytes);
      }
      return output(bytes);
    };
  }

  /** Shows the console on `client`, and types what comes from there. */
  attach(client: Duplex, input: ByteInput): void {
    client.write(this.#recent);
    this.#clients.add(client);
    client.on("data", (bytes: Uint8Array) => {
      client.pause();
      void input.send(bytes).then(() => client.resume());
    });
    client.on("end", () => client.end());
    client.on("close", () => this.#clients.delete(client));
  }

  close(): void {
    for (const client of this.#clients) client.end();
  }
}

const MOST_BEHIND = 4 * 2 ** 20;
