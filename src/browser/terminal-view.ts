import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";

/** Lines that can be scrolled back to. */
const SCROLLBACK = 10_000;

/** Where what is typed goes. */
export interface TerminalListener {
  onInput(bytes: Uint8Array): void;
  onResize(columns: number, rows: number): void;
}

/** A terminal that fills `element`. */
export class TerminalView {
  readonly #terminal = new Terminal({
    scrollback: SCROLLBACK,
    fontFamily: "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 15,
    cursorBlink: true,
    theme: { background: "#101418", foreground: "#d8dee4" },
  });

  constructor(element: HTMLElement, listener: TerminalListener) {
    const fit = new FitAddon();
    this.#terminal.loadAddon(fit);
    this.#terminal.open(element);
    fit.fit();
    const encoder = new TextEncoder();
    this.#terminal.onData((text) => listener.onInput(encoder.encode(text)));
    // Old mouse reports, whose characters are bytes.
    this.#terminal.onBinary((text) =>
      listener.onInput(Uint8Array.from(text, (character) => character.charCodeAt(0))),
    );
    this.#terminal.onResize(({ cols, rows }) => listener.onResize(cols, rows));
    new ResizeObserver(() => fit.fit()).observe(element);
  }

  get size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#terminal.cols, rows: this.#terminal.rows };
  }

  /** Resolves when the bytes have been shown. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#terminal.write(bytes, resolve));
  }

  /** Empty and as new, with the keyboard. */
  reset(): void {
    this.#terminal.reset();
    this.#terminal.focus();
  }
}
