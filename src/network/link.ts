/**
 * What a network card and the network behind it say to each other. Both sides batch: `transmit` is followed by
 * `transmitted`, `deliver` by `announce`.
 */

/** A frame from the guest, Ethernet header first. */
export interface TransmittedFrame {
  /** Up to 64 KiB of TCP payload when the guest leaves segmentation to us. */
  readonly bytes: Uint8Array;
  /** The guest left the transport checksum to us; nothing on the way can have damaged the frame. */
  readonly checksumPending: boolean;
  /** `bytes` stay as they are and may be kept; otherwise they are gone after the call. */
  readonly owned: boolean;
}

/** Work that a frame to the guest leaves to the guest. */
export interface DeliveryOffload {
  /** Where the transport header begins and, from there, its checksum, which so far covers the pseudo header only. */
  readonly checksumStart: number;
  readonly checksumOffset: number;
  /** Payload bytes of each TCP segment that the frame stands for; 0 when it is one segment. */
  readonly segmentSize: number;
  /** Bytes of all headers, Ethernet's included. */
  readonly headerSize: number;
  readonly version: 4 | 6;
}

/** The card, as the network sees it. */
export interface NetworkCard {
  /** Six bytes. */
  readonly macAddress: Uint8Array;
  /** Bytes of an IP packet that is not segmented later. */
  readonly mtu: number;
  /** Whether the driver completes checksums, and takes segments joined into one frame, by IP version. */
  readonly completesChecksums: boolean;
  takesJoinedSegments(version: 4 | 6): boolean;
  /**
   * Puts the frame that `pieces` make up into the guest's buffers; they may be reused afterwards. False when there
   * is no room: {@link Network.roomAvailable} follows when there is some.
   */
  deliver(pieces: readonly Uint8Array[], offload?: DeliveryOffload): boolean;
  /** Tells the guest of what was delivered. */
  announce(): void;
  /** Tells the guest, where it wants to hear of that, that the frames it has sent are gone. */
  announceTransmitted(): void;
}

/** The network behind a card. No call throws, whatever the guest sends. */
export interface Network {
  /** A driver is ready. */
  start(card: NetworkCard): void;
  /** The driver is gone, and with it all that it had under way. */
  stop(): void;
  transmit(frame: TransmittedFrame): void;
  /** Some frames have been transmitted; {@link NetworkCard.announceTransmitted} should follow in a moment. */
  transmitted(): void;
  roomAvailable(): void;
}
