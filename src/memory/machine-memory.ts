import { assert, Bug } from "../base/errors.ts";

/** Bytes of one host frame and of the smallest guest page. */
export const FRAME_SIZE = 4096;
export const FRAME_SHIFT = 12;

const WASM_PAGE_SIZE = 65536;
/** Bytes that one memory can have. */
export const MAXIMUM_MEMORY_SIZE = 2 ** 32;

/**
 * One shared WebAssembly memory, allocated once and never grown, and the bump allocator that hands it out.
 * Everything in it is found by byte address, so several machines can share one. What is never touched never
 * becomes resident. Address 0 is never handed out: it means "none".
 */
export class MachineMemory {
  readonly memory: WebAssembly.Memory;
  /** Bytes, a multiple of 64 KiB. */
  readonly size: number;
  readonly view: DataView<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Indexed by byte address >>> 2. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Indexed by byte address >>> 3. */
  readonly doubleWords: BigUint64Array<SharedArrayBuffer>;
  #next = FRAME_SIZE;
  /** First byte that was handed out from the end. */
  #end: number;

  /** `size` in bytes, above 0 and at most 4 GiB; rounded up to 64 KiB. */
  constructor(size: number) {
    assert(size > 0 && size <= MAXIMUM_MEMORY_SIZE, `a machine memory cannot have ${size} bytes`);
    const pages = Math.ceil(size / WASM_PAGE_SIZE);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.size = pages * WASM_PAGE_SIZE;
    this.#end = this.size;
    const buffer = this.memory.buffer;
    if (!(buffer instanceof SharedArrayBuffer)) throw new Bug("the machine memory is not shared");
    this.view = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.doubleWords = new BigUint64Array(buffer);
  }

  /** Bytes not handed out yet. */
  get available(): number {
    return this.#end - this.#next;
  }

  /** Byte address of `bytes` zeroed bytes; `alignment` is a power of two. The board sizes the memory beforehand. */
  allocate(bytes: number, alignment = 8): number {
    const address = Math.ceil(this.#next / alignment) * alignment;
    assert(address + bytes <= this.#end, `the machine memory has no room for ${bytes} more bytes`);
    this.#next = address + bytes;
    return address;
  }

  /**
   * Like {@link allocate}, from the end: for guest memory, so that everything that code holds as a signed
   * number, records and tables, stays below 2 GiB whatever the size of the guest.
   */
  allocateFromEnd(bytes: number, alignment = 8): number {
    const address = Math.floor((this.#end - bytes) / alignment) * alignment;
    assert(address >= this.#next, `the machine memory has no room for ${bytes} more bytes`);
    this.#end = address;
    return address;
  }
}
