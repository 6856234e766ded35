import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { cacheDirectory, ImageCache } from "../../src/node/images/cache.ts";
import { SILENT_PROGRESS } from "../../src/node/images/download.ts";
import { ensureImages } from "../../src/node/images/pull.ts";
import { bundleProgram } from "../support/bundle.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { TmuxTerminal } from "../support/tmux-terminal.ts";

/** Seconds that a boot may take on a busy computer. */
const BOOT = 150;
const PROMPT = /^~ # ?$/m;

let elvisor: string;
let busybox: Uint8Array;
beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "elvisor-test-"));
  elvisor = bundleProgram('import "./src/node/cli/main.ts";', directory, "elvisor");
  const cache = new ImageCache(cacheDirectory(process.env));
  const settings = { cache, progress: SILENT_PROGRESS, environment: process.env };
  const images = await ensureImages(["kernel:6.1-cloud", "busybox"], settings);
  busybox = readFileSync(join(images.busybox.directory, "busybox"));
}, 600_000);

function run(words: readonly string[], input: Uint8Array = new Uint8Array(0)) {
  return spawnSync(process.execPath, [elvisor, "run", ...words], {
    input,
    maxBuffer: 2 ** 26,
    timeout: BOOT * 1000,
  });
}

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

describe("elvisor run --exec", { timeout: 2 * BOOT * 1000 }, () => {
  test("keeps the streams apart and whole, and passes the exit status on", () => {
    const input = new Uint8Array(randomBytes(300_000));
    const { status, stdout, stderr } = run(["--exec", "md5sum >&2; cat /bin/busybox; exit 42"], input);
    expect(stderr.toString()).toBe(`${md5(input)}  -\n`);
    expect(md5(stdout)).toBe(md5(busybox));
    expect(status).toBe(42);
  });

  test("a panic ends with status 125 and the kernel's last lines", () => {
    const { status, stdout, stderr } = run(["--exec", "true", "--append", "rdinit=/none panic=0"]);
    expect(stderr.toString()).toMatch(
      /^elvisor: The guest's kernel panicked:\n(.*\n)*.*Kernel panic - not syncing/,
    );
    expect([status, stdout.length]).toEqual([125, 0]);
  });

  test("too little memory is a sentence with status 125, at once or after the kernel's panic", () => {
    const none = run(["--exec", "true", "--memory", "40M"]);
    expect([none.status, none.stderr.toString()]).toEqual([
      125,
      "elvisor: Debian's kernels do not start with 40 MiB of memory; give --memory 64M or more.\n",
    ]);
    const little = run(["--exec", "true", "--memory", "48M"]);
    expect(little.stderr.toString()).toMatch(
      /^elvisor: The guest's kernel panicked because 48 MiB of memory were too little; give more with --memory:\n/,
    );
    expect(little.status).toBe(125);
  });

  test("--timeout ends with status 124, whatever the guest is doing", () => {
    const { status, stdout, stderr } = run(["--exec", "true", "--timeout", "1.5"]);
    expect(stderr.toString()).toBe(
      "elvisor: The guest was still running after 1.5 seconds; give it longer with --timeout SECONDS.\n",
    );
    expect([status, stdout.length]).toEqual([124, 0]);
  });

  test("a reader that goes away ends it", () => {
    const script = `"$1" "$2" run --exec "yes" | head -c 100000 | wc -c; echo "\${PIPESTATUS[0]}"`;
    const { stdout } = spawnSync("bash", ["-c", script, "bash", process.execPath, elvisor]);
    expect(stdout.toString()).toBe("100000\n141\n");
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s ends it with status %i", async (signal, expected) => {
    const child = spawn(process.execPath, [elvisor, "run", "--exec", "true"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await new Promise((resolve) => setTimeout(resolve, 2500));
    child.kill(signal);
    expect(await ended).toBe(expected);
  });
});

describe("elvisor run on a terminal", { timeout: 4 * BOOT * 1000 }, () => {
  /** Starts it in a terminal; the terminal's settings and the exit status are shown at its end. */
  function start(words: string): TmuxTerminal {
    const command = `${process.execPath} ${elvisor} run ${words}; echo "status $?"; stty -a; sleep 1000`;
    return new TmuxTerminal(command, { columns: 100, rows: 30 });
  }

  async function expectEnd(terminal: TmuxTerminal, status: number): Promise<void> {
    expect((await terminal.waitFor(/^status (\d+)$/m, 30))[1]).toBe(String(status));
    await terminal.waitFor(/ icanon[\s\S]* echo /, 5);
  }

  test("a session: sizes, colours, Ctrl-C, pasting, keys of the machine, reboot, disk, power-off", async () => {
    const drive = join(temporaryDirectory(), "disk.img");
    writeFileSync(drive, "");
    truncateSync(drive, 8 * 2 ** 20);
    const terminal = start(`--drive ${drive}`);
    await terminal.waitFor(PROMPT, BOOT);
    // Drivers and the network come up later: only warnings and worse may stand on the prompt.
    terminal.type("cat /proc/sys/kernel/printk", "Enter");
    await terminal.waitFor(/^5\s+\d/m, 20);
    terminal.type("stty size; printf '\\033[31mred\\033[0m\\n'", "Enter");
    await terminal.waitFor(/^30 100$/m, 20);
    await terminal.waitFor(/^red$/m, 20);
    expect(terminal.screen({ colours: true })).toContain("\x1b[31mred");
    terminal.resize(90, 40);
    terminal.type("sleep 0.5; stty size", "Enter");
    await terminal.waitFor(/^40 90$/m, 20);
    terminal.type("sleep 1000", "Enter");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    terminal.type("", "C-c");
    terminal.type('echo "after $?"', "Enter");
    await terminal.waitFor(/^after 130$/m, 20);
    terminal.type("", "C-a", "h");
    await terminal.waitFor(/^Ctrl-A x +end the machine$/m, 5);
    terminal.type("", "C-a", "s");
    await terminal.waitFor(/^instructions +\d+$/m, 5);
    const lines = Array.from({ length: 500 }, (_, index) => `line ${index} of what is pasted, äöü\n`).join(
      "",
    );
    terminal.type("cat >/tmp/pasted", "Enter");
    terminal.paste(lines);
    terminal.type("", "C-d");
    await terminal.waitFor(PROMPT, 60);
    terminal.type("clear; md5sum </tmp/pasted", "Enter");
    await terminal.waitFor(new RegExp(`^${md5(Buffer.from(lines))} `, "m"), 60);
    terminal.type(
      "mke2fs /dev/vda >/dev/null && mount /dev/vda /mnt && echo kept >/mnt/file; reboot",
      "Enter",
    );
    await terminal.waitFor(/reboot: Restarting system[\s\S]*^~ # ?$/m, BOOT);
    terminal.type("mount /dev/vda /mnt && cat /mnt/file; poweroff", "Enter");
    await terminal.waitFor(/^kept$/m, 30);
    await expectEnd(terminal, 0);
  });

  test("Ctrl-A x ends it at any time and leaves the terminal as it was", async () => {
    const terminal = start("");
    await terminal.waitFor(/Booting Linux/, 30);
    terminal.type("", "C-a", "x");
    await expectEnd(terminal, 0);
  });

  test("a signal leaves the terminal as it was", async () => {
    const terminal = start("");
    await terminal.waitFor(/Booting Linux/, 30);
    const [pid] = spawnSync("pgrep", ["-n", "-f", `${elvisor} run`])
      .stdout.toString()
      .split("\n");
    process.kill(Number(pid), "SIGTERM");
    await expectEnd(terminal, 143);
  });
});
