import type { StateField } from "../../base/state-fields.ts";
import type { VirtQueue } from "./queue.ts";

/** What a device may ask of its transport while a driver runs it. */
export interface VirtioHost {
  /** Queue `index`, or undefined while the driver has not set it up. */
  queue(index: number): VirtQueue | undefined;
  /** True when the driver accepted feature bit `feature`. */
  has(feature: number): boolean;
  /** After a change of the device's configuration space. */
  configurationChanged(): void;
  /** The driver broke a rule that the device noticed: it must reset the device. */
  fail(reason: string): void;
}

/**
 * A virtio device, which does not know its transport (MMIO or PCI). No call throws, whatever the guest does.
 * Queues and their interrupts come from {@link VirtioHost}; a device keeps no {@link VirtQueue} for longer than the
 * request that came from it.
 */
export interface VirtioDevice {
  readonly name: string;
  /** Device type ({@link VIRTIO_DEVICE}). */
  readonly type: number;
  /** Bits of the device type; the transport adds its own. */
  readonly features: bigint;
  /** Greatest size of each queue; powers of two. */
  readonly queueSizes: readonly number[];
  /** The configuration space as the driver reads it, little-endian. After a change, {@link VirtioHost.configurationChanged}. */
  readonly configuration: Uint8Array;
  /** A byte that the driver wrote to the configuration space. */
  writeConfiguration?(offset: number, value: number): void;
  /** The driver is ready (DRIVER_OK). All queues should be looked at. */
  start(host: VirtioHost): void;
  /** There may be new buffers in queue `index`. Only after {@link start}. */
  notify(index: number): void;
  /**
   * Queue `index` was reset on its own (VIRTIO_F_RING_RESET): forget its requests. Needed only by a device that
   * holds buffers while it waits; a dead queue drops what is given back to it.
   */
  queueReset?(index: number): void;
  /** What it remembers besides its queues. */
  stateFields?(): readonly StateField[];
  /**
   * In the place of {@link start} where a driver's session was restored with the fields: everything is as it was, so
   * nothing is to be looked at. Buffers that were held are in their queues again.
   */
  resume(host: VirtioHost): void;
  /** Why its state cannot be kept just now: the end of a sentence. */
  cannotBeKept?(): string | undefined;
  /** Requests are under way whose end has to be waited for. */
  readonly busy?: boolean;
  /** Forget the driver and all requests; late completions must do nothing. */
  stop(): void;
}
