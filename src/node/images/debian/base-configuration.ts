import type { Mirror } from "../mirror.ts";

/** A file or link of ours in a Debian system. */
export type ConfigurationFile =
  | { readonly path: string; readonly content: string; readonly mode?: number }
  | { readonly path: string; readonly target: string };

/** The merged /usr (Debian's package usr-is-merged wants it): these are links before anything is unpacked. */
export const MERGED_DIRECTORIES = ["bin", "sbin", "lib"] as const;

/** Starts nothing while packages are configured (Debian Policy, section 9.3.3). */
export const POLICY_PROGRAM = "usr/sbin/policy-rc.d";

/** Debian's kernel package would make an initial file system, which our boot does not use. */
export const INITRAMFS_SETTING = "etc/initramfs-tools/update-initramfs.conf";

/** What makes packages a system to live in: names, disk, network, consoles. */
export function baseConfiguration(release: string, mirror: Mirror, rootUuid: string): ConfigurationFile[] {
  return [
    { path: "etc/hostname", content: "debian\n" },
    { path: "etc/hosts", content: "127.0.0.1 localhost debian\n::1 localhost ip6-localhost ip6-loopback\n" },
    { path: "etc/fstab", content: `UUID=${rootUuid} / ext4 defaults,noatime,errors=remount-ro 0 1\n` },
    { path: "etc/default/locale", content: "LANG=C.UTF-8\n" },
    // Empty: each machine gets one of its own at its first start (machine-id(5)).
    { path: "etc/machine-id", content: "" },
    { path: "etc/apt/sources.list", content: sourcesList(release, mirror) },
    { path: "etc/systemd/network/80-ethernet.network", content: NETWORK },
    { path: "etc/systemd/resolved.conf.d/10-elvisor.conf", content: RESOLVER },
    // Nothing in a machine should wait for a network that it may not have.
    { path: "etc/systemd/system/systemd-networkd-wait-online.service", target: "/dev/null" },
    { path: "etc/systemd/system/serial-getty@.service.d/10-autologin.conf", content: AUTOLOGIN },
    { path: POLICY_PROGRAM, content: "#!/bin/sh\nexit 101\n", mode: 0o755 },
  ];
}

const NETWORK = `[Match]
Type=ether

[Network]
DHCP=yes
IPv6AcceptRA=yes
`;

const RESOLVER = `[Resolve]
LLMNR=no
MulticastDNS=no
`;

/** Whoever has the console has the machine, so a password there would protect nothing. */
const AUTOLOGIN = `[Service]
ExecStart=
ExecStart=-/sbin/agetty -o '-p -f -- \\\\u' --autologin root --noclear --keep-baud 115200,57600,38400,9600 - $TERM
`;

/** The mirror's suites of the release, with those that it surely has. */
function sourcesList(release: string, { suites }: Mirror): string {
  const lines = suites
    .filter(({ suite }) => suite.replace(/-.*/, "") === release && !suite.endsWith("-backports"))
    .map(({ url, suite }) => `deb ${url} ${suite} main\n`);
  return [...new Set(lines)].join("");
}
