import { describe, expect, test } from "vitest";
import type { WriteDocument } from "../../src/introspection/protection/protection-document.ts";
import type { Drive } from "../../src/machine/virtual-machine-interface.ts";
import { type Guest, type GuestOptions, startGuest } from "../support/guest.ts";
import { typeLine } from "../support/guest-console.ts";
import { snapshotOf, streamOf } from "../support/kept-machine.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 600_000;

function memoryDrive(bytes: Uint8Array): Drive {
  return {
    size: bytes.length,
    readOnly: false,
    async read(offset, target) {
      target.set(bytes.subarray(offset, offset + target.length));
    },
    async write(offset, source) {
      bytes.set(source, offset);
    },
    async flush() {},
  };
}

/** Ends the machine whatever happens. */
async function using<Result>(guest: Guest, body: (guest: Guest) => Promise<Result>): Promise<Result> {
  try {
    return await body(guest);
  } finally {
    await guest.stop();
  }
}

describe("a snapshot of a guest", () => {
  test.each(FULL ? (["mmio", "pci"] as const) : (["pci"] as const))(
    "brings its shell back, with all that it was doing (virtio over %s)",
    async (virtioBus) => {
      const disk = new Uint8Array(8 * 2 ** 20);
      const options: GuestOptions = {
        ...{ kernel: "kernel:6.1-cloud", cpus: 2, virtioBus, engine: "translator" },
        balloon: { bytes: 0 },
        net: {},
      };
      const drives = () => [memoryDrive(disk)];
      const pieces = await using(await startGuest({ ...options, drives: drives() }), async (guest) => {
        await guest.ready();
        await guest.output("until route -n | grep -q ^0.0.0.0; do sleep 0.2; done");
        await guest.output("variable=kept; echo on the disk | dd of=/dev/vda conv=fsync 2>/dev/null");
        await guest.output("(while true; do echo . >> /tmp/ticks; sleep 0.2; done) >/dev/null 2>&1 &");
        guest.machine.guest.set("guestinfo.colour", new TextEncoder().encode("green"));
        guest.machine.pace.setScale(0.5);
        const taken = await snapshotOf(guest.machine);
        // It goes on as if nothing had been.
        expect(await guest.output("echo $variable")).toBe("kept\n");
        return taken;
      });
      await using(
        await startGuest({ ...options, drives: drives(), restore: streamOf(pieces) }),
        async (guest) => {
          expect(await guest.output("echo $variable; head -c 11 /dev/vda")).toBe("kept\non the disk");
          expect(new TextDecoder().decode(guest.machine.guest.info.get("guestinfo.colour"))).toBe("green");
          expect(guest.machine.pace.scale).toBe(0.5);
          guest.machine.pace.setScale(1);
          // Its timers, other processes and devices go on too.
          const count = "wc -l < /tmp/ticks";
          const before = Number(await guest.output(count));
          await guest.output("sleep 1");
          expect(Number(await guest.output(count))).toBeGreaterThan(before);
          await guest.output("echo more | dd of=/dev/vda seek=1 conv=fsync 2>/dev/null");
          expect(new TextDecoder().decode(disk.subarray(512, 516))).toBe("more");
          expect(await guest.output("ping -c 1 -W 20 10.0.2.2 | grep -c '1 packets received'")).toBe("1\n");
          expect(await guest.output("nproc; dmesg | grep -c 'rcu.*stall\\|Oops\\|BUG:' || true")).toBe(
            "2\n0\n",
          );
        },
      );
      // The disk is another one now.
      const late = startGuest({ ...options, drives: drives(), restore: streamOf(pieces) });
      await expect(late).rejects.toThrow(/drive 1 is 8388608 bytes with checksum .* there and .* here/);
    },
    LIMIT,
  );

  test(
    "is taken where the kernel's code is written, and the owner's program is told of writes",
    async () => {
      const options: GuestOptions = { kernel: "kernel:6.1-cloud", engine: "translator" };
      let pieces: Uint8Array[] = [];
      let executed: unknown;
      await using(await startGuest(options), async (guest) => {
        await guest.ready();
        await guest.output("variable=kept; mkdir -p /t; mount -t tracefs t /t");
        const introspection = guest.machine.introspection!;
        const heard: WriteDocument[] = [];
        introspection.handle({
          written(writes) {
            heard.push(...writes);
            // A listener's trouble is its own.
            throw new Error("the listener fails");
          },
          async keep(take) {
            pieces = [];
            const write = async (bytes: Uint8Array) => void pieces.push(bytes.slice());
            await take({ write, close: async () => {} });
            return "It is in the test's memory.";
          },
        });
        introspection.protect({ kind: "kernel", action: "callback", allow: [] });
        // Tracepoints are switched by patching code.
        await guest.output("echo 1 > /t/events/sched/sched_switch/enable");
        expect(heard.length).toBeGreaterThan(0);
        expect(heard.every(({ action, before, after }) => action === "callback" && before !== after)).toBe(
          true,
        );
        introspection.protect({ kind: "remove" });
        introspection.protect({ kind: "kernel", action: "snapshot+pause", allow: [] });
        await typeLine(guest.input, "echo 0 > /t/events/sched/sched_switch/enable; echo went on");
        await expect
          .poll(() => introspection.protect({ kind: "state" }).paused, { timeout: 60_000 })
          .toBe(true);
        const { snapshot, trees } = introspection.protect({ kind: "state" });
        expect([snapshot, trees.length]).toEqual(["It is in the test's memory.", 1]);
        expect(guest.console.rest).not.toContain("went on");
        executed = guest.machine.stats()["instructions"];
      });
      await using(await startGuest({ ...options, restore: streamOf(pieces) }), async (guest) => {
        const introspection = guest.machine.introspection!;
        const { paused, trees } = introspection.protect({ kind: "state" });
        expect([paused, trees.length]).toEqual([true, 1]);
        // It has stood still from the beginning.
        expect(guest.machine.stats()["instructions"]).toBe(executed);
        // The restored tree stops the next write, too; without it the guest goes on.
        introspection.protect({ kind: "resume" });
        await expect
          .poll(() => introspection.protect({ kind: "state" }).writes.length, { timeout: 60_000 })
          .toBe(1);
        expect(introspection.protect({ kind: "state" }).snapshot).toMatch(/nobody has said where to keep it/);
        introspection.protect({ kind: "remove" });
        introspection.protect({ kind: "resume" });
        await guest.console.expect(/went on/, 60);
        expect(await guest.output("echo $variable")).toBe("kept\n");
      });
    },
    LIMIT,
  );
});
