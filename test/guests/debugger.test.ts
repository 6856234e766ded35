import { describe, expect, test } from "vitest";
import type { CpioEntry } from "../../src/node/images/cpio.ts";
import { BOOT_LIMIT, startGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { unpackedPackages } from "../support/guest-packages.ts";

/** Debian's gdb in a guest, whose breakpoints must be the same with the hypervisor's doors open and closed. */

const FULL = process.env["ELVISOR_FULL"] !== undefined;
const LIMIT = BOOT_LIMIT * 10;
const SCRIPT = `
set pagination off
set confirm off
set width 0
break work
run
info registers pc sp x0 x1
next
next
watch total
continue
continue
delete
hbreak finish
continue
backtrace
finish
tbreak leave
continue
set $steps = 0
while $steps < 200
  stepi
  set $steps = $steps + 1
end
x/3i $pc
info registers
call work(3)
kill
`;

describe("gdb", () => {
  test.runIf(FULL)(
    "writes the same transcript with the doors open and closed",
    async () => {
      const packages = await unpackedPackages(["gdb-minimal"], "debian", (path) =>
        /^usr\/(bin\/gdb|lib\/(?!.*(gconv|engines|sasl2\/|krb5\/|ossl)).*\.so)/.test(path),
      );
      const file = (path: string, content: string | Uint8Array, mode = 0o644): CpioEntry => ({
        ...{ kind: "file", path: `debian/${path}`, content: Buffer.from(content), mode },
      });
      const program = compileForGuest("debugged.c", ["-static", "-g", "-O0"]);
      const guest = await startGuest({
        kernel: "kernel:6.1-cloud",
        memoryMebibytes: 768,
        engine: "translator",
        initialFiles: [...packages, file("program", program, 0o755), file("script", SCRIPT)],
      });
      try {
        await guest.ready(LIMIT);
        await guest.output(
          "cd /debian; mkdir -p proc dev tmp; for d in proc dev tmp; do mount --bind /$d $d; done; cp /bin/busybox usr/bin/sh",
          LIMIT,
        );
        const transcript = async (): Promise<string> => {
          const text = await guest.output(
            "SHELL=/bin/sh chroot /debian gdb --batch -x /script /program 2>&1",
            LIMIT,
          );
          return text.replace(/process \d+/g, "process N");
        };
        const open = await transcript();
        guest.machine.guest.services = false;
        const closed = await transcript();
        expect(open).toMatch(/Hardware watchpoint \d+: total/);
        expect(open).toMatch(/Old value = \d+\n *New value = \d+/);
        expect(open).toMatch(/hw breakpoint|Hardware assisted breakpoint/);
        expect(open).toMatch(/^\$\d+ = 6$/m);
        expect(closed).toBe(open);
      } finally {
        await guest.stop();
      }
    },
    LIMIT * 1_000,
  );
});
