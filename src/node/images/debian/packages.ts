import type { PackageUniverse } from "./package-universe.ts";

/** What a system has beside the packages without which Debian does not work. */
export const SYSTEM_PACKAGES = [
  // Named first, so that dependencies with alternatives fall on them.
  "usr-is-merged",
  "mawk",
  "systemd",
  "systemd-sysv",
  "systemd-resolved",
  "libpam-systemd",
  "udev",
  "dbus",
  "kmod",
  "linux-image-cloud-arm64",
  "iproute2",
  "iputils-ping",
  "netbase",
  "procps",
  "less",
  // Without it nothing is reached over HTTPS.
  "ca-certificates",
  "debian-archive-keyring",
] as const;

/** The packages that every system has: those marked essential or of priority "required", and those above. */
export function systemPackages(universe: PackageUniverse): string[] {
  const required = [...universe.all()]
    .filter(({ essential, priority }) => essential || priority === "required")
    .map(({ name }) => name)
    .sort();
  return [...SYSTEM_PACKAGES, ...required];
}
