import { describe, expect, test } from "vitest";
import { SERVICE_VERSION } from "../../src/hypervisor/services/service-table.ts";
import type { CpioEntry } from "../../src/node/images/cpio.ts";
import { type GuestOptions, startGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { snapshotOf, streamOf } from "../support/kept-machine.ts";

/** Row H3: a guest that knows a counter of 62.5 MHz goes on in a machine whose counter has 24 MHz. */

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 1_200_000;
const FREQUENCY = 24_000_000;
/** Parts in a million by which its clock may be wrong. */
const TOLERANCE = 100;

const PROBE: CpioEntry = {
  ...{ kind: "file", path: "bin/probe", mode: 0o755 },
  content: compileForGuest("services-probe.c", ["-static", `-DSERVICE_VERSION=${SERVICE_VERSION}`]),
};

describe.runIf(FULL)("a guest that is restored where the counter has another frequency", () => {
  test.each([
    ["trap", 600_000],
    ["scaled", 600_000],
  ] as const)(
    "keeps the host's time within 100 ppm, path %s, over %d ms",
    async (path, milliseconds) => {
      const options: GuestOptions = {
        ...{ kernel: "kernel:6.1-cloud", cpus: 2, engine: "translator" },
        ...{ time: { scale: 1, path }, initialFiles: [PROBE] },
      };
      const first = await startGuest(options);
      await first.ready();
      const pieces = await snapshotOf(first.machine);
      await first.stop();
      const guest = await startGuest({ ...options, counterFrequency: FREQUENCY, restore: streamOf(pieces) });
      expect(guest.machine.pace.scale).toBeCloseTo(1, 9);
      const ratio = Number(await guest.output(`probe ratio ${milliseconds}`, LIMIT / 1000));
      const wrong = Math.abs(ratio - 1) * 1e6;
      console.log(`${path}: ${wrong.toFixed(2)} ppm in ${milliseconds / 1000} s`);
      expect(wrong).toBeLessThanOrEqual(TOLERANCE);
      expect(await guest.output("dmesg | grep -c 'rcu.*stall\\|clocksource.*unstable' || true")).toBe("0\n");
      await guest.stop();
    },
    LIMIT,
  );
});
