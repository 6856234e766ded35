import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import type { CpioEntry } from "../../src/node/images/cpio.ts";
import { openShare } from "../../src/node/share/share.ts";
import { openAndClosed } from "../support/doors.ts";
import { BOOT_LIMIT, type Guest, withGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";
import { unpackedPackages } from "../support/guest-packages.ts";
import { withLargeDirectory } from "../support/large-directory.ts";

/**
 * Debian's strace and bpftrace in a guest, whose transcripts must be the same with the hypervisor's doors open and
 * closed: one stops programs with ptrace, the other sets breakpoints in the kernel and in programs.
 */

const FULL = process.env["ELVISOR_FULL"] !== undefined;
const LIMIT = BOOT_LIMIT * 15;
const LIBRARIES = /^usr\/lib\/(?!.*(gconv|engines|sasl2\/|krb5\/|ossl|python3[^/]*\/|perl[^/]*\/)).*\.so/;

/** What differs from run to run: numbers of processes, random bytes. */
const VARYING: readonly [RegExp, string][] = [
  [/((?:set_tid_address|getpid|getppid|gettid)\(.*\) += )\d+/g, "$1N"],
  [/getrandom\(".*",/g, 'getrandom("...",'],
  [/(si_pid=|\bt?g?kill\()\d+/g, "$1N"],
];
const STRACE = [
  "strace -i /program",
  // Results are changed in the program's registers, and calls that do not happen.
  "strace -i -e inject=write:error=EIO:when=2 /program",
  `strace -i busybox sh -c 'trap "echo trapped" TRAP; kill -TRAP $$; cd /sys; echo *'`,
  `strace -i busybox sha256sum /program`,
];

const BPFTRACE = `
BEGIN { printf("begin\\n"); }
uprobe:/program:work { printf("work %d\\n", arg0); @calls = count(); @amounts = sum(arg0); }
uretprobe:/program:work { printf("worked %d\\n", retval); }
kprobe:ksys_write /comm == "program"/ { @writes = count(); @bytes = sum(arg2); }
kretprobe:ksys_write /comm == "program"/ { @written = sum(retval); }
kprobe:do_exit /comm == "program"/ { @exits = count(); }
END { printf("end\\n"); }
`;

/** Debian's programs in a directory of the host, at the root of whose system the guest runs them. */
async function writeSystem(root: string): Promise<void> {
  const entries = await unpackedPackages(
    ["strace", "bpftrace"],
    ".",
    (path) =>
      path.startsWith("usr/bin/strace") || path.startsWith("usr/bin/bpftrace") || LIBRARIES.test(path),
  );
  for (const entry of entries) write(root, entry);
  for (const directory of ["proc", "sys", "dev", "tmp"]) mkdirSync(join(root, directory));
  const program = compileForGuest("debugged.c", ["-static", "-g", "-O0"]);
  writeFileSync(join(root, "program"), program, { mode: 0o755 });
  writeFileSync(join(root, "script.bt"), BPFTRACE);
  // What the program writes comes between what is traced at one time or another.
  const line = "bpftrace -o /tmp/traced /script.bt -c /program; busybox cat /tmp/traced";
  writeFileSync(join(root, "bpftrace"), `export PATH=/usr/bin:/tmp; ${line}\n`);
  STRACE.forEach((line, index) => {
    writeFileSync(join(root, `strace${index}`), `exec ${line} 2>&1\n`);
  });
}

function write(root: string, entry: CpioEntry): void {
  const path = join(root, entry.path);
  mkdirSync(dirname(path), { recursive: true });
  if (entry.kind === "file") writeFileSync(path, entry.content, { mode: entry.mode ?? 0o644 });
  else if (entry.kind === "link") symlinkSync(entry.target, path);
  else if (entry.kind === "directory") mkdirSync(path, { recursive: true });
}

/** What a command says with the doors open, and with them closed. */
function transcripts(guest: Guest, command: string): Promise<[string, string]> {
  return openAndClosed(guest, async () => {
    const text = await guest.output(`chroot /debian ${command} 2>&1`, LIMIT);
    return VARYING.reduce((kept, [pattern, instead]) => kept.replace(pattern, instead), text);
  });
}

test.runIf(FULL)(
  "strace and bpftrace say the same with the doors open and closed",
  { timeout: LIMIT * 4_000 },
  () =>
    withLargeDirectory(async (root) => {
      await writeSystem(root);
      const share = openShare({ directory: root, mountPoint: "/debian", readOnly: true }, "debian");
      try {
        const options = { kernel: "kernel:6.1-cloud", engine: "translator", memoryMebibytes: 1024 } as const;
        await withGuest({ ...options, shares: [share] }, look, BOOT_LIMIT * 3);
      } finally {
        share.close();
      }
    }),
);

async function look(guest: Guest): Promise<void> {
  await guest.output(
    `mkdir -p /debian; modprobe virtiofs; mount -t virtiofs -o ro debian /debian
    mount -t tracefs none /sys/kernel/tracing; mount -t debugfs none /sys/kernel/debug
    for d in proc dev sys tmp; do mount --rbind /$d /debian/$d; done
    cp /bin/busybox /tmp/busybox; cp /debian/program /tmp/program; chmod 755 /tmp/*
    echo 0 > /proc/sys/kernel/randomize_va_space; echo 0 > /proc/sys/kernel/kptr_restrict`,
    LIMIT,
  );
  for (let index = 0; index < STRACE.length; index++) {
    const [open, closed] = await transcripts(
      guest,
      `/tmp/busybox env PATH=/usr/bin:/tmp busybox sh /strace${index}`,
    );
    expect.soft(open, STRACE[index]).toMatch(/\[0000[0-9a-f]+\] \w+\(/);
    expect.soft(open, STRACE[index]).toMatch(/\+\+\+ exited with 0 \+\+\+/);
    expect.soft(closed, STRACE[index]).toBe(open);
    if (index === 1) expect.soft(open).toMatch(/EIO \(Input\/output error\) \(INJECTED\)/);
    if (index === 2) expect.soft(open).toMatch(/--- SIGTRAP \{/);
  }
  const [open, closed] = await transcripts(guest, "/tmp/busybox sh /bpftrace");
  expect.soft(open).toMatch(/^work 3$/m);
  expect.soft(open).toMatch(/^worked 6$/m);
  expect.soft(open).toMatch(/^@calls: 3$/m);
  expect.soft(open).toMatch(/^@amounts: 6$/m);
  expect.soft(open).toMatch(/^@exits: 1$/m);
  expect.soft(open).toMatch(/^@writes: [1-9]/m);
  expect.soft(closed).toBe(open);
}
