import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packagesBesideSystem } from "../support/guest-packages.ts";
import { OwnMachines } from "../support/own-machines.ts";

/** Debian 12 with Debian's open-vm-tools as its service, and its owner's `elvisor guest`. It takes minutes, and a mirror. */

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 1_800_000;

interface GuestTold {
  readonly tools: { readonly running: boolean; readonly lastHeartbeat?: string };
  readonly facts: Readonly<Record<string, string>>;
  readonly cards: readonly { readonly addresses: readonly string[] }[];
}

describe.runIf(FULL)("Debian 12 with open-vm-tools", () => {
  const machines = new OwnMachines();
  const elvisor = (...words: string[]): string => machines.output(...words);
  const inGuest = (line: string): string => machines.inGuest(line);
  const told = (): GuestTold => JSON.parse(elvisor("guest", "info", "one", "--json")) as GuestTold;
  /** Package files of the tools and of what they need. */
  let packages: string;
  const start = (): string =>
    elvisor(
      ...["run", "debian:12", "--detach", "--name", "one", "--memory", "1G", "--compat", "vmware"],
      ...["--share", `${packages}:/srv/packages,ro`],
    );

  async function until(what: string, condition: () => boolean): Promise<void> {
    for (let tries = 0; !condition(); tries++) {
      if (tries > 300) throw new Error(`never: ${what}`);
      await delay(2_000);
    }
  }

  beforeAll(async () => {
    packages = await packagesBesideSystem(["open-vm-tools"]);
    start();
    inGuest("mkdir -p /var/log/journal && systemctl restart systemd-journald");
    inGuest("DEBIAN_FRONTEND=noninteractive dpkg -i /srv/packages/*.deb >&2");
  }, LIMIT);
  afterAll(() => machines.close(), LIMIT);

  test(
    "systemd knows its hypervisor and starts the service for it",
    async () => {
      expect(inGuest("systemd-detect-virt")).toBe("vmware\n");
      expect(inGuest("vmware-checkvm; vmware-checkvm -p")).toBe(
        "VMware software version 6 (good)\nESX Server\n",
      );
      expect(inGuest("systemctl show -p ConditionResult -p ActiveState open-vm-tools")).toBe(
        "ActiveState=active\nConditionResult=yes\n",
      );
      await until("the tools tell an address", () =>
        told().cards.some(({ addresses }) => addresses.includes("10.0.2.15/24")),
      );
      const { tools, facts } = told();
      expect(tools.running).toBe(true);
      expect(facts["hostname"]).toBe(inGuest("hostname").trim());
      await until("another heartbeat", () => told().tools.lastHeartbeat !== tools.lastHeartbeat);
    },
    LIMIT,
  );

  test(
    "its owner restarts it and shuts it down, and its journal agrees",
    async () => {
      const boots = (): string[] =>
        inGuest("journalctl --list-boots -q | awk '{print $2}'").trim().split("\n");
      const [first] = boots();
      elvisor("guest", "reboot", "one");
      const isNew = (): boolean => {
        const { status, stdout } = machines.command(
          "exec",
          "one",
          "--",
          "cat",
          "/proc/sys/kernel/random/boot_id",
        );
        return status === 0 && stdout.trim().replaceAll("-", "") !== first;
      };
      await until("it has started again", isNew);
      await until("the tools are there again", () => told().tools.running);
      elvisor("guest", "shutdown", "one");
      // Commands fail a little earlier, when its agent has ended.
      await until("the machine has ended", () =>
        machines.command("guest", "info", "one").stderr.includes("No machine called one"),
      );
      start();
      await until(
        "it has started a third time",
        () => machines.command("exec", "one", "--", "true").status === 0,
      );
      expect(boots().length).toBe(3);
      const journal = (boot: number): string => inGuest(`journalctl -b ${boot} --no-pager -q -o cat`);
      // The tools' unit has none of the usual dependencies: systemd's last step ends it, and the journal just after.
      expect(journal(-2)).toMatch(/The system will reboot now![\s\S]*Reached target reboot\.target/);
      expect(journal(-1)).toMatch(/The system will power off now![\s\S]*Reached target poweroff\.target/);
      for (const boot of [-2, -1])
        expect(journal(boot)).toMatch(/Syncing filesystems[\s\S]*Journal stopped\s*$/);
      expect(journal(0)).not.toMatch(/uncleanly shut down|recovery required|recovering journal/);
    },
    LIMIT,
  );
});
