import { FRAME_SIZE } from "../memory/machine-memory.ts";
import { MAP_ENTRY, type PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import type { GuestReader } from "./guest-reader.ts";
import { FAULT_STATUS, faultOutsideWalk, type MemoryFault, NO_FAULT } from "./memory-fault.ts";
import type { TranslationContext } from "./translation-context.ts";
import { doubleWord, highWord, lowWord } from "./translation-registers.ts";
import { REQUEST } from "./walk-request.ts";
import { accessOf, type Walker } from "./walker.ts";

/**
 * Memory of whoever calls the hypervisor, with the rights of the calling instruction (row M8). Devices are never
 * touched: they answer as absent memory does. A fault is the one that a plain load or store would have taken there.
 */
export class CallerMemory {
  readonly #map: PhysicalMap;
  readonly #store: TracedStore;
  readonly #context: TranslationContext;
  readonly #walker: Walker;
  readonly #reader: GuestReader;

  constructor(
    map: PhysicalMap,
    store: TracedStore,
    context: TranslationContext,
    walker: Walker,
    reader: GuestReader,
  ) {
    this.#map = map;
    this.#store = store;
    this.#context = context;
    this.#walker = walker;
    this.#reader = reader;
  }

  /** `length` bytes from a virtual address on. */
  read(address: bigint, length: number): Uint8Array | MemoryFault {
    const { stage1, stage2, request } = this.#context.ordinary;
    const rights = { stage1, stage2, request: request | REQUEST.INSPECT };
    const { bytes, fault } = this.#reader.read(rights, address, length, { kind: "forward" });
    return fault === undefined ? bytes : fault.guest;
  }

  /** Undefined when all is written; nothing is after a fault. */
  write(address: bigint, bytes: Uint8Array): MemoryFault | undefined {
    const parts = this.#parts(address, bytes.length);
    if ("type" in parts) return parts;
    for (const { host, at, size } of parts) this.#store.write(host, bytes.subarray(at, at + size));
    return undefined;
  }

  /** Where the bytes are, page by page. */
  #parts(
    address: bigint,
    length: number,
  ): readonly { host: number; at: number; size: number }[] | MemoryFault {
    const { stage1, stage2, request } = this.#context.ordinary;
    const wanted = request | REQUEST.WRITE;
    const parts = [];
    for (let at = 0; at < length; ) {
      const virtual = BigInt.asUintN(64, address + BigInt(at));
      const [low, high] = [lowWord(virtual), highWord(virtual)];
      const size = Math.min(length - at, FRAME_SIZE - (low & (FRAME_SIZE - 1)));
      const walker = this.#walker;
      const status = walker.translate(stage1, stage2, low, high, wanted);
      if (status !== NO_FAULT) return walker.describeFault(status, low, high, wanted);
      const isRam =
        (this.#map.entry(walker.outLow, walker.outHigh, walker.outSecure) & MAP_ENTRY.KIND_MASK) ===
        MAP_ENTRY.RAM;
      const host = this.#map.hostAddress(walker.outLow, walker.outHigh, walker.outSecure);
      if (host === 0 || !isRam) {
        return faultOutsideWalk(FAULT_STATUS.EXTERNAL_ABORT, doubleWord(low, high), accessOf(wanted));
      }
      parts.push({ host, at, size });
      at += size;
    }
    return parts;
  }
}
