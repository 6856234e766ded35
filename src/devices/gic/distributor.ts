import { FIRST_SPI } from "../../base/interrupt-ids.ts";
import { identificationRows, type Register } from "../register-table.ts";
import { GICD_CTLR, IIDR, INTID_COUNT, identification } from "./constants.ts";
import {
  bankRegisters,
  type DistributorControl,
  type InterruptBank,
  securityDisabled,
} from "./interrupt-bank.ts";

/** What the distributor's registers act on. */
export interface DistributorState {
  readonly control: DistributorControl;
  readonly spis: InterruptBank;
  /** GICD_IROUTER<n> in halves, indexed by 2 * INTID. */
  readonly routes: Uint32Array;
  /** There are LPIs. */
  readonly hasLpis: boolean;
  /** After a change of GICD_CTLR. */
  controlChanged(): void;
  /** After a change of the route of `intid`. */
  routeChanged(intid: number): void;
}

/** Field value 3 of GICD_NSACR lets Non-secure accesses route an interrupt. */
const MAY_ROUTE = 3;

/**
 * GICD_TYPER as on QEMU's `virt`: 16 INTID bits, affinity level 3 valid, no 1-of-N. QEMU counts
 * the private interrupts out of ITLinesNumber although SPIs 224 to 255 exist; so do we.
 */
function typer({ control, hasLpis }: DistributorState): number {
  const noOneOfN = 1 << 25;
  const affinityLevel3 = 1 << 24;
  const idBits = 15 << 19;
  const securityExtension = securityDisabled(control) ? 0 : 1 << 10;
  const lpis = hasLpis ? 1 << 17 : 0;
  return noOneOfN | affinityLevel3 | idBits | lpis | securityExtension | (INTID_COUNT / 32 - 2);
}

function readControl({ value }: DistributorControl, secure: boolean): number {
  if (secure || value & GICD_CTLR.DISABLE_SECURITY) return value;
  // A Non-secure access sees EnableGrp1A at bit 1 and ARE_NS at bit 4.
  return (value & GICD_CTLR.ENABLE_GROUP1_NON_SECURE) | (value & GICD_CTLR.ARE_NON_SECURE ? 1 << 4 : 0);
}

function writeControl(state: DistributorState, value: number, secure: boolean): void {
  const { control } = state;
  let mask: number = GICD_CTLR.ENABLE_GROUP1_NON_SECURE;
  if (securityDisabled(control)) mask |= GICD_CTLR.ENABLE_GROUP0;
  else if (secure)
    mask |= GICD_CTLR.ENABLE_GROUP0 | GICD_CTLR.ENABLE_GROUP1_SECURE | GICD_CTLR.DISABLE_SECURITY;
  control.value = (control.value & ~mask) | (value & mask);
  // Giving up the second security state makes its bits RES0, until reset.
  if (securityDisabled(control))
    control.value &= ~(GICD_CTLR.ENABLE_GROUP1_SECURE | GICD_CTLR.ARE_NON_SECURE);
  state.controlChanged();
}

function mayRoute({ spis }: DistributorState, intid: number, secure: boolean): boolean {
  return (spis.visible(intid >>> 5, secure, MAY_ROUTE) & (1 << (intid & 31))) !== 0;
}

const SHARED = bankRegisters<DistributorState>({
  words: INTID_COUNT / 32,
  name: (register) => `GICD_${register}<n>`,
  bankOf: (state) => state.spis,
  fixedConfigurationHalves: 0,
  nonSecureAccess: { halves: INTID_COUNT / 16, opensRegisters: true },
});

/** GICD (IHI 0069, table 12-25) with affinity routing always on. */
export const DISTRIBUTOR_REGISTERS: readonly Register<DistributorState>[] = [
  {
    name: "GICD_CTLR",
    offset: 0x0,
    read: ({ control }, _, secure) => readControl(control, secure),
    write: (state, value, _, secure) => writeControl(state, value, secure),
  },
  { name: "GICD_TYPER", offset: 0x4, read: typer },
  { name: "GICD_IIDR", offset: 0x8, read: () => IIDR },
  { name: "GICD_TYPER2", offset: 0xc, read: () => 0 },
  { name: "GICD_STATUSR", offset: 0x10, read: () => 0 },
  // Message-based SPIs are not there (GICD_TYPER.MBIS is 0).
  { name: "GICD_SETSPI_NSR", offset: 0x40 },
  { name: "GICD_CLRSPI_NSR", offset: 0x48 },
  { name: "GICD_SETSPI_SR", offset: 0x50 },
  { name: "GICD_CLRSPI_SR", offset: 0x58 },
  ...SHARED,
  // These four belong to the operation without affinity routing.
  { name: "GICD_ITARGETSR<n>", offset: 0x800, count: 256, read: () => 0 },
  { name: "GICD_SGIR", offset: 0xf00 },
  { name: "GICD_CPENDSGIR<n>", offset: 0xf10, count: 4, read: () => 0 },
  { name: "GICD_SPENDSGIR<n>", offset: 0xf20, count: 4, read: () => 0 },
  {
    name: "GICD_IROUTER<n>",
    offset: 0x6000,
    count: 2 * INTID_COUNT,
    read: (state, half, secure) => {
      const intid = half >>> 1;
      return intid >= FIRST_SPI && mayRoute(state, intid, secure) ? state.routes[half]! : 0;
    },
    write: (state, value, half, secure) => {
      const intid = half >>> 1;
      if (intid < FIRST_SPI || !mayRoute(state, intid, secure)) return;
      state.routes[half] = value;
      state.routeChanged(intid);
    },
  },
  ...identificationRows<DistributorState>(0xffd0, identification(0x92)),
];
