/** Bytes of an erase block of the bank: two devices' 128 KiB. */
export const FLASH_SECTOR = 256 * 1024;

/** Bytes of the bank's write buffer: two devices' 2 KiB. */
export const FLASH_WRITE_BUFFER = 4096;

/** Text as the query table has it: one character per address. */
function characters(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

/**
 * The Common Flash Interface table of each of a bank's two devices (JEDEC JESD68.01), by query address, for a bank
 * of 64 MiB, as QEMU's `virt` gives it.
 */
export const FLASH_QUERY: readonly number[] = (() => {
  const table = new Array<number>(0x60).fill(0);
  const put = (address: number, bytes: readonly number[]) => {
    for (const [index, byte] of bytes.entries()) table[address + index] = byte;
  };
  put(0x10, characters("QRY"));
  // Intel command set, its table at 0x31; no alternative.
  put(0x13, [0x01, 0x00, 0x31, 0x00]);
  // Supply voltage 4.5 V to 5.5 V, no programming voltage.
  put(0x1b, [0x45, 0x55, 0x00, 0x00]);
  // Typical (powers of two) and greatest times of a program, buffer write and block erase.
  put(0x1f, [0x07, 0x07, 0x0a, 0x00, 0x04, 0x04, 0x04, 0x00]);
  // 2^25 bytes a device, 16 bits wide, buffer of 2^11 bytes.
  put(0x27, [25, 0x02, 0x00, 11, 0x00]);
  // One region of 256 blocks of 128 KiB.
  put(0x2c, [1, 0xff, 0x00, 0x00, 0x02]);
  put(0x31, characters("PRI10"));
  put(0x3f, [0x01]);
  return table;
})();
