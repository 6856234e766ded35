import { hasMagic } from "./boot-file.ts";

/** What begins, or is marked at `offset`, with `magic`. */
interface Signature {
  readonly offset: number;
  readonly magic: string | readonly number[];
}

/** Compressed formats that a kernel comes in, by the names that EFI zboot headers use for them, too. */
const COMPRESSIONS = ["gzip", "zstd", "xz", "lz4", "lzma", "lzo", "bzip2"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

const COMPRESSION_SIGNATURES: Readonly<Record<Compression, Signature>> = {
  gzip: { offset: 0, magic: [0x1f, 0x8b, 0x08] },
  zstd: { offset: 0, magic: [0x28, 0xb5, 0x2f, 0xfd] },
  xz: { offset: 0, magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  lz4: { offset: 0, magic: [0x02, 0x21, 0x4c, 0x18] },
  lzma: { offset: 0, magic: [0x5d, 0x00, 0x00, 0x80, 0x00] },
  lzo: { offset: 0, magic: [0x89, 0x4c, 0x5a, 0x4f] },
  bzip2: { offset: 0, magic: "BZh" },
};

/** The compression a file begins with. */
export function recogniseCompression(bytes: Uint8Array): Compression | undefined {
  return COMPRESSIONS.find((name) => matches(bytes, COMPRESSION_SIGNATURES[name]));
}

/** Files people give by mistake: what each is, and what to do instead. */
interface ForeignFormat extends Signature {
  readonly what: string;
  readonly remedy: string;
}

const OTHER_ARCHITECTURE = "give a kernel built for arm64";

const FOREIGN_FORMATS: readonly ForeignFormat[] = [
  { offset: 0x202, magic: "HdrS", what: "an x86 kernel (bzImage)", remedy: OTHER_ARCHITECTURE },
  {
    offset: 0x24,
    magic: [0x18, 0x28, 0x6f, 0x01],
    what: "a 32-bit Arm kernel (zImage)",
    remedy: OTHER_ARCHITECTURE,
  },
  { offset: 0x38, magic: [0x52, 0x53, 0x43, 0x05], what: "a RISC-V kernel", remedy: OTHER_ARCHITECTURE },
  {
    offset: 0,
    magic: [0x27, 0x05, 0x19, 0x56],
    what: "a U-Boot image (uImage)",
    remedy: "give the Image inside",
  },
  {
    offset: 0,
    magic: [0xd0, 0x0d, 0xfe, 0xed],
    what: "a device tree blob or FIT image",
    remedy: "give it to --dtb",
  },
  { offset: 0, magic: "ANDROID!", what: "an Android boot image", remedy: "give the kernel inside" },
  { offset: 0, magic: "!<arch>\n", what: "a Debian package", remedy: "unpack it and give the kernel inside" },
  { offset: 0, magic: [0xed, 0xab, 0xee, 0xdb], what: "an RPM package", remedy: "give the kernel inside" },
  { offset: 0, magic: "070701", what: "a cpio archive", remedy: "give it to --initrd" },
  {
    offset: 0,
    magic: "QFI\xfb",
    what: "a qcow2 disk image",
    remedy: "convert it to raw and give it to --drive",
  },
  { offset: 0, magic: "hsqs", what: "a squashfs file system", remedy: "give it to --drive" },
  { offset: 0x101, magic: "ustar", what: "a tar archive", remedy: "unpack it and give the kernel inside" },
  { offset: 0x8001, magic: "CD001", what: "a CD image", remedy: "give it to --drive" },
  {
    offset: 0x438,
    magic: [0x53, 0xef, 0x01, 0x00],
    what: "an ext4 file system",
    remedy: "give it to --drive",
  },
  { offset: 0x200, magic: "EFI PART", what: "a partitioned disk image", remedy: "give it to --drive" },
  { offset: 0, magic: "PK\x03\x04", what: "a zip archive", remedy: "unpack it and give the kernel inside" },
  { offset: 0, magic: "#!", what: "a script", remedy: "give a kernel" },
  { offset: 0, magic: "%PDF", what: "a PDF document", remedy: "give a kernel" },
  { offset: 0, magic: "<!DOCTYPE", what: "an HTML page", remedy: "download the file itself" },
  { offset: 0, magic: "<html", what: "an HTML page", remedy: "download the file itself" },
];

/** The known format of a file that is no kernel at all. */
export function recogniseForeignKernel(bytes: Uint8Array): { what: string; remedy: string } | undefined {
  return FOREIGN_FORMATS.find((format) => matches(bytes, format));
}

const NO_INITRD: readonly ForeignFormat[] = [
  { offset: 0, magic: "\x7fELF", what: "an ELF program", remedy: "pack it into a cpio archive" },
  { offset: 0x38, magic: "ARM\x64", what: "an arm64 kernel", remedy: "give it to --kernel" },
  ...FOREIGN_FORMATS.filter(({ what }) => !/cpio|file system/.test(what)),
];

/** The known format of a file that cannot be an initial RAM disk. */
export function recogniseForeignInitrd(bytes: Uint8Array): { what: string; remedy: string } | undefined {
  return NO_INITRD.find((format) => matches(bytes, format));
}

function matches(bytes: Uint8Array, { offset, magic }: Signature): boolean {
  return hasMagic(bytes, offset, magic);
}
