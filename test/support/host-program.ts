import { spawnSync } from "node:child_process";

/** Debian packages that bring the programs our tests compare with. */
const PACKAGES = {
  "qemu-system-aarch64": "qemu-system-arm",
  dtc: "device-tree-compiler",
  "dt-validate": "dt-schema",
  iasl: "acpica-tools",
  acpiexec: "acpica-tools",
  zstd: "zstd",
  xz: "xz-utils",
  "aarch64-linux-gnu-as": "binutils-aarch64-linux-gnu",
  "aarch64-linux-gnu-objcopy": "binutils-aarch64-linux-gnu",
  "aarch64-linux-gnu-objdump": "binutils-aarch64-linux-gnu",
  "qemu-aarch64": "qemu-user",
  dpkg: "dpkg",
  "dpkg-deb": "dpkg",
  cpio: "cpio",
  sfdisk: "fdisk",
  "mkfs.vfat": "dosfstools",
  mmd: "mtools",
  mcopy: "mtools",
  dmidecode: "dmidecode",
  truncate: "coreutils",
  dd: "coreutils",
  tar: "tar",
  mke2fs: "e2fsprogs",
  e2fsck: "e2fsprogs",
  debugfs: "e2fsprogs",
  e2image: "e2fsprogs",
} as const;
export type HostProgram = keyof typeof PACKAGES;

export interface ProgramOutcome {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a program to its end, or for `seconds`. A missing one fails the test with what to do about it. */
export function runHostProgram(
  program: HostProgram,
  args: readonly string[],
  { input, seconds = 30 }: { input?: Uint8Array; seconds?: number } = {},
): ProgramOutcome {
  const outcome = spawnSync(program, args, {
    ...(input === undefined ? {} : { input }),
    timeout: seconds * 1000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (outcome.error !== undefined && "code" in outcome.error && outcome.error.code === "ENOENT") {
    throw new Error(
      `${program} is not installed, and this test compares with it; \`npm test\` installs it, ` +
        `or install the package ${PACKAGES[program]}.`,
    );
  }
  return { status: outcome.status, stdout: outcome.stdout, stderr: outcome.stderr.toString() };
}
