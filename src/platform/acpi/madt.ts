import { ByteWriter } from "../../base/byte-writer.ts";
import { acpiTable, type TableIdentity } from "./table.ts";

/** How a wired interrupt is signalled, where a table has a bit for it. */
export type WireTrigger = "level" | "edge";

/** One processing element and its connection to the GIC (ACPI 6.4, section 5.2.12.14). Interrupts are INTIDs. */
export interface GicCpu {
  /** What the DSDT's processor devices and the PPTT call it. */
  readonly uid: number;
  /** GICv2: the CPU interface number, which is the bit in the distributor's target registers. */
  readonly interfaceNumber?: number;
  /** Affinity fields of MPIDR_EL1: Aff3 in bits 39:32, Aff2 to Aff0 in bits 23:0. */
  readonly affinity: number;
  readonly enabled?: boolean;
  readonly performanceInterrupt?: { readonly id: number; readonly trigger: WireTrigger } | undefined;
  readonly maintenanceInterrupt?: { readonly id: number; readonly trigger: WireTrigger } | undefined;
  /** Statistical profiling; an INTID. */
  readonly profilingInterrupt?: number | undefined;
  /** GICv2: physical addresses of the CPU interface, and of its parts for virtual machines. */
  readonly cpuInterface?: number | undefined;
  readonly virtualInterface?: number | undefined;
  readonly hypervisorInterface?: number | undefined;
  /** Where no redistributor window is given: this element's redistributor. */
  readonly redistributor?: number | undefined;
  /** Where there is no PSCI: the mailbox of the parking protocol, and the protocol's version. */
  readonly parking?: { readonly version: number; readonly address: number } | undefined;
  /** Relative power efficiency, 0 to 255; smaller is more efficient. */
  readonly efficiencyClass?: number;
}

/** A window of message-signalled interrupts (GICv2m). */
export interface GicMsiFrame {
  readonly id: number;
  readonly base: number;
  /** Given where the frame's own register does not say which SPIs it has. */
  readonly spis?: { readonly first: number; readonly count: number };
}

/** The interrupt controller of a machine. */
export interface MadtInput {
  readonly cpus: readonly GicCpu[];
  readonly distributor: { readonly base: number; readonly version: 1 | 2 | 3 | 4 };
  readonly redistributors?: readonly { readonly base: number; readonly size: number }[];
  readonly msiFrames?: readonly GicMsiFrame[];
  readonly translationServices?: readonly { readonly id: number; readonly base: number }[];
  readonly identity?: TableIdentity;
}

/** Structure types and lengths in bytes (table 5.21 and the sections it names). */
const GICC = { type: 0x0b, length: 80 } as const;
const GICD = { type: 0x0c, length: 24 } as const;
const MSI_FRAME = { type: 0x0d, length: 24 } as const;
const GICR = { type: 0x0e, length: 16 } as const;
const ITS = { type: 0x0f, length: 20 } as const;

/** GICC flags. */
const CPU_FLAG = { enabled: 1 << 0, performanceEdge: 1 << 1, maintenanceEdge: 1 << 2 } as const;
/** GIC MSI frame flag: the count and base of the SPIs are those of this structure. */
const SPI_SELECT = 1;

/** The Multiple APIC Description Table, revision 4 (section 5.2.12). */
export function writeMadt(input: MadtInput): Uint8Array {
  const { distributor } = input;
  // Address of the local interrupt controller, and flags, of PCs.
  const body = new ByteWriter().u32(0).u32(0);
  begin(body, GICD).u16(0).u32(0).u64(distributor.base).u32(0).u8(distributor.version).zeros(3);
  for (const cpu of input.cpus) writeCpu(body, cpu);
  for (const { id, base, spis } of input.msiFrames ?? []) {
    begin(body, MSI_FRAME).u16(0).u32(id).u64(base);
    body
      .u32(spis === undefined ? 0 : SPI_SELECT)
      .u16(spis?.count ?? 0)
      .u16(spis?.first ?? 0);
  }
  for (const { base, size } of input.redistributors ?? []) begin(body, GICR).u16(0).u64(base).u32(size);
  for (const { id, base } of input.translationServices ?? [])
    begin(body, ITS).u16(0).u32(id).u64(base).u32(0);
  return acpiTable("APIC", 4, body.finish(), input.identity);
}

function begin(body: ByteWriter, { type, length }: { type: number; length: number }): ByteWriter {
  return body.u8(type).u8(length);
}

function writeCpu(body: ByteWriter, cpu: GicCpu): void {
  const flags =
    (cpu.enabled === false ? 0 : CPU_FLAG.enabled) |
    (cpu.performanceInterrupt?.trigger === "edge" ? CPU_FLAG.performanceEdge : 0) |
    (cpu.maintenanceInterrupt?.trigger === "edge" ? CPU_FLAG.maintenanceEdge : 0);
  begin(body, GICC)
    .u16(0)
    .u32(cpu.interfaceNumber ?? cpu.uid)
    .u32(cpu.uid)
    .u32(flags)
    .u32(cpu.parking?.version ?? 0)
    .u32(cpu.performanceInterrupt?.id ?? 0)
    .u64(cpu.parking?.address ?? 0)
    .u64(cpu.cpuInterface ?? 0)
    .u64(cpu.virtualInterface ?? 0)
    .u64(cpu.hypervisorInterface ?? 0)
    .u32(cpu.maintenanceInterrupt?.id ?? 0)
    .u64(cpu.redistributor ?? 0)
    .u64(cpu.affinity)
    .u8(cpu.efficiencyClass ?? 0)
    .u8(0)
    .u16(cpu.profilingInterrupt ?? 0);
}
