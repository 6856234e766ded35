import { describe, expect, test } from "vitest";
import type { Drive, VirtualMachine } from "../../src/machine/virtual-machine-interface.ts";
import { type Guest, type GuestOptions, startGuest } from "../support/guest.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 300_000;

/** A machine's state stream. */
async function snapshotOf(machine: VirtualMachine): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  await machine.snapshot?.({
    async write(bytes) {
      pieces.push(bytes.slice());
    },
    async close() {},
  });
  return pieces;
}

async function* streamOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

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
});
