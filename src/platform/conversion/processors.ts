import type { GicCpu } from "../acpi/madt.ts";
import type { CacheDescription, TopologyNode } from "../acpi/pptt.ts";
import { joinCells } from "./addresses.ts";
import { type Conversion, Refusal } from "./context.ts";
import type { TreeIndex, TreeNode } from "./tree-index.ts";

/** A processing element of the tree. Its place in the list is its UID. */
export interface Processor {
  readonly node: TreeNode;
  readonly uid: number;
  /** Affinity fields of MPIDR_EL1. */
  readonly affinity: number;
  readonly enabled: boolean;
  /** Relative power efficiency: 0 for the most efficient kind. */
  readonly efficiencyClass: number;
}

const AFFINITY_FIELDS = 0xff_00ff_ffffn;
/** More processors than any GIC serves in one table. */
const MOST_PROCESSORS = 4096;

/** The processing elements below /cpus. */
export function readProcessors({ index, account }: Conversion): Processor[] {
  const nodes = (index.root.child("cpus")?.children ?? []).filter(isProcessor);
  if (nodes.length === 0) throw new Refusal("It describes no processors below /cpus.");
  if (nodes.length > MOST_PROCESSORS)
    throw new Refusal(`It describes more than ${MOST_PROCESSORS} processors.`);
  const capacities = [...new Set(nodes.map((node) => node.cell("capacity-dmips-mhz") ?? 0))].sort(
    (a, b) => a - b,
  );
  const seen = new Set<number>();
  return nodes.map((node, uid) => {
    const affinity = Number(joinCells(node.cells("reg") ?? []) & AFFINITY_FIELDS);
    if (seen.has(affinity))
      account.warn(node, "reg", `Another processor has the affinity 0x${affinity.toString(16)} too.`);
    seen.add(affinity);
    account.node(node, "converted", `processor ${uid} in MADT, PPTT and DSDT`);
    account.properties(node, ["reg", "capacity-dmips-mhz"], "converted", "MADT");
    account.properties(node, ["device_type", "enable-method", "status"], "used", "MADT, FADT");
    account.property(node, "compatible", "left-out", "the processor's identification registers say it");
    account.property(node, "cpu-release-addr", "left-out", "ACPI has no spin tables");
    account.properties(node, ["cpu-idle-states"], "left-out", IDLE_REASON);
    const efficiencyClass = capacities.indexOf(node.cell("capacity-dmips-mhz") ?? 0);
    return { node, uid, affinity, enabled: node.enabled, efficiencyClass: Math.min(efficiencyClass, 255) };
  });
}

/** Why idle states are not taken over. */
export const IDLE_REASON = "idle states come from firmware's _LPI, which depends on the firmware";

export function isProcessor(node: TreeNode): boolean {
  return node.parent?.path === "/cpus" && (node.text("device_type") === "cpu" || node.baseName === "cpu");
}

/** How processors are started: PSCI's conduit, or undefined. */
export function readPsci(
  { index, account }: Conversion,
  processors: readonly Processor[],
): "hvc" | "smc" | undefined {
  const node = index.nodes.find((candidate) =>
    candidate.isCompatible("arm,psci", "arm,psci-0.2", "arm,psci-1.0"),
  );
  if (node === undefined) {
    if (processors.length > 1) {
      account.warn(
        processors[0]!.node,
        "enable-method",
        "Without PSCI only the boot processor is started under ACPI.",
      );
    }
    return undefined;
  }
  account.node(node, "converted", "FADT");
  account.properties(node, ["compatible", "method", "status"], "converted", "FADT");
  account.properties(
    node,
    ["cpu_suspend", "cpu_off", "cpu_on", "migrate", "sys_reset", "sys_poweroff"],
    "left-out",
    "standard PSCI function ids apply",
  );
  for (const child of node.walk()) {
    if (child === node) continue;
    account.node(child, "left-out", IDLE_REASON);
  }
  const method = node.text("method");
  if (!node.isCompatible("arm,psci-0.2", "arm,psci-1.0")) {
    account.warn(
      node,
      "compatible",
      "ACPI needs PSCI 0.2 or later, and it is older; processors are not started.",
    );
    return undefined;
  }
  if (method === "hvc" || method === "smc") return method;
  account.warn(node, "method", "It is neither hvc nor smc.");
  return undefined;
}

/** Interrupts of the performance monitors, by processor. */
export function readPerformanceMonitors(
  { index, effort, account, interrupts }: Conversion,
  processors: readonly Processor[],
): ReadonlyMap<Processor, NonNullable<GicCpu["performanceInterrupt"]>> {
  const found = new Map<Processor, NonNullable<GicCpu["performanceInterrupt"]>>();
  for (const node of index.nodes) {
    if (!node.enabled || !isPerformanceMonitor(node)) continue;
    const property = interrupts.propertyOf(node);
    account.node(node, "converted", "MADT (performance interrupts of the processors)");
    account.property(node, "compatible", "left-out", "the processor's identification registers say it");
    account.properties(node, ["interrupts", "interrupts-extended"], "converted", "MADT");
    account.properties(node, ["interrupt-affinity", "interrupt-parent", "status"], "used", "MADT");
    if (property === undefined) continue;
    const wires = interrupts.gicWires(node);
    const phandles = (node.cells("interrupt-affinity") ?? []).slice(0, MOST_PROCESSORS);
    const affinity = phandles.map((phandle) => index.byPhandle(phandle));
    processors.forEach((processor, position) => {
      effort.spend(affinity.length + 1);
      const at = affinity.length > 0 ? affinity.indexOf(processor.node) : position;
      // One private interrupt stands for all processors.
      const wire = wires.length === 1 ? wires[0] : wires[at];
      if (wire !== undefined && !found.has(processor)) {
        found.set(processor, { id: wire.id, trigger: wire.signal.mode });
      }
    });
  }
  return found;
}

export function isPerformanceMonitor(node: TreeNode): boolean {
  return node.compatible.some((name) =>
    /^(arm,(armv8-pmuv3|cortex-[ax]\d+\w*-pmu|neoverse-\w+-pmu)|apm,potenza-pmu|brcm,vulcan-pmu|cavium,thunder-pmu|nvidia,\w+-pmu|apple,\w+-pmu)$/.test(
      name,
    ),
  );
}

const GEOMETRY = ["size", "sets", "line-size"] as const;
const LEVEL_ONE = { data: "d-cache", instruction: "i-cache", unified: "cache" } as const;

/** Reads caches and clusters: PPTT's hierarchy. */
export class TopologyReader {
  readonly #conversion: Conversion;
  readonly #caches = new Map<TreeNode, CacheDescription>();

  constructor(conversion: Conversion) {
    this.#conversion = conversion;
  }

  /** One package for each socket of /cpus/cpu-map; without one, a package for all processors. */
  read(processors: readonly Processor[]): TopologyNode[] {
    const { index, account } = this.#conversion;
    const map = index.root.child("cpus")?.child("cpu-map");
    const leaves = new Map(processors.map((processor) => [processor.node, this.#core(processor)]));
    if (map === undefined) return [{ package: true, children: [...leaves.values()] }];
    for (const node of map.walk()) {
      account.node(node, "converted", "PPTT");
      account.property(node, "cpu", "converted", "PPTT");
    }
    const placed = new Set<TreeNode>();
    const parts = this.#parts(map, leaves, placed);
    const missing = processors.filter(({ node }) => !placed.has(node)).map(({ node }) => leaves.get(node)!);
    if (missing.length > 0)
      account.warn(map, undefined, `It leaves out ${missing.length} of the processors.`);
    const sockets = map.children.some(({ name }) => /^socket\d+$/.test(name));
    const all = [...parts, ...missing];
    if (sockets && missing.length === 0) return all.map((socket) => ({ ...socket, package: true }));
    return [{ package: true, children: all }];
  }

  #parts(node: TreeNode, leaves: ReadonlyMap<TreeNode, TopologyNode>, placed: Set<TreeNode>): TopologyNode[] {
    const found: TopologyNode[] = [];
    for (const child of node.children) {
      const cpu = this.#conversion.index.byPhandle(child.cell("cpu"));
      const leaf = cpu === undefined ? undefined : leaves.get(cpu);
      if (cpu !== undefined && leaf !== undefined && !placed.has(cpu)) {
        placed.add(cpu);
        found.push(/^thread\d+$/.test(child.name) ? { ...leaf, thread: true } : leaf);
        continue;
      }
      const children = this.#parts(child, leaves, placed);
      if (children.length > 0) found.push({ children });
    }
    return found;
  }

  #core({ node, uid }: Processor): TopologyNode {
    const next = this.#nextCache(node, 0);
    const caches = (["data", "instruction", "unified"] as const)
      .filter((kind) => GEOMETRY.some((fact) => node.has(`${LEVEL_ONE[kind]}-${fact}`)))
      .map((kind) => this.#describe(node, kind, next));
    return { uid, caches: caches.length > 0 || next === undefined ? caches : [next] };
  }

  /** The cache that `next-level-cache` of a processor or a cache names, with those behind it. */
  #nextCache(node: TreeNode, depth: number): CacheDescription | undefined {
    const { index, account } = this.#conversion;
    account.property(node, "next-level-cache", "converted", "PPTT");
    if (!node.has("next-level-cache") || depth > 8) return undefined;
    const target = index.byPhandle(node.cell("next-level-cache"));
    if (target === undefined) {
      account.warn(node, "next-level-cache", "It names no node.");
      return undefined;
    }
    const known = this.#caches.get(target);
    if (known !== undefined) return known;
    account.node(target, "converted", "PPTT");
    account.properties(target, ["cache-level", "cache-unified", "compatible", "status"], "used", "PPTT");
    const cache = this.#describe(target, "unified", this.#nextCache(target, depth + 1));
    this.#caches.set(target, cache);
    return cache;
  }

  #describe(
    node: TreeNode,
    kind: keyof typeof LEVEL_ONE,
    next: CacheDescription | undefined,
  ): CacheDescription {
    const fact = (name: string): number | undefined => {
      const property = `${LEVEL_ONE[kind]}-${name}`;
      this.#conversion.account.property(node, property, "converted", "PPTT");
      return node.cell(property);
    };
    const [size, sets, lineSize] = [fact("size"), fact("sets"), fact("line-size") ?? fact("block-size")];
    const ways = size && sets && lineSize ? size / sets / lineSize : undefined;
    const fits = ways !== undefined && Number.isInteger(ways) && ways > 0 && ways < 256;
    return {
      kind,
      size,
      sets,
      lineSize: lineSize !== undefined && lineSize < 65536 ? lineSize : undefined,
      ways: fits ? ways : undefined,
      next,
    };
  }
}

/** True for what only PPTT speaks of: caches, and the map of processors. */
export function isTopology(node: TreeNode, index: TreeIndex): boolean {
  if (!node.path.startsWith("/cpus/") && !node.isCompatible("cache")) return false;
  if (node.isCompatible("cache")) return true;
  const map = index.root.child("cpus")?.child("cpu-map");
  return map !== undefined && (node === map || node.path.startsWith(`${map.path}/`));
}

/** Idle states of processors and clusters. */
export function isIdleState(node: TreeNode): boolean {
  return (
    node.isCompatible("arm,idle-state", "domain-idle-state") ||
    (node.baseName === "idle-states" && node.compatible.length === 0) ||
    (node.baseName === "domain-idle-states" && node.compatible.length === 0)
  );
}
