// What the tests and benchmarks compare with, from Debian's packages. Installed when missing, which needs root.
import { spawnSync } from "node:child_process";

/** Debian packages and a program of each, by which it is recognised. */
const PACKAGES = {
  "qemu-system-arm": "qemu-system-aarch64",
  "qemu-user": "qemu-aarch64",
  "qemu-utils": "qemu-img",
  "binutils-aarch64-linux-gnu": "aarch64-linux-gnu-objdump",
  "gcc-aarch64-linux-gnu": "aarch64-linux-gnu-gcc",
  "libc6-dev-arm64-cross": undefined,
  gcc: "gcc",
  "libc6-dev": undefined,
  "device-tree-compiler": "dtc",
  "dt-schema": "dt-validate",
  "acpica-tools": "iasl",
  "gdb-multiarch": "gdb-multiarch",
  tmux: "tmux",
  chromium: "chromium",
  gpgv: "gpgv",
  "debian-archive-keyring": undefined,
  "xz-utils": "xz",
  zstd: "zstd",
  cpio: "cpio",
  e2fsprogs: "mke2fs",
  fdisk: "sfdisk",
  dosfstools: "mkfs.vfat",
  mtools: "mcopy",
  dmidecode: "dmidecode",
  "python3-drgn": "drgn",
};

/** Installs what is missing. Ends the process with a sentence where that cannot be done. */
export function installTestDependencies() {
  const missing = Object.keys(PACKAGES).filter((name) => !isPresent(name));
  if (missing.length === 0) return;
  const command = `apt-get install ${missing.join(" ")}`;
  if (spawnSync("apt-get", ["--version"], { stdio: "ignore" }).error) {
    stop(
      `The tests need these Debian packages or their like: ${missing.join(", ")}; install them and start again.`,
    );
  }
  if (process.getuid?.() !== 0)
    stop(`The tests need Debian packages that are missing; as root, run: ${command}`);
  process.stderr.write(`elvisor: Installing what the tests need: ${missing.join(", ")}.\n`);
  const options = { stdio: ["ignore", 2, 2], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  const install = ["-y", "--no-install-recommends", "install", ...missing];
  // The lists may be missing or too old; without them the first try fails.
  if (spawnSync("apt-get", install, options).status === 0) return;
  spawnSync("apt-get", ["update"], options);
  if (spawnSync("apt-get", install, options).status !== 0) {
    stop(
      `The packages that the tests need could not be installed; the messages above say why. Try: ${command}`,
    );
  }
}

function isPresent(name) {
  const program = PACKAGES[name];
  if (program !== undefined) {
    return !spawnSync(program, ["--version"], { stdio: "ignore" }).error;
  }
  return spawnSync("dpkg", ["--status", name], { stdio: "ignore" }).status === 0;
}

function stop(sentence) {
  process.stderr.write(`elvisor: ${sentence}\n`);
  process.exit(1);
}

if (process.argv[1] === new URL(import.meta.url).pathname) installTestDependencies();
