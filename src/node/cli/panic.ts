import { formatBytes } from "../../platform/units.ts";

/** What Linux prints when it gives up (kernel/panic.c), first and last. */
const PANIC = "Kernel panic - not syncing";
const PANIC_END = /---\[ end Kernel panic[^\n]*(\]---|\n)/;
/** What it has said by then when memory was too little (mm/oom_kill.c, init/initramfs.c). */
const OUT_OF_MEMORY =
  /deadlocked on memory|Out of memory|Initramfs unpacking failed: (write error|out of memory)/;
/** And when the initial file system was none, or was cut (init/initramfs.c). */
const INITRD_REFUSED = /Initramfs unpacking failed|rootfs image is not initramfs/;
const KEPT_CHARACTERS = 16 * 1024;
const SHOWN_LINES = 25;

/** What a machine was given that may be the reason for a panic. */
export interface PanicFacts {
  readonly memoryBytes: number;
  /** Name of the initial file system. */
  readonly initrd: string | undefined;
}

/** Keeps the end of what a guest's console says, and notices when its kernel panics. */
export class PanicWatch {
  readonly #panicked: () => void;
  #tail = "";
  #seen = false;
  #initrdRefused = false;

  /** `panicked` is called once, when the kernel has said everything. */
  constructor(panicked: () => void) {
    this.#panicked = panicked;
  }

  watch(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    this.#tail = (this.#tail + text).slice(-KEPT_CHARACTERS);
    this.#initrdRefused ||= INITRD_REFUSED.test(this.#tail);
    if (this.#seen || !PANIC_END.test(this.#tail)) return;
    this.#seen = true;
    this.#panicked();
  }

  /** What happened, in a sentence, and the last lines. */
  report(facts: PanicFacts): string {
    return `${this.#sentence(facts)}:\n${this.lastLines().join("\n")}`;
  }

  /** The same where the last lines can be seen already. */
  shortReport(facts: PanicFacts): string {
    return `${this.#sentence(facts)}; its last lines are above.`;
  }

  #sentence({ memoryBytes, initrd }: PanicFacts): string {
    if (OUT_OF_MEMORY.test(this.#tail)) {
      const memory = formatBytes(memoryBytes);
      return `The guest's kernel panicked because ${memory} of memory were too little; give more with --memory`;
    }
    if (this.#initrdRefused && initrd !== undefined)
      return `The guest's kernel panicked because it could not unpack the initrd ${initrd}; make or fetch it again`;
    return "The guest's kernel panicked";
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
