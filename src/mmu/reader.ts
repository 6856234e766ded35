import { FRAME_SIZE } from "../memory/machine-memory.ts";
import type { PhysicalMap } from "../memory/physical-map.ts";
import { NO_FAULT } from "./memory-fault.ts";
import type { TranslationContext } from "./translation-context.ts";
import { highWord, lowWord } from "./translation-registers.ts";
import { REQUEST } from "./walk-request.ts";
import type { Walker } from "./walker.ts";

/**
 * Reads virtual memory for debuggers: as the element translates at present, without permissions, access
 * flags, side effects or devices.
 */
export class VirtualReader {
  readonly #map: PhysicalMap;
  readonly #context: TranslationContext;
  readonly #walker: Walker;

  constructor(map: PhysicalMap, context: TranslationContext, walker: Walker) {
    this.#map = map;
    this.#context = context;
    this.#walker = walker;
  }

  /** Physical address and world of a virtual address, or undefined where nothing is mapped. */
  translate(address: bigint): { address: number; secure: boolean } | undefined {
    const { stage1, stage2 } = this.#context.ordinary;
    const request = REQUEST.PEEK | REQUEST.PRIVILEGED;
    const status = this.#walker.translate(stage1, stage2, lowWord(address), highWord(address), request);
    return status === NO_FAULT ? this.#walker.describe() : undefined;
  }

  /** The bytes from a virtual address on, as far as they are memory: at most `length`, perhaps none. */
  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const run = Math.min(length - done, FRAME_SIZE - Number(at & BigInt(FRAME_SIZE - 1)));
      const host = this.#host(at);
      if (host === 0) break;
      bytes.set(this.#map.memory.bytes.subarray(host, host + run), done);
      done += run;
    }
    return bytes.subarray(0, done);
  }

  #host(address: bigint): number {
    const found = this.translate(address);
    if (found === undefined) return 0;
    const high = Math.floor(found.address / 2 ** 32);
    return this.#map.hostAddress(found.address | 0, high, found.secure);
  }
}
