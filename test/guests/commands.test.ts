import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TmuxTerminal } from "../support/tmux-terminal.ts";

const MAIN = resolve("dist/src/node/cli/main.js");
const home = mkdtempSync(join(tmpdir(), "elvisor-test-"));
const environment = {
  ...process.env,
  XDG_RUNTIME_DIR: home,
  XDG_DATA_HOME: join(home, "data"),
};

function elvisor(words: readonly string[], input: string | Uint8Array = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    env: environment,
    input,
    timeout: 120_000,
    maxBuffer: 64 * 2 ** 20,
  });
  return { status, stdout, stderr: stderr.toString() };
}

const drive = join(home, "disk.img");
const shared = join(home, "shared");

beforeAll(() => {
  writeFileSync(drive, "");
  truncateSync(drive, 2 ** 20);
  mkdirSync(shared);
  writeFileSync(join(shared, "greeting"), "from the host\n");
  const words = ["--net", "none", "--drive", drive, "--share", `${shared}:/srv/shared`];
  const started = elvisor(["run", "--detach", "--name", "one", ...words]);
  expect(started).toMatchObject({ status: 0, stderr: "" });
  expect(started.stdout.toString()).toBe("one\n");
}, 180_000);
afterAll(() => {
  elvisor(["stop", "--force", "one"]);
  rmSync(home, { recursive: true, force: true });
}, 60_000);

test("exec passes streams, bytes and the status", () => {
  const bytes = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, index) => index & 0xff));
  const outcome = elvisor(["exec", "one", "--", "sh", "-c", "cat; echo oops >&2; exit 9"], bytes);
  expect([outcome.status, outcome.stderr]).toEqual([9, "oops\n"]);
  expect(outcome.stdout.equals(bytes)).toBe(true);
  const variables = elvisor(["exec", "-e", "A=1 2", "-w", "/proc", "one", "sh", "-c", 'echo "$A"; pwd']);
  expect(variables.stdout.toString()).toBe("1 2\n/proc\n");
}, 120_000);

test("what is not there is a sentence with a status of its own", () => {
  expect(elvisor(["exec", "one", "--", "no-such-program"])).toMatchObject({
    status: 127,
    stderr: expect.stringMatching(/^elvisor: The guest has no program .*\n$/),
  });
  expect(elvisor(["exec", "two", "--", "true"])).toMatchObject({
    status: 125,
    stderr: "elvisor: No machine called two is running; elvisor ps shows those that are.\n",
  });
  expect(elvisor(["run", "--detach", "--name", "one"]).stderr).toMatch(
    /^elvisor: The machine one is running already/,
  );
  expect(elvisor(["rm", "one"]).stderr).toMatch(/is running; stop it first/);
  expect(elvisor(["run", "--name", "../x"])).toMatchObject({ status: 2 });
}, 120_000);

test("a signal to exec reaches the command", async () => {
  const child = spawn(process.execPath, [MAIN, "exec", "one", "--", "sh", "-c", "echo up; exec sleep 1000"], {
    env: environment,
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise((found) => child.stdout.once("data", found));
  child.kill("SIGTERM");
  expect(await new Promise((ended) => child.once("close", ended))).toBe(143);
}, 120_000);

test("cp brings files and directories in and out", () => {
  const tree = join(home, "tree");
  mkdirSync(join(tree, "below"), { recursive: true });
  const content = Buffer.from(Uint8Array.from({ length: 70_001 }, (_, index) => (index * 31) & 0xff));
  writeFileSync(join(tree, "below", "file with blanks"), content);
  expect(elvisor(["cp", tree, "one:/tmp/copied"])).toMatchObject({ status: 0, stderr: "" });
  const back = join(home, "back");
  expect(elvisor(["cp", "one:/tmp/copied", back])).toMatchObject({ status: 0, stderr: "" });
  expect(readFileSync(join(back, "below", "file with blanks")).equals(content)).toBe(true);
  expect(elvisor(["cp", "one:/none", back]).stderr).toMatch(/^elvisor: \/none in one cannot be copied: /);
}, 120_000);

test("its disk is its own; a directory of the host may go, and the guest lives on", () => {
  const guest = (line: string) => elvisor(["exec", "one", "--", "sh", "-c", line]);
  expect(guest("cat /sys/block/vda/size /srv/shared/greeting").stdout.toString()).toBe(
    "2048\nfrom the host\n",
  );
  expect(elvisor(["run", "--drive", drive, "--exec", "true"])).toMatchObject({
    status: 125,
    stderr: expect.stringMatching(
      /^elvisor: The drive .*disk\.img is in use by another elvisor \(process \d+\)/,
    ),
  });
  rmSync(shared, { recursive: true });
  const gone = guest("echo more >/srv/shared/more");
  expect([gone.status, gone.stderr]).toEqual([1, expect.stringMatching(/nonexistent directory|Stale/)]);
  expect(guest("echo here").stdout.toString()).toBe("here\n");
}, 180_000);

test("attach shows its console until Ctrl-A d, and again", { timeout: 180_000 }, async () => {
  const variables = `XDG_RUNTIME_DIR=${home}`;
  const attach = `${variables} ${process.execPath} ${MAIN} attach one`;
  const terminal = new TmuxTerminal(`${attach}; echo "left $?"; ${attach}; echo "again $?"; sleep 1000`, {
    columns: 90,
    rows: 30,
  });
  await terminal.waitFor(/This is the console of one; Ctrl-A d leaves it/, 60);
  terminal.type("echo $((6*7)); stty size", "Enter");
  await terminal.waitFor(/^42$\n^30 90$/m, 60);
  terminal.type("", "C-a", "d");
  await terminal.waitFor(/^left 0$/m, 60);
  await terminal.waitFor(/left 0[\s\S]*This is the console of one/, 60);
  terminal.type("echo $((6*8))", "Enter");
  await terminal.waitFor(/^48$/m, 60);
  terminal.type("", "C-a", "d");
  await terminal.waitFor(/^again 0$/m, 60);
});

test("exec -t gives a terminal with this one's size, and leaves this one as it was", {
  timeout: 240_000,
}, async () => {
  const variables = `XDG_RUNTIME_DIR=${home}`;
  const script =
    "trap 'stty size' WINCH; tty; stty size; while ! read -r x; do :; done; echo \\$x; kill -9 \\$\\$";
  const terminal = new TmuxTerminal(
    `stty -a >${home}/before; ${variables} ${process.execPath} ${MAIN} exec -t one -- sh -c "${script}"; echo "left $?"; stty -a >${home}/after; sleep 1000`,
    { columns: 90, rows: 30 },
  );
  await terminal.waitFor(/^\/dev\/pts\/\d+$\n^30 90$/m, 180);
  terminal.resize(70, 20);
  await terminal.waitFor(/^20 70$/m, 60);
  terminal.type("typed", "Enter");
  // Typed, and said by the shell, which then ends itself: 128 and the signal.
  await terminal.waitFor(/^typed$\n^typed$\n^left 137$/m, 60);
  await expect.poll(() => existsSync(join(home, "after")), { timeout: 20_000 }).toBe(true);
  await expect
    .poll(() => readFileSync(join(home, "after"), "utf8").replace(/rows.*columns \d+/, ""), {
      timeout: 20_000,
    })
    .toBe(readFileSync(join(home, "before"), "utf8").replace(/rows.*columns \d+/, ""));
});

test("ps, stats, logs, stop", () => {
  expect(elvisor(["ps"]).stdout.toString()).toMatch(/^NAME .*\none +kernel:6\.1-cloud +running for /);
  expect(JSON.parse(elvisor(["stats", "one"]).stdout.toString())).toHaveProperty("seconds");
  expect(elvisor(["logs", "one"]).stdout.toString()).toContain("Linux version");
  expect(elvisor(["stop", "one"])).toMatchObject({ status: 0, stderr: "" });
  expect(elvisor(["ps"]).stdout.toString()).toBe("NAME  IMAGE  STATE  PROCESS  MEMORY  CPUS\n");
  expect(elvisor(["rm", "one"])).toMatchObject({ status: 0, stderr: "" });
  expect(elvisor(["rm", "one"]).stderr).toMatch(/There is no machine called one/);
}, 180_000);

test("a machine whose process is killed takes its commands with it, and leaves its name", {
  timeout: 300_000,
}, async () => {
  expect(elvisor(["run", "--detach", "--name", "two", "--net", "none"]).status).toBe(0);
  const child = spawn(process.execPath, [MAIN, "exec", "two", "--", "sh", "-c", "echo up; sleep 1000"], {
    env: environment,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (piece: Buffer) => {
    errors += piece.toString();
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  await new Promise((found) => child.stdout.once("data", found));
  const [, pid] = /^two .* s +(\d+) /m.exec(elvisor(["ps"]).stdout.toString())!;
  process.kill(Number(pid), "SIGKILL");
  expect(await ended).toBe(125);
  expect(errors).toMatch(/^elvisor: The command sh in the guest was lost: the agent, or the machine, ended/);
  // Its sockets close before the process is gone.
  const list = () => elvisor(["ps"]).stdout.toString();
  await expect.poll(list, { timeout: 60_000, interval: 200 }).not.toContain("two");
  expect(elvisor(["rm", "two"])).toMatchObject({ status: 0, stderr: "" });
});
