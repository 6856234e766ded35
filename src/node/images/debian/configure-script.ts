import { formatAddress, NETWORK } from "../../../network/addresses.ts";
import { INITRAMFS_SETTING, POLICY_PROGRAM } from "./base-configuration.ts";
import { ADDED_FILES } from "./root-file-system.ts";

/** Ports through which the configuration of a system is followed. */
export const CONFIGURE_PORTS = {
  /** What the packages' scripts say. */
  log: "elvisor.log",
  /**
   * dpkg's status lines (dpkg(1), --status-fd), "elvisor-command: N" before each command of a recipe, at the end
   * "elvisor: STATUS".
   */
  status: "elvisor.status",
} as const;

/** Path below /run of the script, and of the programs that it brings along. */
export const CONFIGURE_SCRIPT = "elvisor/configure";
export const CONFIGURE_BUSYBOX = "elvisor/busybox";
/** Directory of a recipe's commands, which are called 1, 2 and so on. */
export const CONFIGURE_COMMANDS = "elvisor/commands";

/** What is done when all packages are configured. */
export interface AfterPackages {
  /** Whether there are files at {@link ADDED_FILES}. */
  readonly files: boolean;
  /** How many commands there are. */
  readonly commands: number;
}

/**
 * Packages that others use before their dependencies say so: who owns files, /bin/sh's surroundings, awk.
 */
const FIRST = ["base-passwd", "base-files", "dpkg", "libc6", "perl-base", "mawk", "debconf"] as const;

/** Seconds in which a login has to be complete (login.defs(5)). */
const LOGIN_LIMIT = 900;

/**
 * Process 1 of a system that has been unpacked: it configures the packages, as debootstrap's second stage
 * would, and switches off.
 */
export function configureScript(preinst: readonly string[], { files, commands }: AfterPackages): string {
  return `#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root TERM=dumb
# Our start uses no initial file system of the kernel package's making.
export INITRD=No
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C LANGUAGE=C LANG=C
cd /
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
ln -sf /proc/self/fd /dev/fd
busybox=/run/${CONFIGURE_BUSYBOX}

port() {
  while :; do
    for entry in /sys/class/virtio-ports/*; do
      read -r name 2>/dev/null <"$entry/name" && [ "$name" = "$1" ] && device=/dev/\${entry##*/} && return
    done
    $busybox sleep 0.05
  done
}
port ${CONFIGURE_PORTS.status}
exec 3>"$device"
port ${CONFIGURE_PORTS.log}
exec </dev/null >"$device" 2>&1

finish() {
  echo "elvisor: $1" >&3
  exec 3>&-
  $busybox sync
  $busybox mount -o remount,ro /
  $busybox poweroff -f
}

configure() {
  dpkg --status-fd 3 --force-confold --force-unsafe-io "$@" || finish $?
}

DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_ARCH=arm64 DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT=
export DPKG_MAINTSCRIPT_NAME DPKG_MAINTSCRIPT_ARCH DPKG_ADMINDIR DPKG_ROOT
for package in ${preinst.join(" ")}; do
  DPKG_MAINTSCRIPT_PACKAGE=\${package%%:*} DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \\
    "/var/lib/dpkg/info/$package.preinst" install || finish $?
done
unset DPKG_MAINTSCRIPT_NAME DPKG_MAINTSCRIPT_ARCH DPKG_ADMINDIR DPKG_ROOT
for package in ${FIRST.join(" ")}; do configure --force-depends --configure "$package"; done
configure --configure --pending
passwd -d root >/dev/null
# The login that logs itself in would be ended while a busy host still starts the rest, and leave a failed unit.
sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT ${LOGIN_LIMIT}/' /etc/login.defs
systemctl enable systemd-networkd.service
[ -f /${INITRAMFS_SETTING} ] && echo update_initramfs=yes >/${INITRAMFS_SETTING}
${files ? PLACE_FILES : ""}${commands > 0 ? runCommands(commands) : ""}rm -f /${POLICY_PROGRAM} /var/log/dpkg.log /var/log/alternatives.log /var/log/bootstrap.log
: >/etc/machine-id
finish 0
`;
}

/** Directories of the system that are links, such as /bin, stay so. */
const PLACE_FILES = `tar -C /${ADDED_FILES} -c . | tar -C / -x --keep-directory-symlink --no-overwrite-dir -p || finish $?
rm -rf /${ADDED_FILES}
`;

/** They have the network that the machine will have, though none of its services run. */
function runCommands(count: number): string {
  return `modprobe virtio_net
ip link set lo up
ip link set eth0 up
ip address add ${formatAddress(NETWORK.guest4)}/24 dev eth0
ip route add default via ${formatAddress(NETWORK.gateway4)}
mkdir -p /run/systemd/resolve
echo nameserver ${formatAddress(NETWORK.dns4)} >/run/systemd/resolve/stub-resolv.conf
for number in $(seq ${count}); do
  echo "elvisor-command: $number" >&3
  (cd /root && exec /bin/sh -e /run/${CONFIGURE_COMMANDS}/$number 3>&-) || finish $?
done
`;
}
