import { ByteWriter } from "../../base/byte-writer.ts";
import type { AddressRange } from "../../platform/platform-spec.ts";

/** What memory holds (UEFI 2.10, section 7.2). */
export const EFI_MEMORY_TYPE = {
  runtimeServicesCode: 5,
  runtimeServicesData: 6,
  conventional: 7,
  acpiReclaim: 9,
  memoryMappedIo: 11,
} as const;

export type EfiMemoryType = keyof typeof EFI_MEMORY_TYPE;

/** One range of the map; both ends are multiples of {@link EFI_PAGE}. */
export interface EfiMemoryRange extends AddressRange {
  readonly type: EfiMemoryType;
}

export const EFI_PAGE = 4096;
/** EFI_MEMORY_DESCRIPTOR, its size in bytes and its version. */
export const EFI_DESCRIPTOR = { size: 40, version: 1 } as const;

/** Attributes: kinds of caching that the memory can have, read-only, and mapped for runtime services. */
const UNCACHEABLE = 0x1n;
const ANY_CACHING = 0xfn;
const READ_ONLY = 0x2_0000n;
const RUNTIME = 1n << 63n;

const ATTRIBUTES: Readonly<Record<EfiMemoryType, bigint>> = {
  runtimeServicesCode: ANY_CACHING | READ_ONLY | RUNTIME,
  runtimeServicesData: ANY_CACHING | RUNTIME,
  conventional: ANY_CACHING,
  acpiReclaim: ANY_CACHING,
  memoryMappedIo: UNCACHEABLE | RUNTIME,
};

/** All of `memory`, in which `special` lies; what is left between is conventional. Ascending. */
export function efiMemoryMap(
  memory: readonly AddressRange[],
  special: readonly EfiMemoryRange[],
): EfiMemoryRange[] {
  const map: EfiMemoryRange[] = [...special];
  for (const { base, size } of memory) {
    const inside = special
      .filter((range) => range.base >= base && range.base < base + size)
      .toSorted((one, other) => one.base - other.base);
    let at = base;
    for (const range of [...inside, { base: base + size, size: 0 }]) {
      if (range.base > at) map.push({ type: "conventional", base: at, size: range.base - at });
      at = range.base + range.size;
    }
  }
  return map.toSorted((one, other) => one.base - other.base);
}

/** The map as descriptors. What runtime services use is mapped where it is. */
export function encodeMemoryMap(map: readonly EfiMemoryRange[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { type, base, size } of map) {
    const attributes = ATTRIBUTES[type];
    writer.u32(EFI_MEMORY_TYPE[type]).u32(0).u64(base);
    writer.u64((attributes & RUNTIME) === 0n ? 0 : base);
    writer.u64(Math.floor(size / EFI_PAGE)).u64(attributes);
  }
  return writer.finish();
}
