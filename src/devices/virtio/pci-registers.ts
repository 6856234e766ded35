import type { Register } from "../register-table.ts";
import type { DriverSession, QueuePart } from "./driver-session.ts";

/** What the common configuration registers act on; see {@link VirtioPci}. */
export interface CommonConfiguration {
  readonly session: DriverSession;
  deviceFeaturesSelect: number;
  driverFeaturesSelect: number;
  queueSelect: number;
  configurationVector: number;
  /** By queue. */
  readonly queueVectors: Uint16Array;
  /** The vector, or NO_VECTOR where there is none with this number. */
  usableVector(vector: number): number;
  setStatus(value: number): void;
}

/** Stands for no MSI-X vector (virtio 1.2, section 4.1.5.1.2). */
export const NO_VECTOR = 0xffff;

function address(name: string, offset: number, key: QueuePart): Register<CommonConfiguration> {
  return {
    name,
    offset,
    count: 2,
    read: ({ session, queueSelect }, half) => session.setup(queueSelect)?.[key][half] ?? 0,
    write: ({ session, queueSelect }, value, half) => {
      const queue = session.unready(queueSelect);
      if (queue !== undefined) queue[key][half] = value;
    },
  };
}

/** struct virtio_pci_common_cfg (virtio 1.2, section 4.1.4.3). */
export const VIRTIO_PCI_COMMON_REGISTERS: readonly Register<CommonConfiguration>[] = [
  {
    name: "device_feature_select",
    offset: 0x00,
    read: ({ deviceFeaturesSelect }) => deviceFeaturesSelect,
    write: (common, value) => {
      common.deviceFeaturesSelect = value;
    },
  },
  {
    name: "device_feature",
    offset: 0x04,
    read: ({ session, deviceFeaturesSelect }) => session.offered(deviceFeaturesSelect),
  },
  {
    name: "driver_feature_select",
    offset: 0x08,
    read: ({ driverFeaturesSelect }) => driverFeaturesSelect,
    write: (common, value) => {
      common.driverFeaturesSelect = value;
    },
  },
  {
    name: "driver_feature",
    offset: 0x0c,
    read: ({ session, driverFeaturesSelect }) => session.accepted(driverFeaturesSelect),
    write: ({ session, driverFeaturesSelect }, value) => session.accept(driverFeaturesSelect, value),
  },
  {
    name: "config_msix_vector",
    offset: 0x10,
    unit: 2,
    read: ({ configurationVector }) => configurationVector,
    write: (common, value) => {
      common.configurationVector = common.usableVector(value);
    },
  },
  { name: "num_queues", offset: 0x12, unit: 2, read: ({ session }) => session.queueCount },
  {
    name: "device_status",
    offset: 0x14,
    unit: 1,
    read: ({ session }) => session.status,
    write: (common, value) => common.setStatus(value),
  },
  { name: "config_generation", offset: 0x15, unit: 1, read: ({ session }) => session.generation & 0xff },
  {
    name: "queue_select",
    offset: 0x16,
    unit: 2,
    read: ({ queueSelect }) => queueSelect,
    write: (common, value) => {
      common.queueSelect = value;
    },
  },
  {
    name: "queue_size",
    offset: 0x18,
    unit: 2,
    read: ({ session, queueSelect }) => session.setup(queueSelect)?.size ?? 0,
    write: ({ session, queueSelect }, value) => {
      const queue = session.unready(queueSelect);
      if (queue !== undefined) queue.size = value;
    },
  },
  {
    name: "queue_msix_vector",
    offset: 0x1a,
    unit: 2,
    read: ({ queueVectors, queueSelect }) => queueVectors[queueSelect] ?? NO_VECTOR,
    write: (common, value) => {
      if (common.queueSelect < common.queueVectors.length)
        common.queueVectors[common.queueSelect] = common.usableVector(value);
    },
  },
  {
    name: "queue_enable",
    offset: 0x1c,
    unit: 2,
    read: ({ session, queueSelect }) => (session.setup(queueSelect)?.live === undefined ? 0 : 1),
    write: ({ session, queueSelect }, value) => {
      // A driver may not disable a queue this way; it resets it.
      if (value === 1) session.setReady(queueSelect, true);
    },
  },
  {
    name: "queue_notify_off",
    offset: 0x1e,
    unit: 2,
    read: ({ session, queueSelect }) => (queueSelect < session.queueCount ? queueSelect : 0),
  },
  address("queue_desc", 0x20, "descriptors"),
  address("queue_driver", 0x28, "driver"),
  address("queue_device", 0x30, "device"),
  { name: "queue_notify_data", offset: 0x38, unit: 2, read: ({ queueSelect }) => queueSelect },
  {
    name: "queue_reset",
    offset: 0x3a,
    unit: 2,
    // A reset is complete at once.
    read: () => 0,
    write: ({ session, queueSelect }, value) => {
      if (value === 1) session.resetQueue(queueSelect);
    },
  },
];

/** Bytes of the structure. */
export const COMMON_CONFIGURATION_SIZE = 0x3c;
