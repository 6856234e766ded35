import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CpioEntry } from "../../src/node/images/cpio.ts";
import { BOOT_LIMIT, type Guest, startGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { unpackedPackages } from "../support/guest-packages.ts";
import { Random } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

/**
 * Debian's open-vm-tools in a guest: its programs and its daemon, unmodified, below /debian of the default guest's
 * file system. They reach their host by reading the debug channel's status, from EL0.
 */

const LIMIT = 300_000;
const CPUS = 4;
const FULL = process.env["ELVISOR_FULL"] !== undefined;
/** Values that the library sets and gets from each element. */
const VALUES = FULL ? 2_500 : 25;

/** Libraries of the tools, and those that they need. */
const LIBRARIES = [
  ...[
    "vmtools",
    "hgfs",
    "guestlib",
    "guestStore",
    "glib-2",
    "gmodule-2",
    "gobject-2",
    "mspack",
    "tirpc",
    "udev",
  ],
  ...["c", "m", "dl", "pthread", "rt", "resolv", "gcc_s", "pcre2-8", "ffi", "z", "drm"],
  ...["gssapi_krb5", "krb5", "krb5support", "k5crypto", "com_err", "keyutils"],
];
const WANTED = new RegExp(
  [
    "^usr/bin/vm",
    "^usr/lib/aarch64-linux-gnu/open-vm-tools/",
    `^usr/lib/aarch64-linux-gnu/lib(${LIBRARIES.join("|")})[.-][^/]*so`,
    `^usr/lib/aarch64-linux-gnu/lib(${LIBRARIES.join("|")})\\.so`,
    "^usr/lib/(aarch64-linux-gnu/)?ld-",
    "^etc/vmware-tools/",
  ].join("|"),
);

/** The daemon looks at the guest more often than it would. */
const TOOLS_CONFIGURATION = "[guestinfo]\npoll-interval=5\n";
/** What the daemon runs to switch a system off or restart it. */
const SHUTDOWN = `#!/bin/sh
echo "shutdown $*" > /dev/ttyAMA0
case $1 in -r) reboot -f ;; *) poweroff -f ;; esac
`;

let guest: Guest;
const logged: string[] = [];

function valuesProgram(files: readonly CpioEntry[]): Uint8Array {
  const library = files.find(({ path }) => /libvmtools\.so\.0\.0\.0$/.test(path));
  if (library?.kind !== "file") throw new Error("open-vm-tools has no libvmtools.so");
  const { content } = library;
  return withTemporaryDirectory((directory) => {
    const so = join(directory, "libvmtools.so.0");
    writeFileSync(so, content);
    return compileForGuest("guestinfo-values.c", [so, "-Wl,--allow-shlib-undefined"]);
  });
}

beforeAll(async () => {
  const files = await unpackedPackages(["open-vm-tools"], "debian", (path) => WANTED.test(path));
  const file = (path: string, content: string | Uint8Array, mode = 0o644): CpioEntry => ({
    ...{ kind: "file", path: `debian/${path}`, content: Buffer.from(content), mode },
  });
  guest = await startGuest({
    kernel: "kernel:6.1-cloud",
    cpus: CPUS,
    compatibility: "vmware",
    engine: "translator",
    net: {},
    onGuestLog: (text) => logged.push(text),
    onReboot: "end",
    initialFiles: [
      ...files,
      file("usr/bin/values", valuesProgram(files), 0o755),
      file("usr/sbin/shutdown", SHUTDOWN, 0o755),
      file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
      file("etc/vmware-tools/tools.conf", TOOLS_CONFIGURATION),
    ],
  });
  await guest.ready(BOOT_LIMIT * 3);
  await guest.output(
    `cd /debian; mkdir -p proc sys dev tmp run var/log; for d in proc sys dev tmp run; do mount --bind /$d $d; done
    for name in sh echo reboot poweroff; do ln -s /bin/busybox usr/bin/$name; done; cp /bin/busybox usr/bin/busybox
    for name in sh echo reboot poweroff; do ln -sf busybox usr/bin/$name; done`,
    60,
  );
}, BOOT_LIMIT * 3_000);

afterAll(() => guest.stop());

const run = (command: string, seconds = 120): Promise<string> =>
  guest.output(`chroot /debian /bin/sh -c '${command}'`, seconds);

/** Waits until `condition` holds, for as long as a slow host may take. */
async function eventually(what: string, condition: () => boolean): Promise<void> {
  for (let waited = 0; waited < 200; waited++) {
    if (condition()) return;
    await delay(500);
  }
  throw new Error(`never: ${what}; the tools say ${JSON.stringify(guest.machine.guest.state())}`);
}

// The tests go on from the state in which the one before leaves the guest.
describe.sequential("open-vm-tools", () => {
  test(
    "knows its hypervisor",
    async () => {
      expect(await run("vmware-checkvm")).toBe("VMware software version 6 (good)\n");
      expect(await run("vmware-checkvm -p")).toBe("ESX Server\n");
      expect(await run("vmware-toolbox-cmd stat speed")).toBe("1000 MHz\n");
      expect(await guest.output("cat /proc/device-tree/hypervisor/compatible | tr '\\0' '\\n'")).toBe(
        "vmware\n",
      );
    },
    LIMIT,
  );

  test(
    "shares values with its host",
    async () => {
      await run('vmware-rpctool "info-set guestinfo.greeting hello  world"');
      expect(Buffer.from(guest.machine.guest.info.get("greeting")!).toString()).toBe("hello  world");
      guest.machine.guest.set("answer", Buffer.from("forty two"));
      expect(await run('vmware-rpctool "info-get guestinfo.answer"')).toBe("forty two\n");
      const missing = await guest.run(`chroot /debian vmware-rpctool "info-get guestinfo.none"`);
      expect(missing).toMatchObject({ status: 1, output: "No value found\n" });
    },
    LIMIT,
  );

  test(
    `${VALUES * CPUS} random values from ${CPUS} elements are equal to the last byte`,
    async () => {
      const { seed } = Random.ofThisRun();
      const commands = Array.from(
        { length: CPUS },
        (_, cpu) =>
          `taskset ${(1 << cpu).toString(16)} chroot /debian values ${seed + cpu} ${VALUES} key${cpu} &`,
      );
      const output = await guest.output(`${commands.join(" ")} wait`, FULL ? 900 : 120);
      expect(output.split("\n").filter((line) => line !== "")).toEqual(
        new Array<string>(CPUS).fill(`${VALUES} equal`),
      );
    },
    FULL ? 1_000_000 : LIMIT,
  );

  test(
    "daemon: heartbeat, capabilities, facts, addresses",
    async () => {
      await run("vmtoolsd -b /run/vmtoolsd.pid");
      const state = () => guest.machine.guest.state();
      await eventually("listens", () => state().listening);
      await eventually("registers", () => state().capabilities.has("statechange"));
      await eventually("tells addresses", () => state().cards.length > 0);
      expect(state().cards.flatMap(({ addresses }) => addresses)).toContain("10.0.2.15/24");
      await eventually("tells its system", () => state().facts.has("system"));
      expect(state().facts.get("system")).toMatch(/Linux/);
      expect(state().facts.get("hostname")).toBe((await guest.output("hostname")).trim());
      expect(Number(state().facts.get("uptime"))).toBeGreaterThan(0);
      const before = state().lastHeartbeat!;
      await eventually("another heartbeat", () => state().lastHeartbeat! > before);
    },
    LIMIT,
  );

  test(
    "daemon: sets the clock by its host's",
    async () => {
      expect(await run("vmware-toolbox-cmd timesync status || true")).toBe("Disabled\n");
      await guest.output("date -s '2031-02-03 04:05:06'");
      expect(guest.machine.guest.order("Time_Synchronize 1")).toBe(true);
      for (let tries = 0; ; tries++) {
        const off = Number(await guest.output("date +%s")) - Date.now() / 1000;
        if (Math.abs(off) < 10) break;
        if (tries > 60) throw new Error(`the guest's clock stays ${off} seconds off`);
        await delay(1_000);
      }
      expect(await run("vmware-toolbox-cmd timesync enable")).toBe("Enabled\n");
      expect(guest.machine.guest.state().syncsTime).toBe(true);
      expect(await run("vmware-toolbox-cmd timesync status")).toBe("Enabled\n");
    },
    LIMIT,
  );

  test(
    "daemon: shuts down when its host says so",
    async () => {
      expect(guest.machine.guest.order("OS_Halt")).toBe(true);
      expect(await guest.ended).toEqual({ kind: "power-off" });
      expect(guest.serial.text).toMatch(/^shutdown -h now/m);
      expect(logged.join("\n")).toMatch(/Initiating halt/);
    },
    LIMIT,
  );
});
