import type { ByteInput, ByteOutput } from "../../src/machine/virtual-machine-interface.ts";

/** What a pattern must be found in before a wait is over. */
interface Wait {
  readonly pattern: RegExp;
  readonly from: number;
  found(match: RegExpExecArray): void;
}

/** Keeps all that a guest writes to a console, and waits for what is expected there. */
export class GuestConsole {
  readonly #waits = new Set<Wait>();
  #text = "";
  /** Where the last thing that was waited for ended; the next is looked for from there. */
  #position = 0;

  readonly output: ByteOutput = (bytes) => {
    this.#text += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    for (const wait of this.#waits) this.#look(wait);
  };

  /** Everything so far. */
  get text(): string {
    return this.#text;
  }

  /** What came after the last thing that was waited for. */
  get rest(): string {
    return this.#text.slice(this.#position);
  }

  /** Resolves with the first match after the previous one; rejects with the end of the output. */
  async expect(pattern: RegExp, seconds: number): Promise<RegExpExecArray> {
    const wait = { pattern, from: this.#position };
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waits.delete(entry);
        reject(
          new Error(`no ${pattern} within ${seconds} s; the end of the output: ${this.#text.slice(-2000)}`),
        );
      }, seconds * 1000);
      const entry: Wait = {
        ...wait,
        found: (match) => {
          clearTimeout(timer);
          this.#waits.delete(entry);
          this.#position = entry.from + match.index + match[0].length;
          resolve(match);
        },
      };
      this.#waits.add(entry);
      this.#look(entry);
    });
  }

  #look(wait: Wait): void {
    const match = wait.pattern.exec(this.#text.slice(wait.from));
    if (match !== null) wait.found(match);
  }
}

/** Types a line. */
export async function typeLine(input: ByteInput, text: string): Promise<void> {
  await input.send(Buffer.from(`${text}\n`));
}
