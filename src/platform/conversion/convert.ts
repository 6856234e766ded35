import { writeFadt } from "../acpi/fadt.ts";
import { writeGtdt } from "../acpi/gtdt.ts";
import { writeIort } from "../acpi/iort.ts";
import { writeMadt } from "../acpi/madt.ts";
import { writeMcfg } from "../acpi/mcfg.ts";
import { writeSlit, writeSrat } from "../acpi/numa.ts";
import { writePptt } from "../acpi/pptt.ts";
import { writeDbg2, writeSpcr } from "../acpi/serial-console.ts";
import { acpiTable, signatureOf, type TableIdentity } from "../acpi/table.ts";
import { writeAliasTable } from "../aliases/alias-table.ts";
import { withAliases } from "../aliases/alias-tree.ts";
import type { DeviceAlias } from "../aliases/device-aliases.ts";
import type { DeviceTree } from "../device-tree/tree.ts";
import { Account, type ConversionWarning } from "./account.ts";
import { AddressReader, type PhysicalRange } from "./addresses.ts";
import { readConsole } from "./consoles.ts";
import { type Conversion, Effort, type NamedConversion, Refusal } from "./context.ts";
import { DeviceWriter } from "./device-writer.ts";
import { GIC_ITS, GIC_MSI_FRAME } from "./interrupt-controllers.ts";
import { findGic, readInterruptTables } from "./interrupt-tables.ts";
import { InterruptReader } from "./interrupts.ts";
import { Namespace } from "./namespace.ts";
import { isMemory, readNuma } from "./numa.ts";
import { isOutside, settleOutsiders } from "./outsiders.ts";
import { withoutCrossings } from "./overlaps.ts";
import { isOnPci, readPciHosts } from "./pci-hosts.ts";
import {
  isIdleState,
  isPerformanceMonitor,
  isTopology,
  readProcessors,
  readPsci,
  TopologyReader,
} from "./processors.ts";
import { isArmSmmu, readRemapping } from "./remapping.ts";
import { type ConversionReport, makeReport } from "./report.ts";
import { MAPPED_TIMERS, PROCESSOR_TIMERS, readTimers, WATCHDOGS } from "./timers.ts";
import { TreeIndex, type TreeNode } from "./tree-index.ts";

/** The choices of a conversion. */
export interface ConversionOptions {
  /** What reports call the tree: a file's name. */
  readonly source: string;
  /** Refuse the tree where there would be a warning. */
  readonly strict?: boolean;
  readonly identity?: TableIdentity;
  /** Ids under which system software knows drivers; checked by `checkAliases`. */
  readonly aliases?: readonly DeviceAlias[];
}

/** Tables, or the reason why there are none. In both cases `report()` says what became of everything. */
export type ConversionResult =
  | {
      readonly status: "converted";
      readonly tables: ReadonlyMap<string, Uint8Array>;
      readonly warnings: readonly ConversionWarning[];
      report(): ConversionReport;
    }
  | {
      readonly status: "refused";
      readonly reason: string;
      readonly warnings: readonly ConversionWarning[];
      report(): ConversionReport;
    };

/** ACPI tables for the board that a device tree describes, by their signatures; DSDT and FACP among them. */
export function convertTree(tree: DeviceTree, options: ConversionOptions): ConversionResult {
  const { aliases = [] } = options;
  const index = new TreeIndex(aliases.length === 0 ? tree : withAliases(tree, aliases));
  const account = new Account();
  const report = (): ConversionReport => makeReport(options.source, index, account);
  try {
    const tables = makeTables(index, account, options);
    const [warning] = account.warnings;
    if (options.strict === true && warning !== undefined) {
      const at = warning.property === undefined ? warning.path : `${warning.path}, ${warning.property}`;
      const more = account.warnings.length > 1 ? ` (and ${account.warnings.length - 1} more)` : "";
      return {
        status: "refused",
        reason: `${at}: ${warning.text}${more}`,
        warnings: account.warnings,
        report,
      };
    }
    return { status: "converted", tables, warnings: account.warnings, report };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: "refused", reason: error.message, warnings: account.warnings, report };
  }
}

function makeTables(index: TreeIndex, account: Account, options: ConversionOptions): Map<string, Uint8Array> {
  if (index.nodes.some((node) => node.name === "__overlay__")) {
    throw new Refusal("It is an overlay; apply it to its base tree, and convert the result.");
  }
  const { identity } = options;
  const effort = new Effort();
  const conversion: Conversion = {
    index,
    effort,
    account,
    addresses: new AddressReader(account, effort),
    interrupts: new InterruptReader(index, account, effort),
  };
  settleOutsiders(conversion);
  const gic = findGic(conversion);
  const processors = readProcessors(conversion);
  const { madt, translationServices } = readInterruptTables(conversion, gic, processors);
  const gtdt = readTimers(conversion);
  const psci = readPsci(conversion, processors);
  const numa = readNuma(conversion, processors);
  const topology = new TopologyReader(conversion).read(processors);
  const hosts = readPciHosts(conversion);
  const namespace = new Namespace(index, (node) => node === gic || isElsewhere(node, index));
  const named: NamedConversion = { ...conversion, namespace };
  const console = readConsole(named);
  const remapping = readRemapping(named, hosts, translationServices);
  const devices = new DeviceWriter(named, {
    processors,
    hosts,
    registers: readRegisters(named),
    aliases: options.aliases ?? [],
  });
  const tables = [
    acpiTable("DSDT", DSDT_REVISION, devices.write(), identity),
    writeFadt({ dsdt: 0, psci, ...withIdentity(identity) }),
    writeMadt({ ...madt, ...withIdentity(identity) }),
    writeGtdt({ ...gtdt, ...withIdentity(identity) }),
    writePptt(topology, identity),
    ...(hosts.length === 0
      ? []
      : [
          writeMcfg(
            hosts.map(({ configuration }) => configuration),
            identity,
          ),
        ]),
    ...(console === undefined
      ? []
      : [writeSpcr({ ...console.spcr, ...withIdentity(identity) }), writeDbg2([console.dbg2], identity)]),
    ...(remapping.length === 0 ? [] : [writeIort(remapping, identity, IORT_REVISION)]),
    ...(numa === undefined ? [] : [writeSrat({ ...numa.srat, ...withIdentity(identity) })]),
    ...(options.aliases === undefined ? [] : [writeAliasTable(options.aliases, identity)]),
    ...(numa?.slit === undefined ? [] : [writeSlit(numa.slit, identity)]),
  ];
  return new Map(tables.map((table) => [signatureOf(table), table]));
}

/** The oldest format that says all there is to say, so that every reader understands it. */
const IORT_REVISION = 0;
/** Revision of a definition block whose integers have 64 bits. */
const DSDT_REVISION = 2;

function withIdentity(identity: TableIdentity | undefined): { identity?: TableIdentity } {
  return identity === undefined ? {} : { identity };
}

/** True for nodes that other tables than DSDT describe, or none. */
function isElsewhere(node: TreeNode, index: TreeIndex): boolean {
  return (
    isOutside(node) ||
    isMemory(node) ||
    isTopology(node, index) ||
    isIdleState(node) ||
    isPerformanceMonitor(node) ||
    isArmSmmu(node) ||
    node.isCompatible(...GIC_ITS, ...GIC_MSI_FRAME, ...PROCESSOR_TIMERS, ...MAPPED_TIMERS, ...WATCHDOGS) ||
    (node.parent?.isCompatible(...MAPPED_TIMERS) ?? false) ||
    node.isCompatible("arm,psci", "arm,psci-0.2", "arm,psci-1.0", "numa-distance-map-v1")
  );
}

/** The registers of every device that has them in memory. */
function readRegisters({
  index,
  account,
  addresses,
  namespace,
}: NamedConversion): Map<TreeNode, readonly PhysicalRange[]> {
  const registers = new Map<TreeNode, readonly PhysicalRange[]>();
  for (const node of index.nodes) {
    if (!node.has("reg") || namespace.placeOf(node)?.kind !== "device" || isOnPci(node)) continue;
    if (account.fateOfProperty(node, "reg") !== undefined || !addresses.isMemoryMapped(node.parent)) continue;
    registers.set(node, addresses.registers(node));
  }
  return withoutCrossings(registers, account);
}
