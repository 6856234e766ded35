import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CpioEntry } from "../../src/node/images/cpio.ts";
import { openAndClosed } from "../support/doors.ts";
import { BOOT_LIMIT, type Guest, startGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { unpackedPackages } from "../support/guest-packages.ts";

/** Debian's gdb and perf in a guest, whose breakpoints must be the same with the hypervisor's doors open and closed. */

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

/** Probes of the kernel and of the program, on entry and return, with what they saw. Times differ. */
const PERF = `
set -e
perf probe -q -a opens=do_sys_openat2
perf probe -q -a opened=do_sys_openat2%return
perf probe -q -x /program -a work=work
perf probe -q -x /program -a worked=work%return
perf probe -l
perf stat -x, -e probe:opens,probe:opened__return,probe_program:work,probe_program:worked__return /program 2>&1 | cut -d, -f1-3
perf record -q -o /tmp/data -e probe_program:work -e probe_program:worked__return /program
perf script -i /tmp/data -F comm,event,ip,sym,trace
perf probe -q -d "*"
perf probe -l
`;

describe.runIf(FULL)("the same transcript with the doors open and closed", () => {
  let guest: Guest;

  beforeAll(async () => {
    const packages = await unpackedPackages(["gdb-minimal", "linux-perf"], "debian", (path) =>
      /^usr\/(bin\/(gdb|perf$)|lib\/(?!.*(gconv|engines|sasl2\/|krb5\/|ossl|python3[^/]*\/|perl[^/]*\/)).*\.so)/.test(
        path,
      ),
    );
    const file = (path: string, content: string | Uint8Array, mode = 0o644): CpioEntry => ({
      ...{ kind: "file", path: `debian/${path}`, content: Buffer.from(content), mode },
    });
    const program = compileForGuest("debugged.c", ["-static", "-g", "-O0"]);
    guest = await startGuest({
      kernel: "kernel:6.1-cloud",
      memoryMebibytes: 1024,
      engine: "translator",
      initialFiles: [
        ...packages,
        file("program", program, 0o755),
        file("script", SCRIPT),
        file("perf-script", PERF),
      ],
    });
    await guest.ready(LIMIT);
    await guest.output(
      `mount -t tracefs none /sys/kernel/tracing; mount -t debugfs none /sys/kernel/debug
      cd /debian; mkdir -p proc dev sys tmp root; for d in proc dev sys tmp; do mount --rbind /$d $d; done
      cp /bin/busybox usr/bin/sh; cp /bin/busybox usr/bin/cut
      echo 0 > /proc/sys/kernel/kptr_restrict; echo -1 > /proc/sys/kernel/perf_event_paranoid`,
      LIMIT,
    );
  }, LIMIT * 1_000);
  afterAll(() => guest.stop());

  function transcripts(command: string): Promise<[string, string]> {
    return openAndClosed(guest, async () => {
      const text = await guest.output(`SHELL=/bin/sh chroot /debian ${command} 2>&1`, LIMIT);
      return text.replace(/process \d+/g, "process N");
    });
  }

  test(
    "gdb",
    async () => {
      const [open, closed] = await transcripts("gdb --batch -x /script /program");
      expect(open).toMatch(/Hardware watchpoint \d+: total/);
      expect(open).toMatch(/Old value = \d+\n *New value = \d+/);
      expect(open).toMatch(/hw breakpoint|Hardware assisted breakpoint/);
      expect(open).toMatch(/^\$\d+ = 6$/m);
      expect(closed).toBe(open);
    },
    LIMIT * 1_000,
  );

  test(
    "perf's probes of the kernel and of a program",
    async () => {
      const [open, closed] = await transcripts("/bin/sh /perf-script");
      expect(open).toMatch(/^3,,probe_program:work$/m);
      expect(open).toMatch(/^3,,probe_program:worked__return$/m);
      expect(open.match(/probe_program:work: /g)).toHaveLength(3);
      expect(closed).toBe(open);
    },
    LIMIT * 1_000,
  );
});
