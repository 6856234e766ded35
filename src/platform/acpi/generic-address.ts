import type { ByteWriter } from "../../base/byte-writer.ts";

/** Where a register is (ACPI 6.4, section 5.2.3.2, "Generic Address Structure"). */
export interface GenericAddress {
  readonly space: "memory" | "io";
  /** Bits of the register. */
  readonly bitWidth: number;
  readonly bitOffset?: number;
  /** Bytes of an access; left out, the reader decides. */
  readonly accessBytes?: 1 | 2 | 4 | 8;
  readonly address: number;
}

const SPACE = { memory: 0, io: 1 } as const;
const ACCESS = { 1: 1, 2: 2, 4: 3, 8: 4 } as const;

/** Bytes of the structure. */
export const GENERIC_ADDRESS_SIZE = 12;

/** Appends the structure; an address that is left out is all zeros. */
export function writeGenericAddress(writer: ByteWriter, address: GenericAddress | undefined): ByteWriter {
  if (address === undefined) return writer.zeros(GENERIC_ADDRESS_SIZE);
  return writer
    .u8(SPACE[address.space])
    .u8(address.bitWidth)
    .u8(address.bitOffset ?? 0)
    .u8(address.accessBytes === undefined ? 0 : ACCESS[address.accessBytes])
    .u64(address.address);
}
