import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SERVICE_VERSION } from "../../src/hypervisor/services/service-table.ts";
import { BOOT_LIMIT, type Guest, startGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { Random } from "../support/random.ts";
import { changeScales } from "../support/scale-changes.ts";

/** The hypervisor's doors and the guest's time, as Debian's kernel and programs in it see them. */

const FULL = process.env["ELVISOR_FULL"] !== undefined;
const LIMIT = FULL ? 1_200_000 : 800_000;
const CPUS = 4;
/** Every so many-th immediate, and 0x5658: it is no multiple of 64. */
const EVERY = FULL ? 1 : 64;
const IMMEDIATES = FULL ? 65_536 : 65_536 / 64 + 1;
const CALLS = FULL ? 250_000 : 2_500;
const STEPS = FULL ? 100_000 : 1_000;
/** Pointers that programs give the hypervisor. */
const POINTERS = FULL ? 65_536 : 2_048;
/** Milliseconds of the host's for each pace, and changes of it while four elements look. */
const RATIO_TIME = FULL ? 60_000 : 3_000;
const CHANGES = FULL ? 10_000 : 300;

/** Seconds for a boot or a command on a busy host. */
const PATIENCE = BOOT_LIMIT * 3;

let guest: Guest;
const logged: string[] = [];

beforeAll(async () => {
  guest = await startGuest({
    kernel: "kernel:6.1-cloud",
    cpus: CPUS,
    engine: "translator",
    onGuestLog: (text) => logged.push(text),
    initialFiles: [
      {
        kind: "file",
        path: "bin/probe",
        content: compileForGuest("services-probe.c", ["-static", `-DSERVICE_VERSION=${SERVICE_VERSION}`]),
        mode: 0o755,
      },
    ],
  });
  await guest.ready(PATIENCE);
}, PATIENCE * 1_000);

afterAll(() => guest.stop());

/** What a command says with the doors open, and then closed. */
async function openAndClosed(
  command: string,
  seconds = FULL ? LIMIT / 2_000 : PATIENCE,
): Promise<[string, string]> {
  const { guest: doors } = guest.machine;
  const open = await guest.output(command, seconds);
  doors.services = false;
  try {
    return [open, await guest.output(command, seconds)];
  } finally {
    doors.services = true;
  }
}

describe.sequential("hvcall", () => {
  test(
    "makes every call, by either door",
    async () => {
      for (const door of ["", "--door channel", "--door breakpoint"]) {
        const hvcall = (words: string) => guest.output(`hvcall ${door} ${words}`, PATIENCE);
        expect(await hvcall("version")).toBe(`${SERVICE_VERSION}\n`);
        expect(Math.abs(Number(await hvcall("clock")) / 1e6 - Date.now())).toBeLessThan(60_000);
        await hvcall("log 'said by hvcall'");
        await hvcall("guestinfo-set key 'some value'");
        expect(await hvcall("guestinfo get key")).toBe("some value\n");
      }
      expect(logged).toEqual(new Array<string>(3).fill("said by hvcall"));
      expect(Buffer.from(guest.machine.guest.info.get("key")!).toString()).toBe("some value");
    },
    LIMIT,
  );

  test(
    "says what is wrong",
    async () => {
      expect(await guest.run("hvcall guestinfo-get none 2>&1", PATIENCE)).toEqual({
        output: "hvcall: there is no such value\n",
        status: 1,
      });
      expect((await guest.run("hvcall nonsense 2>&1")).output).toContain("hvcall guestinfo-set KEY VALUE");
      expect((await guest.run("hvcall log 2>&1")).status).toBe(2);
      guest.machine.guest.services = false;
      expect(await guest.run("hvcall version 2>&1")).toEqual({
        output: "hvcall: no hypervisor of this kind answers here\n",
        status: 3,
      });
      guest.machine.guest.services = true;
    },
    LIMIT,
  );
});

describe.sequential("the doors", () => {
  test(
    `${IMMEDIATES} immediates of BRK from EL0: one is served to who calls, all others trap where they are`,
    async () => {
      expect(await openAndClosed(`probe breakpoints ${EVERY} call`)).toEqual([
        `trapped ${IMMEDIATES - 1}, served 1, wrong 0, last 0x5658\n`,
        `trapped ${IMMEDIATES}, served 0, wrong 0, last 0xffffffff\n`,
      ]);
      const [open, closed] = await openAndClosed(`probe breakpoints ${EVERY}`);
      expect(open).toBe(`trapped ${IMMEDIATES}, served 0, wrong 0, last 0xffffffff\n`);
      expect(closed).toBe(open);
    },
    LIMIT,
  );

  test(
    "the debug channel's status from EL0 is an illegal instruction, except for a call",
    async () => {
      expect(await openAndClosed("probe channel")).toEqual([
        "ill 32, other 0, call served\n",
        "ill 32, other 0, call ill\n",
      ]);
    },
    LIMIT,
  );

  test(
    `${CALLS * CPUS} calls from ${CPUS} elements`,
    async () => {
      const commands = Array.from(
        { length: CPUS },
        (_, cpu) =>
          `taskset ${(1 << cpu).toString(16)} probe calls ${cpu % 2 === 0 ? "channel" : "breakpoint"} ${CALLS} &`,
      );
      const output = await guest.output(`${commands.join(" ")} wait`, LIMIT / 1_000);
      expect(output.split("\n").filter((line) => line !== "")).toEqual(
        new Array<string>(CPUS).fill(`served ${CALLS}`),
      );
    },
    LIMIT,
  );

  test(
    `${POINTERS} pointers, good and bad: a call ends as the program's own accesses do`,
    async () => {
      const { seed } = Random.ofThisRun();
      const said = await guest.output(`probe pointers ${seed} ${POINTERS}`, LIMIT / 1_000);
      expect(said, `seed ${seed}`).toBe(`equal ${POINTERS}, fine many, unmapped many, forbidden many\n`);
    },
    LIMIT,
  );

  test(
    "a debugger's steps are the same with the doors open and closed",
    async () => {
      const [open, closed] = await openAndClosed(
        `probe steps ${STEPS} /bin/busybox echo hello; probe steps ${STEPS} /bin/busybox uname`,
      );
      expect(open).toMatch(/^\d+ steps, [0-9a-f]{16}$/m);
      expect(closed).toBe(open);
      // Stepping does not close the debug channel's door.
      expect(await guest.output("probe steps 100000 /bin/hvcall version", PATIENCE)).toMatch(
        new RegExp(`^${SERVICE_VERSION}\n\\d+ steps`),
      );
    },
    LIMIT,
  );

  test(
    "kernel probes hit as often with the doors open and closed",
    async () => {
      await guest.output(
        "mount -t tracefs none /sys/kernel/tracing; cd /sys/kernel/tracing; echo 'p:opens do_sys_openat2' > kprobe_events; echo 1 > events/kprobes/enable",
      );
      const command =
        "echo > /sys/kernel/tracing/trace; for i in 1 2 3 4 5; do cat /etc/passwd > /dev/null; done; grep -c 'cat-.*opens' /sys/kernel/tracing/trace";
      const [open, closed] = await openAndClosed(command);
      expect(Number(open)).toBeGreaterThanOrEqual(5);
      expect(closed).toBe(open);
      await guest.output(
        "echo 0 > /sys/kernel/tracing/events/kprobes/enable; echo > /sys/kernel/tracing/kprobe_events",
      );
    },
    LIMIT,
  );
});

describe.sequential("time", () => {
  test(
    `runs at its pace within 0.1 %, over ${RATIO_TIME / 1000} s each`,
    async () => {
      for (const scale of [0.1, 0.5, 2, 10, 1]) {
        guest.machine.pace.setScale(scale);
        const measured = Number(await guest.output(`probe ratio ${RATIO_TIME}`, LIMIT / 1_000));
        expect(measured / scale, `at ${scale}`).toBeGreaterThan(0.999);
        expect(measured / scale, `at ${scale}`).toBeLessThan(1.001);
      }
    },
    LIMIT,
  );

  test(
    `never goes back on four elements, while it changes ${CHANGES} times`,
    () => changeScales(guest, CHANGES, LIMIT / 1_000),
    LIMIT,
  );

  test(
    "stands still at 0 and goes on without a jump",
    async () => {
      const read = async (): Promise<number> =>
        Number((await guest.output("cut -d' ' -f1 /proc/uptime")).trim());
      const before = await read();
      const host = Date.now();
      guest.machine.pace.setScale(0);
      await delay(2_000);
      guest.machine.pace.setScale(1);
      const passed = (await read()) - before;
      expect(passed).toBeLessThan((Date.now() - host) / 1000 - 1.9);
    },
    LIMIT,
  );
});
