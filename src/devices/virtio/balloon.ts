import { arrayField, numberField, type StateField } from "../../base/state-fields.ts";
import type { VirtioBuffer } from "./buffer.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { featureMask, VIRTIO_DEVICE } from "./protocol.ts";
import type { VirtQueue } from "./queue.ts";

/** Bytes of a page as the balloon counts, whatever the guest's own pages are. */
export const BALLOON_PAGE = 4096;

/** Feature bits (virtio 1.2, section 5.5.3). */
const FEATURE = { STATS_VQ: 1, DEFLATE_ON_OOM: 2 } as const;

const QUEUE = { INFLATE: 0, DEFLATE: 1, STATISTICS: 2 } as const;

/** Offsets in the configuration space: pages the device wants, pages it has. */
const WANTED = 0;
const ACTUAL = 4;

/** A statistic: 16-bit tag, 64-bit value; and most of them that a driver's buffer may hold. */
const STATISTIC_BYTES = 10;
const MOST_STATISTICS = 64;

/** Names of the statistics by their tag (section 5.5.6.3). Those that are sizes are in bytes. */
export const BALLOON_STATISTICS = [
  "swapInBytes",
  "swapOutBytes",
  "majorFaults",
  "minorFaults",
  "freeBytes",
  "totalBytes",
  "availableBytes",
  "cachedBytes",
  "hugePageAllocations",
  "hugePageFailures",
] as const;

export type BalloonStatistics = Partial<Record<(typeof BALLOON_STATISTICS)[number], number>>;

/** Most bytes of page numbers in one buffer; Linux sends 1 KiB. */
const MOST_BYTES = 1 << 16;

/**
 * A virtio memory balloon (virtio 1.2, section 5.5): the guest gives pages into it, and takes them back, until it
 * holds as many as the host wants. What it holds is counted page by page, so that a driver that gives a page twice
 * or takes what it never gave changes nothing.
 */
export class VirtioBalloon implements VirtioDevice {
  readonly name = "balloon";
  readonly type = VIRTIO_DEVICE.BALLOON;
  readonly features = featureMask(FEATURE.STATS_VQ, FEATURE.DEFLATE_ON_OOM);
  readonly queueSizes = [128, 128, 16];
  readonly configuration = new Uint8Array(16);
  readonly #view = new DataView(this.configuration.buffer);
  /** A bit for each page of the range that the guest may give, and where that begins. */
  readonly #held: Uint32Array;
  readonly #firstPage: number;
  readonly #pages: number;
  #heldPages = 0;
  #host: VirtioHost | undefined;
  /** The driver's buffer for statistics, which goes back to ask for new ones. */
  #statistics: { buffer: VirtioBuffer; queue: VirtQueue } | undefined;
  #waiting: ((statistics: BalloonStatistics) => void)[] = [];
  #last: BalloonStatistics = {};

  /** Guest-physical address and bytes of the RAM whose pages it takes; both are multiples of 4096. */
  constructor(ram: { readonly base: number; readonly size: number }) {
    this.#firstPage = ram.base / BALLOON_PAGE;
    this.#pages = ram.size / BALLOON_PAGE;
    this.#held = new Uint32Array(Math.ceil(this.#pages / 32));
  }

  /** Bytes that the host wants it to hold. */
  get target(): number {
    return this.#view.getUint32(WANTED, true) * BALLOON_PAGE;
  }

  /** `bytes` is rounded down to whole pages, and kept below the size of RAM. The guest follows when it can. */
  setTarget(bytes: number): void {
    const pages = Math.min(Math.max(0, Math.floor(bytes / BALLOON_PAGE)), this.#pages);
    this.#view.setUint32(WANTED, pages, true);
    this.#host?.configurationChanged();
  }

  /** Bytes that it holds. */
  get size(): number {
    return this.#heldPages * BALLOON_PAGE;
  }

  /** Asks the guest for figures. They come when it has answered, or, from a guest without the queue, at once and empty. */
  statistics(): Promise<BalloonStatistics> {
    if (this.#host?.has(FEATURE.STATS_VQ) !== true) return Promise.resolve({});
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#ask();
    });
  }

  writeConfiguration(offset: number, value: number): void {
    // The driver says how much it has given; what counts here is what came.
    if (offset >= ACTUAL && offset < ACTUAL + 4) this.configuration[offset] = value;
  }

  start(host: VirtioHost): void {
    this.#host = host;
    for (const queue of Object.values(QUEUE)) this.notify(queue);
  }

  resume(host: VirtioHost): void {
    this.#host = host;
    // The driver's buffer for statistics is taken again.
    this.notify(QUEUE.STATISTICS);
  }

  stateFields(): readonly StateField[] {
    const pages = (name: string, at: number): StateField =>
      numberField(
        name,
        0xffff_ffff,
        () => this.#view.getUint32(at, true),
        (value) => this.#view.setUint32(at, value, true),
      );
    return [
      pages("wanted", WANTED),
      pages("actual", ACTUAL),
      arrayField("held", this.#held),
      numberField(
        "heldPages",
        this.#pages,
        () => this.#heldPages,
        (value) => {
          this.#heldPages = value;
        },
      ),
    ];
  }

  stop(): void {
    this.#host = undefined;
    this.#statistics = undefined;
    // A driver that comes later has all its memory.
    this.#held.fill(0);
    this.#heldPages = 0;
    this.#view.setUint32(ACTUAL, 0, true);
    this.#answer({});
  }

  queueReset(index: number): void {
    if (index !== QUEUE.STATISTICS) return;
    this.#statistics = undefined;
    this.#answer({});
  }

  notify(index: number): void {
    const queue = this.#host?.queue(index);
    if (queue === undefined) return;
    if (index === QUEUE.STATISTICS) this.#takeStatistics(queue);
    else this.#takePages(queue, index === QUEUE.INFLATE);
  }

  #takePages(queue: VirtQueue, inflate: boolean): void {
    for (let buffer = queue.take(); buffer !== undefined; buffer = queue.take()) {
      if (buffer.readableLength > MOST_BYTES) {
        this.#host?.fail(`${buffer.readableLength} bytes of page numbers in one buffer`);
        return;
      }
      const bytes = new Uint8Array(buffer.readableLength & ~3);
      if (buffer.read(0, bytes)) {
        const view = new DataView(bytes.buffer);
        for (let at = 0; at < bytes.length; at += 4) this.#hold(view.getUint32(at, true), inflate);
      }
      queue.give(buffer, 0);
    }
    queue.announce();
  }

  /** Pages that are not RAM do nothing, as the driver cannot have meant them. */
  #hold(page: number, held: boolean): void {
    const index = page - this.#firstPage;
    if (index < 0 || index >= this.#pages) return;
    const word = this.#held[index >>> 5]!;
    const mask = 1 << (index & 31);
    if (((word & mask) !== 0) === held) return;
    this.#held[index >>> 5] = word ^ mask;
    this.#heldPages += held ? 1 : -1;
  }

  #takeStatistics(queue: VirtQueue): void {
    const buffer = queue.take();
    if (buffer === undefined) return;
    if (this.#statistics !== undefined) {
      // A driver has one such buffer.
      this.#host?.fail("second buffer for statistics");
      return;
    }
    this.#statistics = { buffer, queue };
    this.#last = readStatistics(buffer);
    // The first buffer comes unasked, when the driver starts.
    this.#answer(this.#last);
  }

  /** Gives the buffer back, which asks the driver to fill it again. */
  #ask(): void {
    const held = this.#statistics;
    if (held === undefined) return;
    this.#statistics = undefined;
    held.queue.give(held.buffer, 0);
    held.queue.announce();
  }

  #answer(statistics: BalloonStatistics): void {
    for (const resolve of this.#waiting.splice(0)) resolve(statistics);
  }
}

function readStatistics(buffer: VirtioBuffer): BalloonStatistics {
  const count = Math.min(Math.floor(buffer.readableLength / STATISTIC_BYTES), MOST_STATISTICS);
  const bytes = new Uint8Array(count * STATISTIC_BYTES);
  if (!buffer.read(0, bytes)) return {};
  const view = new DataView(bytes.buffer);
  const statistics: BalloonStatistics = {};
  for (let at = 0; at < bytes.length; at += STATISTIC_BYTES) {
    const name = BALLOON_STATISTICS[view.getUint16(at, true)];
    const value = view.getBigUint64(at + 2, true);
    // All ones: the driver does not know.
    if (name !== undefined && value !== 2n ** 64n - 1n) statistics[name] = Number(value);
  }
  return statistics;
}
