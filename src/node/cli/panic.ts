/** What Linux prints when it gives up (kernel/panic.c), first and last. */
const PANIC = "Kernel panic - not syncing";
const PANIC_END = /---\[ end Kernel panic[^\n]*(\]---|\n)/;
const KEPT_CHARACTERS = 16 * 1024;
const SHOWN_LINES = 25;

/** Keeps the end of what a guest's console says, and notices when its kernel panics. */
export class PanicWatch {
  readonly #panicked: () => void;
  #tail = "";
  #seen = false;

  /** `panicked` is called once, when the kernel has said everything. */
  constructor(panicked: () => void) {
    this.#panicked = panicked;
  }

  watch(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    this.#tail = (this.#tail + text).slice(-KEPT_CHARACTERS);
    if (this.#seen || !PANIC_END.test(this.#tail)) return;
    this.#seen = true;
    this.#panicked();
  }

  /** The last lines, from the panic on where there was one, without what terminals would act on. */
  lastLines(): string[] {
    const text = Buffer.from(this.#tail, "latin1").toString("utf8");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must go
    const lines = text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "").split("\n");
    const shown = lines.filter((line) => line.trim() !== "");
    const panic = shown.findIndex((line) => line.includes(PANIC));
    return shown.slice(-Math.max(SHOWN_LINES, panic < 0 ? 0 : shown.length - panic));
  }
}
