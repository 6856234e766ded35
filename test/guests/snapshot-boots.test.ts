import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BOOT_LIMIT, type GuestOptions, startGuest } from "../support/guest.ts";
import { snapshotOf, streamOf } from "../support/kept-machine.ts";
import { OwnMachines } from "../support/own-machines.ts";

/** Snapshots of guests that start otherwise than a kernel by itself: under EL3's firmware, and Debian with and without UEFI. */

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 1_800_000;

test.runIf(FULL).each([{ secure: true }, { virtualization: true }, { secure: true, virtualization: true }])(
  "a guest with %j goes on from its snapshot",
  async (levels) => {
    const options: GuestOptions = { kernel: "kernel:6.1-cloud", engine: "translator", cpus: 2, ...levels };
    const first = await startGuest(options);
    let pieces: Uint8Array[];
    try {
      await first.ready(BOOT_LIMIT * 5);
      await first.output(
        "variable=kept; (while true; do echo . >> /tmp/ticks; sleep 0.2; done) >/dev/null 2>&1 &",
      );
      pieces = await snapshotOf(first.machine);
    } finally {
      await first.stop();
    }
    const guest = await startGuest({ ...options, restore: streamOf(pieces) });
    try {
      expect(await guest.output("echo $variable; nproc", 120)).toBe("kept\n2\n");
      const ticks = async () => Number(await guest.output("wc -l < /tmp/ticks", 120));
      const before = await ticks();
      await guest.output("sleep 2", 120);
      expect(await ticks()).toBeGreaterThan(before);
      expect(await guest.output("dmesg | grep -c 'Oops\\|BUG:' || true", 120)).toBe("0\n");
      expect(await guest.powerOff()).toEqual({ kind: "power-off" });
    } finally {
      await guest.stop();
    }
  },
  LIMIT,
);

describe.runIf(FULL)("Debian 12 goes on from its snapshot", () => {
  test.each([{ how: [] }, { how: ["--uefi"] }])(
    "started with %j",
    ({ how }) => {
      const machines = new OwnMachines();
      const elvisor = (...words: string[]): string => machines.output(...words);
      const inGuest = (line: string): string => machines.inGuest(line);
      const run = ["run", "debian:12", "--detach", "--name", "one", "--memory", "1G", ...how];
      const kept = join(machines.home, "one.snapshot");
      try {
        elvisor(...run);
        inGuest(
          "echo kept > /run/variable; echo on the disk > /root/file; sync; systemctl is-system-running --wait || true",
        );
        const boot = inGuest("cat /proc/sys/kernel/random/boot_id");
        expect(inGuest("test -d /sys/firmware/efi/efivars && echo EFI || echo none")).toBe(
          how.length > 0 ? "EFI\n" : "none\n",
        );
        elvisor("snapshot", "one", kept, "--end");
        elvisor(...run, "--restore", kept);
        expect(inGuest("cat /run/variable /root/file")).toBe("kept\non the disk\n");
        expect(inGuest("cat /proc/sys/kernel/random/boot_id")).toBe(boot);
        expect(inGuest("systemctl restart systemd-journald && systemctl is-active systemd-journald")).toBe(
          "active\n",
        );
        expect(inGuest("dmesg | grep -c 'Oops\\|BUG:\\|I/O error' || true")).toBe("0\n");
        inGuest("echo more >> /root/file; sync; echo 3 > /proc/sys/vm/drop_caches");
        expect(inGuest("cat /root/file")).toBe("on the disk\nmore\n");
      } finally {
        machines.close();
      }
    },
    LIMIT,
  );
});
