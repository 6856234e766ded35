import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { FULL, outputOf, startDebian } from "../support/debian-guest.ts";
import { packagesBesideSystem } from "../support/guest-packages.ts";

/**
 * Debian 12 with Debian's open-vm-tools as its service for a day of its own time, which is 40 minutes of the host's: the
 * guest's clock runs so much faster.
 */

const HOURS = 24;
const SCALE = 36;
const DAY = HOURS * 3_600;
/** Milliseconds between two looks, of the host's. */
const PAUSE = 50;
/**
 * Seconds of the guest's without a heartbeat, twice what VMware's hosts take a guest for failed after (vSphere Availability,
 * "VM Monitoring Settings", medium sensitivity). A host that has other work gives the guest that much less of a processor
 * in each of its seconds, SCALE times as many of the guest's: this wants a quiet one.
 */
const LONGEST_SILENCE = 120;
const SET_UP = 1_800_000;

describe.runIf(FULL)(`${HOURS} hours of the guest's with open-vm-tools`, () => {
  let machine: VirtualMachine;
  const inGuest = (line: string): Promise<string> => outputOf(machine, line);
  const uptime = async (): Promise<number> => Number((await inGuest("cut -d' ' -f1 /proc/uptime")).trim());
  const service = (): Promise<string> =>
    inGuest("systemctl show -p ActiveState -p NRestarts -p ExecMainPID open-vm-tools");

  beforeAll(async () => {
    const packages = await packagesBesideSystem(["open-vm-tools"]);
    const shares = [`${packages}:/srv/packages,ro`];
    machine = await startDebian({ image: "debian:12", compatibility: "vmware", shares });
    await inGuest("DEBIAN_FRONTEND=noninteractive dpkg -i /srv/packages/*.deb >&2");
    while (!machine.guest.state().listening) await delay(500);
  }, SET_UP);
  afterAll(() => machine?.close());

  test(
    "each heartbeat comes in time, and the tools still answer",
    async () => {
      const before = await service();
      expect(before).toMatch(/ActiveState=active/);
      machine.pace.setScale(SCALE);
      const [began, from] = [Date.now(), await uptime()];
      let last = machine.guest.state().lastHeartbeat!;
      let longest = 0;
      /** Looks that found a new heartbeat, for each hour of the guest's. */
      const heard = new Array<number>(HOURS).fill(0);
      for (;;) {
        await delay(PAUSE);
        const now = Date.now() / 1_000;
        const hour = Math.floor(((now - began / 1_000) * SCALE) / 3_600);
        if (hour >= HOURS) break;
        const { listening, lastHeartbeat } = machine.guest.state();
        expect(listening, `in hour ${hour}`).toBe(true);
        if (lastHeartbeat !== last) heard[hour]!++;
        // What was heard between two looks but for the last is not seen: no silence was longer than this.
        longest = Math.max(longest, lastHeartbeat! - last, now - lastHeartbeat!);
        last = lastHeartbeat!;
      }
      const passed = (await uptime()) - from;
      machine.pace.setScale(1);
      console.log(
        `${passed} s of the guest's in ${(Date.now() - began) / 1_000} s: no silence longer than ${longest.toFixed(2)} s`,
        `of the host's, ${(longest * SCALE).toFixed(0)} s of the guest's; new heartbeats seen in each hour: ${heard.join(" ")}`,
      );
      expect(longest * SCALE).toBeLessThan(LONGEST_SILENCE);
      expect(passed).toBeGreaterThanOrEqual(DAY * 0.999);
      expect(Math.min(...heard)).toBeGreaterThan(0);
      // Nobody started the tools again meanwhile, and they answer both ways.
      expect(await service()).toBe(before);
      expect(await inGuest("vmware-rpctool 'info-set guestinfo.day over' && vmware-toolbox-cmd -v")).toMatch(
        /^12\./m,
      );
      expect(Buffer.from(machine.guest.info.get("day")!).toString()).toBe("over");
      await inGuest("date -s '2031-02-03 04:05:06'");
      expect(machine.guest.order("Time_Synchronize 1")).toBe(true);
      const isSet = async () => Math.abs(Number(await inGuest("date +%s")) - Date.now() / 1_000) < 60;
      for (let tries = 0; !(await isSet()); tries++) {
        expect(tries).toBeLessThan(60);
        await delay(1_000);
      }
      expect(machine.guest.order("OS_Halt")).toBe(true);
      expect(await machine.ended).toEqual({ kind: "power-off" });
    },
    (DAY / SCALE) * 1_000 + SET_UP,
  );
});
