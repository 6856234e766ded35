import type { GicMsiFrame, MadtInput } from "../acpi/madt.ts";
import type { PhysicalRange } from "./addresses.ts";
import { type Conversion, Refusal } from "./context.ts";
import { GIC_ITS, GIC_MSI_FRAME, GIC_V2, GIC_V3 } from "./interrupt-controllers.ts";
import { type Processor, readPerformanceMonitors } from "./processors.ts";
import type { TreeNode } from "./tree-index.ts";

/** What MADT is made from, and where translation services went. */
export interface InterruptTables {
  readonly madt: MadtInput;
  /** Identifiers of translation services, by their nodes. */
  readonly translationServices: ReadonlyMap<TreeNode, number>;
}

/** The root interrupt controller; without one that ACPI knows there are no tables. */
export function findGic({ index }: Conversion): TreeNode {
  const gic = index.compatibleWith(...GIC_V2, ...GIC_V3).find((node) => node.has("interrupt-controller"));
  if (gic !== undefined) return gic;
  const controllers = index.nodes
    .filter((node) => node.enabled && node.has("interrupt-controller") && node.compatible.length > 0)
    .map((node) => node.compatible[0]!);
  const others = [...new Set(controllers)].slice(0, 3).join(", ");
  throw new Refusal(
    `It has no Generic Interrupt Controller, without which there is no ACPI on Arm${others === "" ? "" : `; it has ${others}`}.`,
  );
}

/** GIC, its parts for message-signalled interrupts, and the processors' connections to it. */
export function readInterruptTables(
  conversion: Conversion,
  gic: TreeNode,
  processors: readonly Processor[],
): InterruptTables {
  const { account, addresses, interrupts } = conversion;
  const version = gic.isCompatible(...GIC_V3) ? 3 : 2;
  const [distributor, ...others] = addresses.registers(gic);
  if (distributor === undefined) throw new Refusal(`Its interrupt controller ${gic.path} has no registers.`);
  account.node(gic, "converted", "MADT");
  account.properties(gic, ["compatible", "reg", "interrupts", "#redistributor-regions"], "converted", "MADT");
  account.properties(gic, ["interrupt-controller", "interrupt-parent", "status"], "used", "MADT");
  const regions = gic.cell("#redistributor-regions") ?? 1;
  if (gic.has("redistributor-stride")) {
    account.warn(
      gic,
      "redistributor-stride",
      "ACPI has no stride; redistributors are taken to follow one another.",
    );
  }
  const windows = version === 3 ? others.slice(regions) : others;
  const [cpuInterface, hypervisorInterface, virtualInterface] = windows.map(({ base }) => base);
  const [maintenance] = interrupts.gicWires(gic);
  const monitors = readPerformanceMonitors(conversion, processors);
  const translationServices = readTranslationServices(conversion);
  return {
    translationServices: new Map([...translationServices].map(([node, { id }]) => [node, id])),
    madt: {
      distributor: { base: distributor.base, version },
      redistributors: version === 3 ? others.slice(0, regions).filter(fitsWindow) : [],
      translationServices: [...translationServices.values()],
      msiFrames: readMessageFrames(conversion),
      cpus: processors.map((processor) => ({
        uid: processor.uid,
        interfaceNumber: processor.uid,
        affinity: processor.affinity,
        enabled: processor.enabled,
        efficiencyClass: processor.efficiencyClass,
        performanceInterrupt: monitors.get(processor),
        maintenanceInterrupt: maintenance && { id: maintenance.id, trigger: maintenance.signal.mode },
        ...(version === 2 ? { cpuInterface, hypervisorInterface, virtualInterface } : {}),
      })),
    },
  };
}

/** MADT counts a redistributor window in 32 bits. */
function fitsWindow({ size }: PhysicalRange): boolean {
  return size < 2 ** 32;
}

function readTranslationServices({
  index,
  account,
  addresses,
}: Conversion): Map<TreeNode, { id: number; base: number }> {
  const found = new Map<TreeNode, { id: number; base: number }>();
  for (const node of index.compatibleWith(...GIC_ITS)) {
    account.node(node, "converted", "MADT");
    account.properties(node, ["compatible", "reg", "msi-controller"], "converted", "MADT");
    const [registers] = addresses.registers(node);
    if (registers !== undefined) found.set(node, { id: found.size, base: registers.base });
  }
  return found;
}

function readMessageFrames({ index, account, addresses }: Conversion): GicMsiFrame[] {
  const frames: GicMsiFrame[] = [];
  for (const node of index.compatibleWith(...GIC_MSI_FRAME)) {
    account.node(node, "converted", "MADT");
    account.properties(
      node,
      ["compatible", "reg", "msi-controller", "arm,msi-base-spi", "arm,msi-num-spis"],
      "converted",
      "MADT",
    );
    const [registers] = addresses.registers(node);
    const [first, count] = [node.cell("arm,msi-base-spi"), node.cell("arm,msi-num-spis")];
    if (registers === undefined) continue;
    const said = first !== undefined && count !== undefined;
    frames.push({ id: frames.length, base: registers.base, ...(said ? { spis: { first, count } } : {}) });
  }
  return frames;
}
