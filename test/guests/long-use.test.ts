import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProtectionDocument } from "../../src/introspection/protection/protection-document.ts";
import { packagesBesideSystem } from "../support/guest-packages.ts";
import { OwnMachines } from "../support/own-machines.ts";

/**
 * Debian 12 in normal use, its kernel protected and its open-vm-tools running, for ELVISOR_SOAK minutes: no write to
 * the kernel is told of but by the function that patches code, and the heartbeat goes on.
 */

const MINUTES = Number(process.env["ELVISOR_SOAK"] ?? 0);
const LIMIT = 1_800_000;
/** Milliseconds between two looks. */
const PAUSE = 20_000;
/** The tools send a heartbeat each second of the guest's; on a busy host it may be late. */
const LONGEST_SILENCE = 60_000;

/** What changes code when static branches change: no attack. */
const PATCHES = "copy_to_kernel_nofault";

/** What is done in turn; each leaves nothing behind. */
const WORK = [
  "ls -lR /usr/lib > /tmp/list && wc -l /tmp/list",
  "find /usr/share -type f | head -200 | xargs sha256sum | tail -1",
  "systemctl --failed --no-legend; systemctl status | head -5",
  "journalctl -n 50 --no-pager | tail -1",
  "dd if=/dev/urandom of=/root/file bs=64k count=64 2>&1 | tail -1; sync; md5sum /root/file; rm /root/file",
  "ip address; ip route; getent hosts localhost",
  "tar cf - /etc | gzip -1 | wc -c",
  "apt-cache policy | head -3; dpkg -l | wc -l",
  "perl -e 'my %h; $h{$_ % 97} += $_ for 1 .. 100000; print scalar(%h)'",
  "for i in 1 2 3 4 5 6 7 8; do (exec sh -c 'echo $$') & done; wait",
];

describe.runIf(MINUTES > 0)(`${MINUTES} minutes of normal use`, () => {
  const machines = new OwnMachines();
  const elvisor = (...words: string[]): string => machines.output(...words);
  const inGuest = (line: string): string => machines.inGuest(line);

  beforeAll(async () => {
    const packages = await packagesBesideSystem(["open-vm-tools"]);
    elvisor(
      ...["run", "debian:12", "--detach", "--rm", "--name", "one", "--memory", "1G", "--compat", "vmware"],
      ...["--share", `${packages}:/srv/packages,ro`],
    );
    inGuest("DEBIAN_FRONTEND=noninteractive dpkg -i /srv/packages/*.deb >&2");
  }, LIMIT);
  afterAll(() => machines.close(), LIMIT);

  test(
    "raise no alert, and no heartbeat is missed",
    async () => {
      elvisor("protect", "one", "--kernel", "--allow-from", PATCHES);
      const state = (): ProtectionDocument =>
        JSON.parse(elvisor("protect", "one", "--json")) as ProtectionDocument;
      const heartbeat = (): number => {
        const told = JSON.parse(elvisor("guest", "info", "one", "--json")) as {
          tools: { lastHeartbeat?: string };
        };
        return Date.parse(told.tools.lastHeartbeat ?? "");
      };
      const [tree] = state().trees;
      expect(tree?.pages).toBeGreaterThan(1_000);
      const began = Date.now();
      let [commands, heard, longest] = [0, 0, 0];
      let last = 0;
      while (Date.now() - began < MINUTES * 60_000) {
        inGuest(WORK[commands++ % WORK.length]!);
        const at = heartbeat();
        if (at !== last) heard++;
        last = at;
        longest = Math.max(longest, Date.now() - at);
        expect(Date.now() - at, `after ${commands} commands`).toBeLessThan(LONGEST_SILENCE);
        expect(state().writes, `after ${commands} commands`).toEqual([]);
        await delay(PAUSE);
      }
      console.log(`${commands} commands, ${heard} heartbeats seen, the oldest ${longest} ms old, 0 alerts`);
      expect(heard).toBeGreaterThan(commands / 2);
      // The monitor still watches: what patches code without leave is told of.
      elvisor("protect", "one", "--remove");
      elvisor("protect", "one", "--kernel");
      inGuest("echo 1 > /proc/sys/kernel/sched_schedstats");
      expect(state().writes.length).toBeGreaterThan(0);
    },
    MINUTES * 60_000 + LIMIT,
  );
});
