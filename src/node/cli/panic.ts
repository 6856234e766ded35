import { formatBytes } from "../../platform/units.ts";

/** What Linux prints when it gives up (kernel/panic.c), first and last. */
const PANIC = "Kernel panic - not syncing";
const PANIC_END = /---\[ end Kernel panic[^\n]*(\]---|\n)/;
/** What it has said by then when memory was too little (mm/oom_kill.c, init/initramfs.c). */
const OUT_OF_MEMORY =
  /deadlocked on memory|Out of memory|Initramfs unpacking failed: (write error|out of memory)/;
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

  /** What happened, in a sentence, and the last lines. `memoryBytes`: what the machine has. */
  report(memoryBytes: number): string {
    return `${this.#sentence(memoryBytes)}:\n${this.lastLines().join("\n")}`;
  }

  /** The same where the last lines can be seen already. */
  shortReport(memoryBytes: number): string {
    return `${this.#sentence(memoryBytes)}; its last lines are above.`;
  }

  #sentence(memoryBytes: number): string {
    if (!OUT_OF_MEMORY.test(this.#tail)) return "The guest's kernel panicked";
    const memory = formatBytes(memoryBytes);
    return `The guest's kernel panicked because ${memory} of memory were too little; give more with --memory`;
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
