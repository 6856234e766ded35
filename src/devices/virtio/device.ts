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

/** A virtio device without its transport. No call throws, whatever the guest does. */
export interface VirtioDevice {
  readonly name: string;
  /** Device type ({@link VIRTIO_DEVICE}). */
  readonly type: number;
  /** Bits of the device type; the transport adds its own. */
  readonly features: bigint;
  /** Greatest size of each queue; powers of two. */
  readonly queueSizes: readonly number[];
  /** The configuration space as the driver reads it, little-endian. */
  readonly configuration: Uint8Array;
  /** A byte that the driver wrote to the configuration space. */
  writeConfiguration?(offset: number, value: number): void;
  /** The driver is ready (DRIVER_OK). All queues should be looked at. */
  start(host: VirtioHost): void;
  /** There may be new buffers in queue `index`. Only after {@link start}. */
  notify(index: number): void;
  /** Forget the driver and all requests; late completions must do nothing. */
  stop(): void;
}
