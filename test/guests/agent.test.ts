import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { Random } from "../support/random.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
/** Commands in a row. */
const MANY = FULL ? 10_000 : 200;
const BOOT_LIMIT = 600_000;

let machine: VirtualMachine;
beforeAll(async () => {
  machine = await VirtualMachine.create();
  await machine.ready();
}, BOOT_LIMIT);
afterAll(async () => {
  await machine.close();
});

/** Every byte value, in an order of its own. */
function bytes(length: number, random: Random): Buffer {
  const all = Buffer.alloc(length);
  for (let index = 0; index < length; index++) all[index] = random.below(256);
  return all;
}

describe("commands in a guest", () => {
  test("status, output and errors come back, each on its own", async () => {
    const result = await machine.exec("echo out; echo err >&2; exit 3");
    expect(result).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "err\n", signal: undefined });
  });

  test("arguments, variables and the working directory arrive as they are", async () => {
    const odd = ["", " ", "a b", '"', "$HOME", "ä", "\n"];
    const script = 'printf "<%s>" "$@"; echo; pwd; echo "$GREETING"';
    const { stdout } = await machine.exec(["sh", "-c", script, "sh", ...odd], {
      cwd: "/proc/sys",
      env: { GREETING: "two words" },
    });
    expect(stdout).toBe(`${odd.map((word) => `<${word}>`).join("")}\n/proc/sys\ntwo words\n`);
  });

  test("bytes pass unchanged in both directions, in pieces of any size", async () => {
    const random = Random.ofThisRun();
    for (const length of [0, 1, 4095, 65_537, 1_000_003]) {
      const input = bytes(length, random);
      const { stdoutBytes } = await machine.exec(["cat"], { input });
      expect(stdoutBytes.equals(input), `${length} bytes, seed ${random.seed}`).toBe(true);
    }
  }, 60_000);

  test("streams can be read and written as the command runs", async () => {
    const command = machine.exec(["cat"]);
    command.stdin.write("one\n");
    const seen: string[] = [];
    for await (const piece of command.stdout as AsyncIterable<Buffer>) {
      seen.push(piece.toString());
      if (seen.length === 1) command.stdin.end("two\n");
    }
    expect(seen).toEqual(["one\n", "two\n"]);
    expect(await command.exited).toEqual({ code: 0 });
  });

  test("output that nobody reads stops that command only", async () => {
    const silent = machine.exec("yes");
    const errors = machine.exec("yes >&2; echo never");
    expect((await machine.exec(["echo", "here"])).stdout).toBe("here\n");
    await silent.kill("SIGKILL");
    await errors.kill("SIGKILL");
    silent.stdout.resume();
    errors.stderr.resume();
    expect(await silent.exited).toEqual({ signal: "SIGKILL" });
    expect(await errors.exited).toEqual({ signal: "SIGKILL" });
  }, 60_000);

  test("a command that leaves something in the background is not waited for", async () => {
    const { stdout, exitCode } = await machine.exec("sleep 1000 & echo started");
    expect([stdout, exitCode]).toEqual(["started\n", 0]);
    await machine.exec(["killall", "sleep"]);
  });

  test("a terminal has its size, changes it, and turns Ctrl-C into a signal", async () => {
    const command = machine.exec("stty size; read line; stty size; echo $line; sleep 1000", {
      terminal: { columns: 101, rows: 33 },
    });
    let text = "";
    command.stdout.on("data", (piece: Buffer) => {
      text += piece.toString();
    });
    await expect.poll(() => text, { timeout: 20_000 }).toContain("33 101");
    await command.resize(77, 22);
    command.stdin.write("typed\n");
    await expect.poll(() => text, { timeout: 20_000 }).toMatch(/22 77\r\ntyped/);
    command.stdin.write("\x03");
    expect(await command.exited).toEqual({ signal: "SIGINT" });
  }, 60_000);

  test("what cannot be started says why", async () => {
    await expect(machine.exec(["no-such-program"])).rejects.toMatchObject({
      exitStatus: 127,
      message: expect.stringContaining('no program or directory for "no-such-program"'),
    });
    await expect(machine.exec(["/etc/passwd"])).rejects.toMatchObject({ exitStatus: 126 });
    await expect(machine.exec(["true"], { cwd: "/nowhere" })).rejects.toThrow(/no program or directory/);
    await expect(machine.exec(["a\0b"])).rejects.toThrow(/zero byte/);
  });

  test("files come and go", async () => {
    const random = Random.ofThisRun();
    const content = bytes(200_000, random);
    await machine.files.makeDirectory("/tmp/a/b");
    await machine.files.write("/tmp/a/b/c d", content, 0o640);
    expect((await machine.files.read("/tmp/a/b/c d")).equals(content)).toBe(true);
    expect(await machine.files.status("/tmp/a/b/c d")).toEqual({ kind: "file", size: 200_000, mode: 0o640 });
    expect(await machine.files.list("/tmp/a/b")).toEqual(["c d"]);
    await machine.files.remove("/tmp/a");
    expect(await machine.files.status("/tmp/a")).toBeUndefined();
    await expect(machine.files.read("/tmp/a")).rejects.toThrow(/^\/tmp\/a in the guest cannot be read: /);
  }, 60_000);

  test(
    "many commands, one after the other and at once, leave nothing behind",
    async () => {
      const processes = async () => Number((await machine.exec("ls -d /proc/[0-9]* | wc -l")).stdout);
      const before = await processes();
      for (let number = 0; number < MANY; number++) {
        const { stdout, exitCode } = await machine.exec(["sh", "-c", "cat; exit 7"], { input: `${number}` });
        expect([stdout, exitCode]).toEqual([`${number}`, 7]);
      }
      const together = await Promise.all(
        Array.from({ length: 16 }, (_, number) =>
          machine.exec(["cat"], { input: "x".repeat(1000 * number) }),
        ),
      );
      expect(together.map(({ stdout }) => stdout.length)).toEqual(together.map((_, number) => 1000 * number));
      await expect.poll(processes, { timeout: 20_000 }).toBeLessThanOrEqual(before + 1);
    },
    FULL ? 3_600_000 : 900_000,
  );
});

describe("when something dies in the middle", () => {
  test(
    "the agent's process for a command, the agent, the machine",
    async () => {
      const lost =
        /The command sleep in the guest was lost: the agent, or the machine, ended before it did\./;
      const doomed = await VirtualMachine.create();
      const first = doomed.exec(["sleep", "1000"]);
      const agents =
        'cd /proc; for p in [0-9]*; do [ "$(readlink $p/exe)" = /etc/elvisor/agent ] && echo $p; done';
      await expect
        .poll(async () => (await doomed.exec(agents)).stdout.trim().split("\n").length, { timeout: 60_000 })
        .toBeGreaterThanOrEqual(2);
      // In the order of their making: the shell sorts 100 before 99.
      const [listener = "", handler = ""] = (await doomed.exec(`${agents} | sort -n`)).stdout
        .trim()
        .split("\n");
      await doomed.exec(["kill", "-9", handler]);
      await expect(first.exited).rejects.toThrow(lost);
      const second = doomed.exec(["sleep", "1000"]);
      await doomed.exec(["kill", "-9", listener]);
      await expect(doomed.exec(["true"])).rejects.toThrow(/The agent in the guest does not answer/);
      await doomed.close();
      await expect(second.exited).rejects.toThrow(lost);
      await expect(doomed.exec(["true"])).rejects.toThrow(/The machine has ended/);
    },
    BOOT_LIMIT,
  );
});
