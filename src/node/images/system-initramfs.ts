import { FILE_SYSTEMS } from "./guest-scripts.ts";
import { busyboxTree, type ModuleFiles } from "./initramfs-tree.ts";

/** Loaded before the root file system is mounted: its disk, and the console that systemd asks about. */
export const SYSTEM_BOOT_MODULES = [
  "virtio_mmio",
  "virtio_pci",
  "virtio_blk",
  "virtio_console",
  "virtio_rng",
  "ext4",
] as const;

/** What is to happen once the root file system is mounted. */
export interface SystemBoot {
  /** Such as "UUID=…", as findfs understands it. */
  readonly root: string;
  /** The program that becomes process 1, seen from the root file system. */
  readonly init: string;
  /** Files for /run in the booted system, by their paths below it. */
  readonly runFiles: ReadonlyMap<string, RunFile>;
}

export interface RunFile {
  readonly content: Uint8Array | string;
  readonly mode?: number;
}

/**
 * Process 1 of the initial file system: it mounts the system's disk, takes what is in /run along, and hands
 * over. Where that is impossible it says so and ends, and with it the kernel panics.
 */
const INIT = `#!/bin/sh
export PATH=/bin
mount -a
. /etc/elvisor/settings
modprobe -a ${SYSTEM_BOOT_MODULES.join(" ")} 2>/dev/null
tries=0
until disk=$(findfs "$ROOT" 2>/dev/null) && mount -t ext4 -o rw,noatime "$disk" /mnt; do
  tries=$((tries + 1))
  if [ $tries -ge 100 ]; then
    echo "elvisor: No disk with the root file system $ROOT can be mounted." >/dev/console
    exit 1
  fi
  sleep 0.1
done
cp -a /etc/elvisor/run/. /run/ 2>/dev/null
for directory in dev proc sys run; do mount --move /$directory /mnt/$directory; done
exec switch_root /mnt $INIT
`;

/** The initial file system with which a system on a disk is booted. */
export function buildSystemInitramfs(
  busybox: Uint8Array,
  modules: ModuleFiles,
  boot: SystemBoot,
): Uint8Array {
  const tree = busyboxTree(busybox, modules);
  tree.file("init", INIT, 0o755);
  tree.file("etc/fstab", FILE_SYSTEMS);
  tree.file("etc/elvisor/settings", `ROOT='${boot.root}'\nINIT='${boot.init}'\n`);
  tree.directory("etc/elvisor/run");
  for (const [path, { content, mode }] of boot.runFiles) {
    tree.file(`etc/elvisor/run/${path}`, content, mode);
  }
  return tree.pack();
}
