import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";

/** What is built: the command line's program. */
export const MAIN: string = resolve("dist/src/node/cli/main.js");

/** Milliseconds a command may take. */
const LIMIT = 1_800_000;

/** The command line of a user whose machines and disks lie in a directory of their own; the tests' machine is "one". */
export class OwnMachines {
  readonly home: string = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  readonly environment: NodeJS.ProcessEnv = {
    ...process.env,
    XDG_RUNTIME_DIR: this.home,
    XDG_DATA_HOME: join(this.home, "data"),
  };

  /** What becomes of a command. */
  command(...words: string[]): { status: number | null; stdout: string; stderr: string } {
    const options = { env: this.environment, input: "", timeout: LIMIT, maxBuffer: 2 ** 28 };
    return spawnSync(process.execPath, [MAIN, ...words], { ...options, encoding: "utf8" });
  }

  /** What a command writes; the test fails where it does. */
  output(...words: string[]): string {
    const { status, stdout, stderr } = this.command(...words);
    if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}: ${stderr.slice(-2_000)}`);
    return stdout;
  }

  /** What a line of its shell says in the guest. */
  inGuest(line: string): string {
    return this.output("exec", "one", "--", "sh", "-c", line);
  }

  /** Ends the machine, and removes all. */
  close(): void {
    this.command("rm", "--force", "one");
    this.command("stop", "--force", "one");
    rmSync(this.home, { recursive: true, force: true });
  }
}
