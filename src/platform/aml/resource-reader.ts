import type { AddressRange } from "../platform-spec.ts";

/** What a device has on the system bus: registers, and wires to the interrupt controller by their numbers. */
export interface ResourceList {
  readonly registers: readonly AddressRange[];
  readonly interrupts: readonly number[];
}

const LARGE = 0x80;
const END_TAG = 0x0f;
const MEMORY_32_FIXED = 0x86;
const DWORD_ADDRESS = 0x87;
const QWORD_ADDRESS = 0x8a;
const EXTENDED_INTERRUPT = 0x89;
const MEMORY_RESOURCE = 0;
/** An address descriptor's general flags: the device uses the range itself. */
const CONSUMER = 1 << 0;

/** Reads the descriptors of a _CRS buffer (ACPI 6.5, section 6.4); undefined where it is malformed. */
export function readResources(bytes: Uint8Array): ResourceList | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const registers: AddressRange[] = [];
  const interrupts: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = view.getUint8(at);
    if ((tag & LARGE) === 0) {
      if (tag >> 3 === END_TAG) return { registers, interrupts };
      at += 1 + (tag & 7);
      continue;
    }
    if (at + 3 > bytes.length) return undefined;
    const length = view.getUint16(at + 1, true);
    const body = at + 3;
    if (body + length > bytes.length) return undefined;
    switch (tag) {
      case MEMORY_32_FIXED:
        if (length < 9) return undefined;
        registers.push({ base: view.getUint32(body + 1, true), size: view.getUint32(body + 5, true) });
        break;
      case DWORD_ADDRESS:
      case QWORD_ADDRESS: {
        const width = tag === DWORD_ADDRESS ? 4 : 8;
        if (length < 3 + 5 * width) return undefined;
        // Granularity, first address, last one, translation, size.
        const field = (index: number): number =>
          width === 4
            ? view.getUint32(body + 3 + 4 * index, true)
            : Number(view.getBigUint64(body + 3 + 8 * index, true));
        const own = view.getUint8(body) === MEMORY_RESOURCE && (view.getUint8(body + 1) & CONSUMER) !== 0;
        if (own) registers.push({ base: field(1), size: field(4) });
        break;
      }
      case EXTENDED_INTERRUPT: {
        if (length < 2) return undefined;
        const count = view.getUint8(body + 1);
        if (length < 2 + 4 * count) return undefined;
        // What follows the numbers names another controller, whose inputs they then are.
        if (length > 2 + 4 * count) break;
        for (let index = 0; index < count; index++)
          interrupts.push(view.getUint32(body + 2 + 4 * index, true));
        break;
      }
      default:
        break;
    }
    at = body + length;
  }
  return undefined;
}
