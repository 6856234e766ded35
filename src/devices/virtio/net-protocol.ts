/** Numbers of the virtio network device (virtio 1.2, section 5.1). */

/** Feature bits (section 5.1.3). */
export const NET_FEATURE = {
  CSUM: 0,
  GUEST_CSUM: 1,
  CTRL_GUEST_OFFLOADS: 2,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_RX_EXTRA: 20,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
} as const;

/**
 * Queues of the first pair (section 5.1.2); those of the next pairs follow, two by two. The control queue comes after
 * all pairs that the device has, or after the first where {@link NET_FEATURE}.MQ was not negotiated.
 */
export const NET_QUEUE = { RECEIVE: 0, TRANSMIT: 1, CONTROL: 2 } as const;

/** The header before each frame (section 5.1.6), little-endian; `num_buffers` is its last field. */
export const NET_HEADER = {
  FLAGS: 0,
  GSO_TYPE: 1,
  HEADER_LENGTH: 2,
  GSO_SIZE: 4,
  CHECKSUM_START: 6,
  CHECKSUM_OFFSET: 8,
  BUFFERS: 10,
  SIZE: 12,
} as const;

export const NET_FLAG = { NEEDS_CSUM: 1, DATA_VALID: 2 } as const;
export const GSO_TYPE = { NONE: 0, TCPV4: 1, TCPV6: 4, ECN: 0x80 } as const;

/** Offsets in the configuration space, and its status bits. */
export const NET_CONFIGURATION = { MAC: 0, STATUS: 6, MOST_PAIRS: 8, MTU: 10, SIZE: 12 } as const;
export const LINK_UP = 1;

/** Classes and commands of the control queue (section 5.1.6.5), and its answers. */
export const CONTROL = {
  RX: {
    class: 0,
    PROMISCUOUS: 0,
    ALL_MULTICAST: 1,
    ALL_UNICAST: 2,
    NO_MULTICAST: 3,
    NO_UNICAST: 4,
    NO_BROADCAST: 5,
  },
  MAC: { class: 1, TABLE_SET: 0, ADDRESS_SET: 1 },
  MQ: { class: 4, PAIRS_SET: 0 },
  GUEST_OFFLOADS: { class: 5, SET: 0 },
} as const;
export const CONTROL_OK = 0;
export const CONTROL_ERROR = 1;
