/** The polynomial of UEFI's table headers, reflected (UEFI 2.10, section 4.2: "standard CCITT32"). */
const POLYNOMIAL = 0xedb8_8320;

/** The remainder of each byte. */
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder >>> 1) ^ ((remainder & 1) === 0 ? 0 : POLYNOMIAL);
  }
  return remainder;
});

/** CRC-32 as in Ethernet frames. */
export function crc32(bytes: Uint8Array): number {
  let remainder = 0xffff_ffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ REMAINDERS[(remainder ^ byte) & 0xff]!;
  return ~remainder >>> 0;
}
