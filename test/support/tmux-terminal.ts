import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "./temporary-directory.ts";

/** A terminal in which a shell command runs, as a person sees it. tmux plays the terminal. */
export class TmuxTerminal {
  readonly #socket: string;

  /** Starts `command` with `sh`. */
  constructor(command: string, { columns, rows }: { columns: number; rows: number }) {
    this.#socket = join(temporaryDirectory(), "tmux");
    const script = join(temporaryDirectory(), "command.sh");
    writeFileSync(script, command);
    this.#tmux(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      String(columns),
      "-y",
      String(rows),
      `sh ${script}`,
    );
    this.#tmux("set-option", "-g", "history-limit", "20000");
    onTestFinished(() => {
      spawnSync("tmux", ["-S", this.#socket, "kill-server"]);
    });
  }

  #tmux(...words: string[]): string {
    const { status, stdout, stderr, error } = spawnSync("tmux", ["-S", this.#socket, ...words]);
    if (error !== undefined)
      throw new Error("tmux is not installed, and this test needs it; `npm test` installs it.");
    if (status !== 0) throw new Error(`tmux ${words[0]} failed: ${stderr.toString()}`);
    return stdout.toString();
  }

  /** Types text, then keys by tmux's names ("Enter", "C-c"). */
  type(text: string, ...keys: string[]): void {
    if (text !== "") this.#tmux("send-keys", "-l", text);
    if (keys.length > 0) this.#tmux("send-keys", ...keys);
  }

  paste(text: string): void {
    const file = join(temporaryDirectory(), "paste");
    writeFileSync(file, text);
    this.#tmux("load-buffer", file);
    this.#tmux("paste-buffer", "-r");
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** What is on the screen now, and with `history` what has scrolled away. */
  screen({ history = false, colours = false } = {}): string {
    const options = [...(history ? ["-S", "-"] : []), ...(colours ? ["-e"] : [])];
    return this.#tmux("capture-pane", "-p", "-J", ...options);
  }

  /** Waits until the screen shows `pattern`. */
  async waitFor(pattern: RegExp, seconds: number): Promise<RegExpExecArray> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const found = pattern.exec(this.screen({ history: true }));
      if (found !== null) return found;
      if (Date.now() > end)
        throw new Error(`no ${pattern} within ${seconds} s on this screen:\n${this.screen()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
