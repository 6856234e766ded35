/** The header before every packet (virtio 1.2, section 5.10.6, struct virtio_vsock_hdr). */
export const HEADER_SIZE = 44;

/** Operations (section 5.10.6). */
export const OPERATION = {
  REQUEST: 1,
  RESPONSE: 2,
  RST: 3,
  SHUTDOWN: 4,
  RW: 5,
  CREDIT_UPDATE: 6,
  CREDIT_REQUEST: 7,
} as const;

/** Socket types. */
export const STREAM = 1;

/** Flags of SHUTDOWN: what the sender will not do any more. */
export const SHUTDOWN = { RECEIVE: 1, SEND: 2 } as const;

/** The host's context identifier (section 5.10.4). */
export const HOST_CID = 2;

/** A header without addresses' upper halves, which are zero. */
export interface PacketHeader {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Bytes after the header. */
  readonly length: number;
  readonly type: number;
  readonly operation: number;
  readonly flags: number;
  /** Bytes that the sender can hold. */
  readonly bufferSize: number;
  /** Bytes that the sender's reader has taken so far, modulo 2^32. */
  readonly forwarded: number;
}

/** undefined where an address has more than 32 bits, which none of ours has. */
export function decodeHeader(bytes: Uint8Array): PacketHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(4, true) !== 0 || view.getUint32(12, true) !== 0) return undefined;
  return {
    source: view.getUint32(0, true),
    destination: view.getUint32(8, true),
    sourcePort: view.getUint32(16, true),
    destinationPort: view.getUint32(20, true),
    length: view.getUint32(24, true),
    type: view.getUint16(28, true),
    operation: view.getUint16(30, true),
    flags: view.getUint32(32, true),
    bufferSize: view.getUint32(36, true),
    forwarded: view.getUint32(40, true),
  };
}

export function encodePacket(header: Omit<PacketHeader, "length">, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, header.source, true);
  view.setUint32(8, header.destination, true);
  view.setUint32(16, header.sourcePort, true);
  view.setUint32(20, header.destinationPort, true);
  view.setUint32(24, payload.length, true);
  view.setUint16(28, header.type, true);
  view.setUint16(30, header.operation, true);
  view.setUint32(32, header.flags, true);
  view.setUint32(36, header.bufferSize, true);
  view.setUint32(40, header.forwarded, true);
  bytes.set(payload, HEADER_SIZE);
  return bytes;
}
