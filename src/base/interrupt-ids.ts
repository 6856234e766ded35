/** First INTIDs of the wired interrupts: private ones (PPI) and shared ones (SPI) (IHI 0069, 2.2.1). */
export const FIRST_PPI = 16;
export const FIRST_SPI = 32;

/** INTIDs of each processing element's own interrupts, as Arm's Base System Architecture (DEN 0094) wants them. */
export const PRIVATE_INTERRUPT = {
  performanceMonitor: 23,
  gicMaintenance: 25,
  hypervisorTimer: 26,
  virtualTimer: 27,
  hypervisorVirtualTimer: 28,
  securePhysicalTimer: 29,
  physicalTimer: 30,
} as const;
