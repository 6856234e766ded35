import { UserError } from "../../base/errors.ts";
import { MEBIBYTE } from "../../platform/units.ts";
import { type BootFile, hasMagic, viewOf } from "./boot-file.ts";
import { type ElfImage, isElf, readElf } from "./elf.ts";
import { type Compression, recogniseCompression, recogniseForeignKernel } from "./file-signatures.ts";
import { readPortableExecutable } from "./pe.ts";

/** Linux's documented arm64 image: loaded `textOffset` above a 2 MiB boundary, entered at its first byte. */
export interface LinuxImage {
  readonly kind: "linux";
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Bytes above a 2 MiB boundary. */
  readonly textOffset: bigint;
  /** Bytes of memory from the image's start, with what follows the file's contents. */
  readonly memorySize: bigint;
}

/** A file without a header, entered at its first byte. */
export interface FlatImage {
  readonly kind: "flat";
  readonly name: string;
  readonly bytes: Uint8Array;
}

export type KernelImage = LinuxImage | FlatImage | ElfImage;

/**
 * Unpacks one format. It may throw anything when the input is bad or unpacks to more than `limit` bytes:
 * the caller says so to the user.
 */
export type Decompressor = (packed: Uint8Array, limit: number) => Uint8Array | Promise<Uint8Array>;

/** What the host can unpack. The core itself brings no decompressor. */
export type Decompressors = Readonly<Partial<Record<Compression, Decompressor>>>;

/** The most that a kernel may unpack to, in bytes. */
export const UNPACKED_LIMIT = 256 * MEBIBYTE;

/** A compressed kernel may hold a compressed kernel (an EFI zboot image inside gzip), but not for ever. */
const MAXIMUM_LAYERS = 3;

/** Offsets in Linux's Documentation/arch/arm64/booting, "Call the kernel image". */
const LINUX_HEADER = { textOffset: 8, imageSize: 16, flags: 24, magic: 56, SIZE: 64 } as const;
const BIG_ENDIAN_FLAG = 1n;

/** The text offset of kernels before 3.17, which say no image size, and of headerless files. */
export const LEGACY_TEXT_OFFSET = 0x8_0000;

/** Offsets in the header of Linux's self-unpacking EFI image (zboot-header). */
const ZBOOT = { magic: 4, payloadOffset: 8, payloadSize: 12, compression: 24, COMPRESSION_SIZE: 32 } as const;
/** What zboot headers call compressions, where that differs from our name. */
const ZBOOT_NAMES: Readonly<Record<string, Compression>> = {
  gzip: "gzip",
  zstd: "zstd",
  zstd22: "zstd",
  xz: "xz",
  xzkern: "xz",
  lz4: "lz4",
  lzma: "lzma",
  lzo: "lzo",
};

/** Recognises a kernel, unpacking it first if need be. Unfit files are {@link UserError}s. */
export async function readKernelImage(file: BootFile, decompressors: Decompressors): Promise<KernelImage> {
  return recogniseUnpacked(await unpackKernel(file, decompressors));
}

/** A kernel without its compression, if it has one. Files that cannot be unpacked are {@link UserError}s. */
export async function unpackKernel(file: BootFile, decompressors: Decompressors): Promise<BootFile> {
  let { bytes } = file;
  for (let layer = 0; layer < MAXIMUM_LAYERS; layer++) {
    const packed = findPacked(file.name, bytes);
    if (packed === undefined) return { name: file.name, bytes };
    bytes = await unpack(file.name, packed, decompressors);
  }
  throw new UserError(
    `The kernel ${file.name} is compressed more than ${MAXIMUM_LAYERS} times over; unpack it first.`,
  );
}

interface Packed {
  readonly compression: Compression;
  readonly payload: Uint8Array;
}

function findPacked(name: string, bytes: Uint8Array): Packed | undefined {
  if (hasMagic(bytes, 0, "MZ") && hasMagic(bytes, ZBOOT.magic, "zimg")) return readZboot(name, bytes);
  const compression = recogniseCompression(bytes);
  return compression === undefined ? undefined : { compression, payload: bytes };
}

function readZboot(name: string, bytes: Uint8Array): Packed {
  if (bytes.length < ZBOOT.compression + ZBOOT.COMPRESSION_SIZE)
    throw truncated(name, LINUX_HEADER.SIZE, bytes);
  const executable = readPortableExecutable(bytes);
  if (executable !== undefined && !executable.isArm64)
    throw foreign(name, `a kernel for ${executable.machine}`);
  const view = viewOf(bytes);
  const offset = view.getUint32(ZBOOT.payloadOffset, true);
  const end = offset + view.getUint32(ZBOOT.payloadSize, true);
  if (end > bytes.length) throw truncated(name, end, bytes);
  const field = bytes.subarray(ZBOOT.compression, ZBOOT.compression + ZBOOT.COMPRESSION_SIZE);
  const terminator = field.indexOf(0);
  const compressionName = String.fromCharCode(
    ...field.subarray(0, terminator < 0 ? field.length : terminator),
  );
  const compression = ZBOOT_NAMES[compressionName];
  if (compression === undefined) {
    throw new UserError(
      `The kernel ${name} is an EFI zboot image packed with ${JSON.stringify(compressionName)}, which is unknown; ` +
        "give the plain Image.",
    );
  }
  return { compression, payload: bytes.subarray(offset, end) };
}

async function unpack(name: string, packed: Packed, decompressors: Decompressors): Promise<Uint8Array> {
  const decompress = decompressors[packed.compression];
  if (decompress === undefined) {
    throw new UserError(
      `The kernel ${name} is packed with ${packed.compression}, which cannot be unpacked here; unpack it first.`,
    );
  }
  try {
    const unpacked = await decompress(packed.payload, UNPACKED_LIMIT);
    // A host may return a subclass (Node's Buffer), whose slices behave differently.
    return new Uint8Array(unpacked.buffer, unpacked.byteOffset, unpacked.length);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(
      `The kernel ${name} cannot be unpacked: its ${packed.compression} data is damaged, truncated or larger than ` +
        `${UNPACKED_LIMIT / MEBIBYTE} MiB (${reason}); fetch it again.`,
      { cause },
    );
  }
}

function recogniseUnpacked(file: BootFile): KernelImage {
  const { name, bytes } = file;
  if (bytes.length === 0) throw new UserError(`The kernel ${name} is empty; fetch it again.`);
  if (isElf(bytes)) return readElf(file);
  // A file called MZ is meant to be a kernel with an EFI stub: too short for the header, it was cut.
  if (hasMagic(bytes, 0, "MZ") && bytes.length < LINUX_HEADER.SIZE)
    throw truncated(name, LINUX_HEADER.SIZE, bytes);
  if (hasMagic(bytes, LINUX_HEADER.magic, "ARM\x64")) return readLinux(file);
  const known = recogniseForeignKernel(bytes);
  if (known !== undefined) throw new UserError(`The kernel ${name} is ${known.what}; ${known.remedy}.`);
  const executable = readPortableExecutable(bytes);
  if (executable?.isArm64 === false) throw foreign(name, `a program for ${executable.machine}`);
  if (executable !== undefined) {
    throw new UserError(
      `The kernel ${name} is an EFI program, not a kernel; start it from firmware given with --bios.`,
    );
  }
  return { kind: "flat", name, bytes };
}

function readLinux({ name, bytes }: BootFile): LinuxImage {
  if (bytes.length < LINUX_HEADER.SIZE) throw truncated(name, LINUX_HEADER.SIZE, bytes);
  const executable = readPortableExecutable(bytes);
  if (executable !== undefined && executable.neededBytes > bytes.length) {
    throw truncated(name, executable.neededBytes, bytes);
  }
  const view = viewOf(bytes);
  const imageSize = view.getBigUint64(LINUX_HEADER.imageSize, true);
  if ((view.getBigUint64(LINUX_HEADER.flags, true) & BIG_ENDIAN_FLAG) !== 0n) {
    throw foreign(name, "a big-endian arm64 kernel");
  }
  const fileSize = BigInt(bytes.length);
  return {
    kind: "linux",
    name,
    bytes,
    // The offset means something only in headers that also tell the size.
    textOffset:
      imageSize === 0n ? BigInt(LEGACY_TEXT_OFFSET) : view.getBigUint64(LINUX_HEADER.textOffset, true),
    memorySize: imageSize > fileSize ? imageSize : fileSize,
  };
}

function truncated(name: string, neededBytes: number, bytes: Uint8Array): UserError {
  return new UserError(
    `The kernel ${name} is truncated: it has ${bytes.length} of at least ${neededBytes} bytes; fetch it again.`,
  );
}

function foreign(name: string, what: string): UserError {
  return new UserError(`The kernel ${name} is ${what}; give a little-endian kernel built for arm64.`);
}
