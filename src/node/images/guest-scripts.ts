import { BOOT_MODULES, PCI_MODULES } from "./modules.ts";

/** Names of the ports through which a command in the guest is spoken to. */
export const COMMAND_PORTS = {
  input: "elvisor.stdin",
  output: "elvisor.stdout",
  errors: "elvisor.stderr",
  /** The guest writes the command's exit status, in decimal, and a line feed. */
  status: "elvisor.status",
} as const;

/**
 * The first line on the input port, which the guest takes away: reading a port that the host has not opened
 * yet gives an end of file, so the guest reads until it has seen this line.
 */
export const INPUT_GREETING = "\n";

/**
 * Process 1. It mounts, loads modules, and hands over to the session (a shell on the virtio console) or
 * runs the one command; few programs are started before that, because each costs time. It stays to reap
 * orphans and to switch off when `poweroff`, `reboot` or `halt` signal it.
 */
export const INIT_SCRIPT = `#!/bin/sh
export PATH=/bin
mount -a
modprobe -a ${BOOT_MODULES.join(" ")} 2>/dev/null
# The first device stands behind the host bridge.
[ -e /sys/bus/pci/devices/0000:00:01.0 ] && modprobe -a ${PCI_MODULES.join(" ")} 2>/dev/null
# Virtio's number of the memory balloon.
for entry in /sys/bus/virtio/devices/*/device; do
  read -r number 2>/dev/null <"$entry" && [ "$number" = 0x0005 ] && modprobe virtio_balloon
done
echo elvisor >/proc/sys/kernel/hostname
[ -f /etc/elvisor/mounts ] && . /etc/elvisor/mounts

finish() {
  sync
  umount -a -r 2>/dev/null
  "$1" -f
}
trap 'finish poweroff' USR2
trap 'finish reboot' TERM
trap 'finish halt' USR1

# Not "&": that would leave the session deaf to Ctrl-C. It must find its terminal, or its standard streams, itself.
start-stop-daemon -S -b -p /run/session -x /bin/setsid -- sh /etc/elvisor/session
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
ifconfig lo up
. /etc/elvisor/settings
[ "$MODE" = shell ] && [ -f /etc/elvisor/network ] && sh /etc/elvisor/network &
[ -x /etc/elvisor/agent ] && { modprobe vmw_vsock_virtio_transport 2>/dev/null; exec /etc/elvisor/agent; } &
while :; do
  sleep 2147483647 &
  wait $!
done
`;

/** Opens a command's ports: 3 its input, 4 its output, 5 its errors, 9 its status. */
export const OPEN_COMMAND_PORTS = `# Finds the device of a named port; it may still be on its way.
port() {
  while :; do
    for entry in /sys/class/virtio-ports/*; do
      read -r name 2>/dev/null <"$entry/name" && [ "$name" = "$1" ] && device=/dev/\${entry##*/} && return
    done
  done
}
port ${COMMAND_PORTS.status}
exec 9>"$device"
port ${COMMAND_PORTS.output}
exec 4>"$device"
port ${COMMAND_PORTS.errors}
exec 5>"$device"
port ${COMMAND_PORTS.input}
exec 3<"$device"
until read -r name <&3; do :; done
unset name entry device
`;

/**
 * Leader of the session: a shell on the console, which becomes its terminal by being opened, or the one
 * command with the ports as its standard streams. The machine ends with it.
 */
export const SESSION_SCRIPT = `#!/bin/sh
. /etc/elvisor/settings
export HOME=/root
cd /root

if [ "$MODE" = command ]; then
  ${OPEN_COMMAND_PORTS.trimEnd().replaceAll("\n", "\n  ")}
  unset MODE
  [ -f /etc/elvisor/network ] && sh /etc/elvisor/network 3<&- 4>&- 5>&- 9>&-
  sh /etc/elvisor/command <&3 >&4 2>&5 3<&- 4>&- 5>&- 9>&-
  echo $? >&9
else
  for console in /dev/hvc0 /dev/ttyAMA0 /dev/console; do [ -c "$console" ] && break; done
  exec <"$console" >"$console" 2>&1
  [ "$ROWS" ] && stty rows "$ROWS" cols "$COLUMNS"
  # Drivers and the network are still coming up: what the kernel says of them is in dmesg, not on the prompt.
  # Another level than the default was asked for on the command line, and stays. Only one byte can be read: the
  # shell reads byte by byte, and the file ends after the first read.
  read -r level </proc/sys/kernel/printk
  [ "$level" = 7 ] && echo 5 >/proc/sys/kernel/printk
  unset MODE ROWS COLUMNS level
  export TERM
  sh -l
fi
kill -USR2 1
`;

/** Brings the network card up, for a guest that has one: a shell does not wait for it, a command does. */
export const NETWORK_SCRIPT = `#!/bin/sh
exec </dev/null >/dev/null 2>&1
modprobe virtio_net
for card in /sys/class/net/eth*; do
  [ -e "$card" ] || continue
  ifconfig "\${card##*/}" up
  udhcpc -i "\${card##*/}" -q -n -t 5 -T 1 -s /etc/elvisor/lease
done
`;

/** What udhcpc does with the address that it is given. */
export const LEASE_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ifconfig "$interface" "$ip" netmask "$subnet" \${broadcast:+broadcast "$broadcast"} \${mtu:+mtu "$mtu"}
for each in $router; do route add default gw "$each" dev "$interface"; done
for each in $dns; do echo "nameserver $each"; done >/etc/resolv.conf
`;

/** What the shell reads first. */
export const PROFILE = `export PS1='\\w # '
alias ls='ls --color=auto'
`;

/** What \`mount -a\` mounts. */
export const FILE_SYSTEMS = `dev /dev devtmpfs mode=0755 0 0
proc /proc proc defaults 0 0
sys /sys sysfs defaults 0 0
run /run tmpfs mode=0755 0 0
tmp /tmp tmpfs mode=1777 0 0
`;
