import { describe, expect, test } from "vitest";
import { type GuestOptions, withGuest } from "../support/guest.ts";
import { GUEST_KERNELS, type GuestKernel } from "../support/guest-images.ts";
import { type LogRecord, readKernelLog, troublesOnlyIn } from "../support/kernel-log.ts";
import { qemuMachineFactory } from "../support/qemu-virtual-machine.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";

type Variant = Pick<GuestOptions, "kernel" | "cpus" | "secure" | "virtualization">;

/** What every run of the tests boots. */
const QUICK: readonly Variant[] = [
  { kernel: "kernel:6.1-cloud", cpus: 1 },
  { kernel: "kernel:6.1-cloud", cpus: 4 },
];

const ENTRY_LEVELS: readonly Pick<Variant, "secure" | "virtualization">[] = [
  { virtualization: true },
  { secure: true },
  { secure: true, virtualization: true },
];

const LONG: readonly Variant[] = [
  ...GUEST_KERNELS.flatMap((kernel) => [
    { kernel, cpus: 1 },
    { kernel, cpus: 4 },
  ]).filter(({ kernel }) => kernel !== "kernel:6.1-cloud"),
  ...GUEST_KERNELS.flatMap((kernel) => ENTRY_LEVELS.map((levels) => ({ kernel, cpus: 1, ...levels }))),
  { kernel: "kernel:6.1-cloud", cpus: 4, virtualization: true },
  { kernel: "kernel:6.12-generic", cpus: 4, virtualization: true },
];

/**
 * QEMU's processors whose logs ours is measured by: the first has no later extensions, the second has
 * those that ours has. The second is only asked about what the first does not say.
 */
function references(kernel: GuestKernel): readonly string[] {
  // A Cortex-A57 has no pages of 16 KiB; such a kernel says nothing on it and stops.
  return kernel.endsWith("16k") ? ["neoverse-n1"] : ["cortex-a57", "neoverse-n1"];
}

/** Boots to the shell, looks around, switches off. */
async function bootLog(options: GuestOptions): Promise<LogRecord[]> {
  return await withGuest(options, async (guest) => {
    const log = readKernelLog(await guest.output("dmesg -r"));
    expect(await guest.output("grep -c ^processor /proc/cpuinfo")).toBe(`${options.cpus ?? 1}\n`);
    if (options.virtualization) await guest.output("test -c /dev/kvm");
    expect(await guest.powerOff()).toEqual({ kind: "power-off" });
    return log;
  });
}

async function boots(variant: Variant): Promise<void> {
  const ours = await bootLog(variant);
  expect(ours.some(({ text }) => text.startsWith("Linux version"))).toBe(true);
  expect(ours.some(({ text }) => /CPU: All CPU\(s\) started at/.test(text))).toBe(true);
  if (variant.virtualization) {
    expect(ours.map(({ text }) => text)).toContain("kvm [1]: VHE mode initialized successfully");
  }
  const theirs: LogRecord[] = [];
  let left: string[] = [];
  for (const processor of references(variant.kernel)) {
    theirs.push(...(await bootLog({ ...variant, factory: qemuMachineFactory(processor) })));
    left = troublesOnlyIn(ours, theirs);
    if (left.length === 0) break;
  }
  expect(left).toEqual([]);
}

function title({ kernel, cpus, secure, virtualization }: Variant): string {
  const flags = `${secure ? " --secure" : ""}${virtualization ? " --virtualization" : ""}`;
  return `${kernel} --cpus ${cpus}${flags}`;
}

/** Milliseconds: three boots, each with its own limit, which says more when it is reached. */
const LIMIT = 500_000;

describe("Debian's kernels boot to a shell and complain of nothing that they do not complain of on QEMU", () => {
  const variants = FULL ? [...QUICK, ...LONG] : QUICK;
  test.each(variants.map((variant) => [title(variant), variant] as const))(
    "%s",
    async (_, variant) => await boots(variant),
    LIMIT,
  );
});
