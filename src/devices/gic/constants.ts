/** Numbers of the GICv3 architecture (Arm IHI 0069) and choices made as on QEMU's `virt` board. */

import { FIRST_PPI, FIRST_SPI, PRIVATE_INTERRUPT } from "../../base/interrupt-ids.ts";

/** Interrupt groups (Group 0, Secure Group 1, Non-secure Group 1); indices of banked CPU interface state. */
export const GROUP0 = 0;
export const GROUP1_SECURE = 1;
export const GROUP1_NON_SECURE = 2;
export type Group = typeof GROUP0 | typeof GROUP1_SECURE | typeof GROUP1_NON_SECURE;

/** INTIDs of the distributor and one redistributor together: 32 private ones and 256 SPIs. */
export const INTID_COUNT = 288;
export const SPI_COUNT = INTID_COUNT - FIRST_SPI;

/** Special INTIDs (IHI 0069, 2.2.1): what an acknowledge gives instead of an interrupt. */
export const INTID_SECURE = 1020;
export const INTID_NON_SECURE = 1021;
export const INTID_SPURIOUS = 1023;
/** INTIDs from here on belong to LPIs. */
export const FIRST_LPI = 8192;

/** The PPI of the maintenance interrupt. */
export const MAINTENANCE_PPI = PRIVATE_INTERRUPT.gicMaintenance - FIRST_PPI;

/** No interrupt, or the running priority of an idle interface. */
export const IDLE_PRIORITY = 0xff;

/** Priority bits of the CPU interfaces, physical and virtual, all of them usable for preemption. */
export const PRIORITY_BITS = 5;
export const PRIORITY_MASK = (0xff << (8 - PRIORITY_BITS)) & 0xff;
/** Smallest binary point; of Non-secure Group 1 it is one more. */
export const MINIMUM_BPR = 7 - PRIORITY_BITS;

export const LIST_REGISTER_COUNT = 4;

/** Bytes of the distributor. */
export const DISTRIBUTOR_SIZE = 0x10000;

/** Bytes of the control frame and of the translation frame of the translation service together. */
export const ITS_SIZE = 0x2_0000;

/** Frame sizes of a redistributor: RD_base and SGI_base. LPIs' VLPI frames would follow. */
export const REDISTRIBUTOR_FRAME = 0x10000;
export const REDISTRIBUTOR_SIZE = 2 * REDISTRIBUTOR_FRAME;

/** GICD_IIDR and GICR_IIDR: implementer Arm (0x43b), no product, as QEMU's. */
export const IIDR = 0x43b;

/** PeriphID4-7, PeriphID0-3, PCellID0-3 from offset 0xffd0; the part number tells the frames apart. */
export function identification(partNumber: number): number[] {
  return [0x44, 0, 0, 0, partNumber, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1];
}

/** GICD_CTLR bits as a Secure access sees them while DS is 0; with DS set only GRP0, GRP1 and ARE remain. */
export const GICD_CTLR = {
  ENABLE_GROUP0: 1 << 0,
  ENABLE_GROUP1_NON_SECURE: 1 << 1,
  ENABLE_GROUP1_SECURE: 1 << 2,
  ARE_SECURE: 1 << 4,
  ARE_NON_SECURE: 1 << 5,
  DISABLE_SECURITY: 1 << 6,
} as const;
