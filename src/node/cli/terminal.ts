import type { ReadStream } from "node:tty";

/** Private modes (DECSET) that terminals have on at first: wrapping lines, showing the cursor. */
const MODES_ON_AT_FIRST = new Set(["7", "25"]);

/** Longest beginning of a control sequence that is kept until its rest comes. */
const LONGEST_SEQUENCE = 64;

const LINE_FEED = 0x0a;

/** Watches which modes a guest leaves a terminal in (other screen, mouse, hidden cursor ...), to undo them. */
export class TerminalModes {
  readonly #changed = new Set<string>();
  #rest = "";
  #lastByte = LINE_FEED;

  /** Looks at what is on its way to the terminal. */
  watch(bytes: Uint8Array): void {
    const text =
      this.#rest + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences begin with ESC
    for (const [, numbers, action] of text.matchAll(/\x1b\[\?([\d;]+)([hl])/g)) {
      for (const mode of numbers!.split(";")) {
        const isFirstState = (action === "h") === MODES_ON_AT_FIRST.has(mode);
        if (isFirstState) this.#changed.delete(mode);
        else this.#changed.add(mode);
      }
    }
    const last = text.lastIndexOf("\x1b");
    this.#lastByte = bytes.at(-1) ?? this.#lastByte;
    this.#rest = last >= 0 && text.length - last < LONGEST_SEQUENCE ? text.slice(last) : "";
  }

  /** What brings the terminal back, colours included, to the start of a line. */
  restoration(): string {
    const modes = [...this.#changed].map((mode) => `\x1b[?${mode}${MODES_ON_AT_FIRST.has(mode) ? "h" : "l"}`);
    return `\x1b[0m${modes.join("")}${this.#lastByte === LINE_FEED ? "" : "\r\n"}`;
  }
}

/** Signals that end this process; the terminal is put right before. */
const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

/** Calls `ended` when a signal asks this process to end. Returns how to stop listening. */
export function onEndingSignal(ended: (signal: EndingSignal) => void): () => void {
  const listeners = ENDING_SIGNALS.map((signal) => {
    const listener = (): void => ended(signal);
    process.on(signal, listener);
    return () => process.off(signal, listener);
  });
  return () => {
    for (const remove of listeners) remove();
  };
}

/**
 * Gives every key to us unchanged: no echo, no line editing, no signals from the keyboard. Returns how to end
 * that; it happens at the end of the process too, however it comes about, and is renewed after a stop.
 */
export function enterRawMode(
  input: ReadStream,
  write: (text: string) => void,
  modes: TerminalModes,
): () => void {
  input.setRawMode(true);
  const renew = (): void => {
    input.setRawMode(true);
  };
  const leave = (): void => {
    process.off("exit", leave);
    process.off("SIGCONT", renew);
    input.setRawMode(false);
    write(modes.restoration());
  };
  process.on("exit", leave);
  process.on("SIGCONT", renew);
  return leave;
}
