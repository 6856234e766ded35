import { alignUp } from "../../base/bits.ts";
import { UserError } from "../../base/errors.ts";
import type { AddressRange } from "../../platform/platform-spec.ts";
import { formatBytes, MEBIBYTE } from "../../platform/units.ts";
import type { ElfImage } from "./elf.ts";
import type { FlatImage, LinuxImage } from "./kernel-image.ts";
import { LEGACY_TEXT_OFFSET } from "./kernel-image.ts";

/** The initrd goes this far above the start of RAM, or half-way up when there is less than twice as much. */
const INITRD_OFFSET = 128 * MEBIBYTE;
const PAGE = 4096;

/** Old kernels map the 2 MiB that hold the device tree, so it begins on such a boundary. */
const DEVICE_TREE_ALIGNMENT = 2 * MEBIBYTE;

/**
 * QEMU keeps the first page of RAM for its own start code and moves an image that asks for it up by 2 MiB,
 * which the image cannot tell from where it asked to be. Doing the same keeps guests' addresses the same.
 */
const START_CODE_SIZE = 4096;

/** Where an image that is entered like Linux begins. */
export function placeKernel(image: LinuxImage | FlatImage, ram: AddressRange): AddressRange {
  const offset = image.kind === "linux" ? image.textOffset : BigInt(LEGACY_TEXT_OFFSET);
  if (offset % 4n !== 0n) {
    throw new UserError(
      `The kernel ${image.name} asks for an offset of 0x${offset.toString(16)}, where no instruction can be; ` +
        "it is damaged: fetch it again.",
    );
  }
  const size = image.kind === "linux" ? image.memorySize : BigInt(image.bytes.length);
  const moved = image.kind === "linux" && offset < START_CODE_SIZE ? offset + BigInt(2 * MEBIBYTE) : offset;
  requireRoom(`The kernel ${image.name}`, moved + size, ram);
  return { base: ram.base + Number(moved), size: Number(size) };
}

/** Checks that every segment of a program lies in one of the memories. */
export function checkSegments(image: ElfImage, memories: readonly AddressRange[]): void {
  for (const { address, memorySize } of image.segments) {
    const inside = memories.some(
      ({ base, size }) => address >= BigInt(base) && address + memorySize <= BigInt(base + size),
    );
    if (!inside) {
      const places = memories
        .map(({ base, size }) => `${formatBytes(size)} at 0x${base.toString(16)}`)
        .join(" or ");
      throw new UserError(
        `The program ${image.name} wants ${memorySize} bytes at physical address 0x${address.toString(16)}, outside ` +
          `the memory (${places}); link it for an address inside, or give more with --memory.`,
      );
    }
  }
}

/** Where the initrd goes, above the kernel. */
export function placeInitrd(name: string, size: number, kernelEnd: number, ram: AddressRange): AddressRange {
  const preferred = ram.base + Math.min(Math.floor(ram.size / 2), INITRD_OFFSET);
  const base = alignUp(Math.max(preferred, kernelEnd), PAGE);
  requireRoom(`The initrd ${name}`, BigInt(base + size - ram.base), ram);
  return { base, size };
}

/** Where the device tree goes: above the kernel and where the initrd is or would be. */
export function placeDeviceTree(size: number, initrdEnd: number, ram: AddressRange): AddressRange {
  const base = alignUp(initrdEnd, DEVICE_TREE_ALIGNMENT);
  requireRoom("The device tree", BigInt(base + size - ram.base), ram);
  return { base, size };
}

/**
 * Where firmware and bare programs find the device tree: at the start of RAM, unless the program needs
 * that place itself.
 */
export function placeDeviceTreeBeside(
  size: number,
  image: ElfImage,
  ram: AddressRange,
): AddressRange | undefined {
  const taken = image.segments.some(
    ({ address, memorySize }) => address < BigInt(ram.base + size) && address + memorySize > BigInt(ram.base),
  );
  return taken || size > ram.size ? undefined : { base: ram.base, size };
}

/** Fails unless RAM has at least `needed` bytes. */
export function requireRoom(what: string, needed: bigint, ram: AddressRange): void {
  if (needed <= BigInt(ram.size)) return;
  throw new UserError(
    `${what} does not fit: it would end ${needed} bytes above the start of memory, which has ` +
      `${formatBytes(ram.size)}; ${remedy(needed)}.`,
  );
}

/** Twice what is needed, in a round number, if a machine can have it. */
function remedy(needed: bigint): string {
  let mebibytes = 64;
  while (BigInt(mebibytes) * BigInt(MEBIBYTE) < needed) mebibytes *= 2;
  return mebibytes <= 4096
    ? `give --memory ${mebibytes}M or more`
    : "it is damaged or not meant for this machine";
}
