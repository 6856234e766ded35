import type { IdMapping, IortNode, SMMU_MODEL } from "../acpi/iort.ts";
import type { NamedConversion } from "./context.ts";
import { type HostTables, isCoherent } from "./pci-hosts.ts";
import type { TreeNode } from "./tree-index.ts";

/** SMMUs by `compatible`: versions 1 and 2 with their models, and version 3. */
const SMMU_MODELS: Readonly<Record<string, keyof typeof SMMU_MODEL>> = {
  "arm,smmu-v1": "v1",
  "arm,smmu-v2": "v2",
  "arm,mmu-400": "mmu-400",
  "arm,mmu-401": "mmu-401",
  "arm,mmu-500": "mmu-500",
  "cavium,smmu-v2": "thunderx",
};
const SMMU_V3 = "arm,smmu-v3";

/** True for what IORT describes. */
export function isArmSmmu(node: TreeNode): boolean {
  return node.isCompatible(SMMU_V3, ...Object.keys(SMMU_MODELS));
}

/** Bits of addresses that devices are taken to make, where the tree does not say. */
const ADDRESS_BITS = 64;
const ITS_GROUP = "its";

/** IORT's nodes: translation services, SMMUs, host bridges, and devices behind SMMUs. */
export function readRemapping(
  conversion: NamedConversion,
  hosts: readonly HostTables[],
  translationServices: ReadonlyMap<TreeNode, number>,
): IortNode[] {
  const reader = new RemappingReader(conversion, translationServices);
  const smmus = conversion.index.nodes
    .filter((node) => node.enabled && isArmSmmu(node))
    .map((node) => reader.smmu(node));
  const roots = hosts.map((host) => reader.host(host));
  const components = reader.components();
  const nodes = [...smmus, ...roots, ...components].filter((node) => node !== undefined);
  if (nodes.length === 0) return [];
  return [...reader.groups(), ...nodes];
}

class RemappingReader {
  readonly #conversion: NamedConversion;
  readonly #services: ReadonlyMap<TreeNode, number>;
  readonly #smmus = new Set<TreeNode>();

  constructor(conversion: NamedConversion, services: ReadonlyMap<TreeNode, number>) {
    this.#conversion = conversion;
    this.#services = services;
  }

  /** One group for each translation service. */
  groups(): IortNode[] {
    return [...this.#services.values()].map((id) => ({
      id: `${ITS_GROUP}${id}`,
      kind: "its-group",
      translationServices: [id],
    }));
  }

  smmu(node: TreeNode): IortNode | undefined {
    const { account, addresses, interrupts } = this.#conversion;
    const [registers] = addresses.registers(node);
    if (registers === undefined) return undefined;
    this.#smmus.add(node);
    account.node(node, "converted", "IORT");
    account.properties(
      node,
      [
        "compatible",
        "reg",
        "interrupts",
        "interrupts-extended",
        "interrupt-names",
        "dma-coherent",
        "#global-interrupts",
        "msi-parent",
      ],
      "converted",
      "IORT",
    );
    account.properties(node, ["#iommu-cells", "interrupt-parent", "status"], "used", "IORT");
    account.properties(
      node,
      ["clocks", "clock-names", "power-domains", "resets", "stream-match-mask"],
      "left-out",
      "IORT has no place for it; firmware keeps it running",
    );
    const wires = interrupts.gicWires(node);
    const coherent = isCoherent(node);
    if (node.isCompatible(SMMU_V3)) {
      const names = node.strings("interrupt-names");
      const wire = (name: string): number | undefined => wires[names.indexOf(name)]?.id;
      return {
        id: node.path,
        kind: "smmu-v3",
        base: registers.base,
        coherent,
        eventInterrupt: wire("eventq"),
        pageRequestInterrupt: wire("priq"),
        errorInterrupt: wire("gerror"),
        syncInterrupt: wire("cmdq-sync"),
      };
    }
    const globals = Math.min(node.cell("#global-interrupts") ?? 1, wires.length);
    const known = wires.map(
      (wire) => ({ id: wire?.id ?? 0, trigger: wire?.signal.mode ?? "level" }) as const,
    );
    const [global] = known;
    if (global === undefined) {
      account.warn(node, "interrupts", "IORT wants a global interrupt for an SMMU.");
      this.#smmus.delete(node);
      return undefined;
    }
    const model = node.compatible.flatMap((name) =>
      Object.hasOwn(SMMU_MODELS, name) ? [SMMU_MODELS[name]!] : [],
    )[0];
    return {
      id: node.path,
      kind: "smmu",
      base: registers.base,
      size: registers.size,
      model: model ?? "v2",
      coherent,
      globalInterrupt: global,
      contextInterrupts: known.slice(globals),
    };
  }

  host({ node, host }: HostTables): IortNode {
    const mappings = [
      ...this.#mapRows(node, "iommu-map", (target) => (this.#smmus.has(target) ? target.path : undefined)),
    ];
    if (mappings.length === 0) {
      mappings.push(...this.#mapRows(node, "msi-map", (target) => this.#group(target)));
      const parent = this.#conversion.index.byPhandle(node.cells("msi-parent")?.[0]);
      const output = parent === undefined ? undefined : this.#group(parent);
      if (mappings.length === 0 && output !== undefined) {
        mappings.push({ inputBase: 0, count: 0x1_0000, outputBase: 0, output });
      }
    }
    return {
      id: node.path,
      kind: "root-complex",
      segment: host.segment,
      addressTranslationServices: node.has("ats-supported"),
      access: { coherent: host.coherent, addressBits: ADDRESS_BITS },
      mappings,
    };
  }

  #group(node: TreeNode): string | undefined {
    const id = this.#services.get(node);
    return id === undefined ? undefined : `${ITS_GROUP}${id}`;
  }

  /** Rows of <rid-base phandle output-base length>. */
  #mapRows(node: TreeNode, property: string, output: (target: TreeNode) => string | undefined): IdMapping[] {
    const cells = node.cells(property);
    if (cells === undefined) return [];
    const mappings: IdMapping[] = [];
    for (let at = 0; at + 4 <= cells.length && mappings.length < 1024; at += 4) {
      const [inputBase = 0, phandle, outputBase = 0, count = 0] = cells.slice(at, at + 4);
      const target = this.#conversion.index.byPhandle(phandle);
      const name = target === undefined ? undefined : output(target);
      if (name === undefined || count === 0) {
        this.#conversion.account.warn(node, property, `Row ${at / 4} leads to nothing that IORT knows.`);
      } else mappings.push({ inputBase, count, outputBase, output: name });
    }
    return mappings;
  }

  /** Devices of the namespace that are behind an Arm SMMU. */
  components(): IortNode[] {
    const { index, account, namespace } = this.#conversion;
    const found: IortNode[] = [];
    for (const node of index.nodes) {
      const place = node.enabled && node.has("iommus") ? namespace.placeOf(node) : undefined;
      if (place?.kind !== "device") continue;
      const mappings = this.#streams(node);
      if (mappings.length === 0) continue;
      account.property(node, "iommus", "converted", "IORT");
      found.push({
        id: node.path,
        kind: "named-component",
        path: place.path,
        access: { coherent: isCoherent(node), addressBits: ADDRESS_BITS },
        mappings,
      });
    }
    return found;
  }

  /** A mapping for each stream of `iommus`; the SMMUs' second cell is a mask of bits that do not matter. */
  #streams(node: TreeNode): IdMapping[] {
    const { index, account } = this.#conversion;
    const cells = node.cells("iommus") ?? [];
    const mappings: IdMapping[] = [];
    for (let at = 0; at < cells.length && mappings.length < MOST_STREAMS; ) {
      const smmu = index.byPhandle(cells[at]);
      const count = smmu?.cell("#iommu-cells");
      if (smmu === undefined || count === undefined || count > 2 || !this.#smmus.has(smmu)) break;
      const [stream = 0, mask = 0] = cells.slice(at + 1, at + 1 + count);
      for (const id of maskedStreams(stream, mask)) {
        mappings.push({
          inputBase: mappings.length,
          count: 1,
          outputBase: id,
          output: smmu.path,
          single: true,
        });
      }
      if (maskedStreams(stream, mask).length === 0) {
        account.warn(node, "iommus", `The mask 0x${mask.toString(16)} stands for too many streams for IORT.`);
      }
      at += 1 + count;
    }
    return mappings;
  }
}

const MOST_STREAMS = 256;
/** Bits of a mask that are spelled out. */
const MOST_MASK_BITS = 6;

/** The stream ids that equal `stream` in all bits but those of `mask`; none where there are too many. */
function maskedStreams(stream: number, mask: number): number[] {
  const bits = Array.from({ length: 16 }, (_, bit) => bit).filter((bit) => ((mask >>> bit) & 1) === 1);
  if (bits.length > MOST_MASK_BITS || mask > 0xffff) return [];
  let ids = [(stream & ~mask) >>> 0];
  for (const bit of bits) ids = ids.flatMap((id) => [id, (id | (1 << bit)) >>> 0]);
  return ids;
}
