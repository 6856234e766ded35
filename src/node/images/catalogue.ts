import { UserError } from "../../base/errors.ts";

/** What an image that is one package is made of. */
export type ImageKind = "kernel" | "device-trees" | "firmware" | "installer" | "program";

/** A whole system on a disk, made from many packages. */
export interface SystemDescription {
  readonly name: string;
  readonly kind: "system";
  /** One line for people. */
  readonly title: string;
  /** The code name of Debian's release. */
  readonly release: string;
  /** Of one that is built from a recipe: what it is based on. */
  readonly base?: string;
}

/** Anything that `elvisor pull` knows. */
export type AnyDescription = ImageDescription | SystemDescription;

/** An image that `elvisor pull` knows: which package holds it and which of its files are kept. */
export interface ImageDescription {
  readonly name: string;
  readonly kind: ImageKind;
  /** One line for people. */
  readonly title: string;
  /** The package names that carry it; the newest version wins. */
  readonly packageName: RegExp;
  /** Debian releases in which to look when this machine's own sources have none. */
  readonly releases: readonly string[];
  /** Files of the package by the name under which they are kept. Kernels and device trees are taken apart elsewhere. */
  readonly files: Readonly<Record<string, RegExp>>;
}

/** 6.1 names its packages by ABI number ("6.1.0-56"), 6.12 by version ("6.12.117+deb12"). */
function kernel(
  series: "6.1" | "6.12",
  flavour: "cloud" | "generic" | "16k",
  releases: readonly string[],
): ImageDescription {
  const version = series === "6.1" ? "6\\.1\\.\\d+-\\d+" : "6\\.12\\.\\d+\\+deb[\\d.]+";
  const suffix = { cloud: "cloud-arm64", generic: "arm64", "16k": "arm64-16k" }[flavour];
  const words = {
    cloud: "for virtual machines",
    generic: "for every machine",
    "16k": "with pages of 16 KiB",
  }[flavour];
  return {
    name: `kernel:${series}-${flavour}`,
    kind: "kernel",
    title: `Debian's Linux ${series} ${words}`,
    packageName: new RegExp(`^linux-image-${version}-${suffix}$`),
    releases,
    files: { Image: /^boot\/vmlinuz-/ },
  };
}

/** The device trees of real boards, which come with the kernel for every machine. */
function boards(series: "6.1" | "6.12", releases: readonly string[]): ImageDescription {
  const { packageName } = kernel(series, "generic", releases);
  return {
    name: `boards:${series}`,
    kind: "device-trees",
    title: `Device trees of the boards that Linux ${series} knows`,
    packageName,
    releases,
    files: {},
  };
}
/** The image with the shell and the tools of the default guest. */
export const BUSYBOX = "busybox";

/** Every image that can be pulled. */
export const CATALOGUE: readonly AnyDescription[] = [
  kernel("6.1", "cloud", ["bookworm"]),
  kernel("6.1", "generic", ["bookworm"]),
  kernel("6.12", "cloud", ["bookworm", "trixie"]),
  kernel("6.12", "generic", ["bookworm", "trixie"]),
  kernel("6.12", "16k", ["bookworm", "trixie"]),
  boards("6.1", ["bookworm"]),
  boards("6.12", ["bookworm", "trixie"]),
  {
    name: "firmware:uboot",
    kind: "firmware",
    title: "U-Boot for this board",
    packageName: /^u-boot-qemu$/,
    releases: ["bookworm", "trixie"],
    files: { "u-boot.bin": /^usr\/lib\/u-boot\/qemu_arm64\/u-boot\.bin$/ },
  },
  {
    name: "firmware:edk2",
    kind: "firmware",
    title: "EDK2, the UEFI firmware, for this board",
    packageName: /^qemu-efi-aarch64$/,
    releases: ["bookworm", "trixie"],
    files: {
      "AAVMF_CODE.fd": /^usr\/share\/AAVMF\/AAVMF_CODE(\.no-secboot)?\.fd$/,
      "AAVMF_VARS.fd": /^usr\/share\/AAVMF\/AAVMF_VARS\.fd$/,
    },
  },
  {
    name: "installer:12",
    kind: "installer",
    title: "Debian 12's installer, in text, over the network",
    packageName: /^debian-installer-12-netboot-arm64$/,
    releases: ["bookworm"],
    files: {
      linux: /^usr\/lib\/debian-installer\/images\/12\/arm64\/text\/debian-installer\/arm64\/linux$/,
      "initrd.gz":
        /^usr\/lib\/debian-installer\/images\/12\/arm64\/text\/debian-installer\/arm64\/initrd\.gz$/,
    },
  },
  {
    name: "grub",
    kind: "program",
    title: "GRUB, the boot loader, as an EFI program for disk images",
    packageName: /^grub-efi-arm64-bin$/,
    releases: ["bookworm", "trixie"],
    files: { "grubaa64.efi": /^usr\/lib\/grub\/arm64-efi\/monolithic\/grubaa64\.efi$/ },
  },
  {
    name: BUSYBOX,
    kind: "program",
    title: "Busybox, the shell and the tools of the default guest",
    packageName: /^busybox-static$/,
    releases: ["bookworm", "trixie"],
    files: { busybox: /^(usr\/)?bin\/busybox$/ },
  },
  { name: "debian:12", kind: "system", title: "Debian 12", release: "bookworm" },
];

/** The image called `name`; a sentence that lists the names where there is none. */
export function describeImage(name: string): AnyDescription {
  const image = CATALOGUE.find((candidate) => candidate.name === name);
  if (image !== undefined) return image;
  const names = CATALOGUE.map((candidate) => candidate.name).join(", ");
  throw new UserError(
    `There is no image "${name}"; the images are ${names}, and those that elvisor build makes.`,
    { exitStatus: 2 },
  );
}
