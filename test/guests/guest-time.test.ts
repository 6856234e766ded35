import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SERVICE_VERSION } from "../../src/hypervisor/services/service-table.ts";
import type { CpioEntry } from "../../src/node/images/cpio.ts";
import { BOOT_LIMIT, type Guest, startGuest, withGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { compileSelftest } from "../support/kernel-source.ts";
import { changeScales, changeScalesDuring } from "../support/scale-changes.ts";

/** The two ways in which a guest's clock runs at another pace, as Debian's kernel and its programs see them. */

const FULL = process.env["ELVISOR_FULL"] !== undefined;
const LIMIT = 1_200_000;
/** Milliseconds of the host's for each pace. */
const RATIO_TIME = FULL ? 60_000 : 3_000;
const SCALES = FULL ? [0.1, 0.5, 1, 2, 10] : [0.5, 2];
/** Changes of the pace while four elements look at the clock. */
const CHANGES = FULL ? 10_000 : 300;
/** The kernel's ticks in a second of its time, and milliseconds of the machine's in which they are counted. */
const HZ = 250;
const TICKS_TIME = FULL ? 4_000 : 500;

const PROBE: CpioEntry = {
  ...{ kind: "file", path: "bin/probe", mode: 0o755 },
  content: compileForGuest("services-probe.c", ["-static", `-DSERVICE_VERSION=${SERVICE_VERSION}`]),
};

const inconsistencyCheck = async (): Promise<CpioEntry> => ({
  ...{ kind: "file", path: "bin/inconsistency-check", mode: 0o755 },
  content: await compileSelftest("timers/inconsistency-check"),
});

/** What the rest of services.test.ts looks at is the scaled path, too. */
const PATHS = FULL ? (["scaled", "trap"] as const) : (["trap"] as const);

describe.each(PATHS)("the guest's time on the path: %s", (path) => {
  let guest: Guest;

  beforeAll(async () => {
    guest = await startGuest({
      kernel: "kernel:6.1-cloud",
      cpus: 4,
      engine: "translator",
      time: { scale: 1, path },
      initialFiles: FULL ? [PROBE, await inconsistencyCheck()] : [PROBE],
    });
    await guest.ready(BOOT_LIMIT * 3);
  }, BOOT_LIMIT * 3_000);
  afterAll(() => guest.stop());

  const number = async (command: string): Promise<number> =>
    Number(await guest.output(command, LIMIT / 1_000));

  test(
    "comes from the timer that the path leaves to the kernel",
    async () => {
      const log = await guest.output("dmesg");
      expect(log).toContain(`cp15 timer(s) running at 62.50MHz (${path === "trap" ? "phys" : "virt"}).`);
      const clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
      expect(await guest.output(`cat ${clock}`)).toBe("arch_sys_counter\n");
    },
    LIMIT,
  );

  test(
    `keeps its pace within 0.1 % over ${RATIO_TIME / 1000} s`,
    async () => {
      for (const scale of SCALES) {
        guest.machine.pace.setScale(scale);
        const ratio = (await number(`probe ratio ${RATIO_TIME}`)) / scale;
        expect(ratio, `at ${scale}`).toBeGreaterThan(0.999);
        expect(ratio, `at ${scale}`).toBeLessThan(1.001);
        console.log(`${path}, at ${scale}: pace ${ratio}`);
      }
      guest.machine.pace.setScale(1);
    },
    LIMIT,
  );

  test.runIf(FULL)(
    "sleep 10 takes ten of its seconds within 1 %",
    async () => {
      for (const scale of [0.5, 1, 2]) {
        guest.machine.pace.setScale(scale);
        const slept = (await number("probe sleep 10")) * scale;
        expect(slept, `at ${scale}`).toBeGreaterThanOrEqual(9.9);
        expect(slept, `at ${scale}`).toBeLessThanOrEqual(10.1);
      }
      guest.machine.pace.setScale(1);
    },
    LIMIT,
  );

  test(
    `never goes back on four elements, while it changes ${CHANGES} times`,
    () => changeScales(guest, CHANGES, LIMIT / 1_000),
    LIMIT,
  );

  // For each of the kernel's clocks, on one element after the other.
  test.runIf(FULL)(
    `the kernel's own test finds no inconsistency while it changes ${CHANGES} times`,
    async () => {
      let runs = 0;
      const made = await changeScalesDuring(guest, CHANGES, async () => {
        const command = `taskset ${(1 << (runs++ % 4)).toString(16)} inconsistency-check -t 10 2>&1`;
        const output = await guest.output(command, LIMIT / 1_000);
        expect(output).toMatch(/^ok \d+ CLOCK_MONOTONIC_RAW/m);
        expect(output.match(/^ok /gm)!.length).toBeGreaterThanOrEqual(9);
        expect(output).not.toMatch(/^not ok/m);
      });
      console.log(`${path}: ${made} changes in ${runs} runs of inconsistency-check`);
    },
    LIMIT,
  );
});

// Ticks that a busy host delivers late become one. In deterministic time no host is busy.
describe.each(PATHS)("the kernel's ticks on the path: %s", (path) => {
  test(
    `are ${HZ} in a second of its time`,
    async () => {
      const options = { kernel: "kernel:6.1-cloud", engine: "translator", deterministic: true } as const;
      const time = { scale: 1, path };
      await withGuest(
        { ...options, time, cpus: FULL ? 4 : 1, initialFiles: [PROBE] },
        async (guest) => {
          for (const scale of SCALES) {
            guest.machine.pace.setScale(scale);
            const rate = Number(await guest.output(`probe ticks ${TICKS_TIME}`, LIMIT / 1_000));
            console.log(`${path}, at ${scale}: ${rate} ticks a second`);
            // One more or less at the ends, and the kernel has other use for its timer, too.
            const few = Math.max(3_000 / TICKS_TIME, HZ * scale * 0.005);
            expect(Math.abs(rate - HZ * scale), `at ${scale}: ${rate}`).toBeLessThanOrEqual(few);
          }
        },
        BOOT_LIMIT * 3,
      );
    },
    LIMIT,
  );
});
