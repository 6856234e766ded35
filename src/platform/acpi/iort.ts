import { ByteWriter } from "../../base/byte-writer.ts";
import { Bug } from "../../base/errors.ts";
import { acpiTable, TABLE_HEADER_SIZE, type TableIdentity } from "./table.ts";

/** A range of device ids that leave a node, and what they become at the node that they enter. */
export interface IdMapping {
  readonly inputBase: number;
  /** Ids in the range, at least 1. */
  readonly count: number;
  readonly outputBase: number;
  /** {@link IortNode.id} of the node that they enter: an SMMU or an ITS group. */
  readonly output: string;
  /** The range is one id, and the input is not looked at. */
  readonly single?: boolean;
}

/** An interrupt wire of an SMMU: an INTID. */
export interface SmmuInterrupt {
  readonly id: number;
  readonly trigger: "level" | "edge";
}

/** How a device sees memory. */
export interface MemoryAccess {
  readonly coherent: boolean;
  /** Bits of the addresses that the device can make. */
  readonly addressBits: number;
}

interface NodeCommon {
  /** What mappings call this node; it is not in the table. */
  readonly id: string;
  readonly mappings?: readonly IdMapping[];
}

/** A node of the table (Arm DEN 0049, "IO Remapping Table", section 3). */
export type IortNode =
  | (NodeCommon & { readonly kind: "its-group"; readonly translationServices: readonly number[] })
  | (NodeCommon & {
      readonly kind: "root-complex";
      readonly segment: number;
      readonly addressTranslationServices?: boolean;
      readonly access: MemoryAccess;
    })
  | (NodeCommon & {
      readonly kind: "named-component";
      /** The device's full path in the namespace, such as "\\_SB.NET0". */
      readonly path: string;
      readonly access: MemoryAccess;
    })
  | (NodeCommon & {
      readonly kind: "smmu";
      readonly base: number;
      readonly size: number;
      readonly model: keyof typeof SMMU_MODEL;
      readonly coherent: boolean;
      readonly globalInterrupt: SmmuInterrupt;
      readonly contextInterrupts: readonly SmmuInterrupt[];
    })
  | (NodeCommon & {
      readonly kind: "smmu-v3";
      readonly base: number;
      readonly coherent: boolean;
      /** INTIDs; 0 or left out where the wire does not exist. */
      readonly eventInterrupt?: number | undefined;
      readonly pageRequestInterrupt?: number | undefined;
      readonly errorInterrupt?: number | undefined;
      readonly syncInterrupt?: number | undefined;
    });

/** Models of SMMUs of versions 1 and 2. */
export const SMMU_MODEL = { v1: 0, v2: 1, "mmu-400": 2, "mmu-500": 3, "mmu-401": 4, thunderx: 5 } as const;

/** Node types, and the revision of each node's format in a table of revision 0 and of revision 3. */
const NODE_TYPE = {
  "its-group": { type: 0, revision: { 0: 0, 3: 1 } },
  "named-component": { type: 1, revision: { 0: 1, 3: 4 } },
  "root-complex": { type: 2, revision: { 0: 1, 3: 3 } },
  smmu: { type: 3, revision: { 0: 1, 3: 3 } },
  "smmu-v3": { type: 4, revision: { 0: 1, 3: 4 } },
} as const;

const NODE_HEADER = 16;
const SINGLE_MAPPING = 1;
/** Memory access flags: the path is coherent, and the device's attributes are taken as they are. */
const COHERENT_PATH = 3;
const SMMU_COHERENT = 1 << 1;
const SMMU_V3_COHERENT = 1 << 0;

/**
 * The IO Remapping Table. What a mapping leads to must be among `nodes`. Revision 3 numbers the nodes; readers
 * of revision 0, such as older versions of ACPICA's compiler, take the numbers for faults.
 */
export function writeIort(
  nodes: readonly IortNode[],
  identity?: TableIdentity,
  revision: 0 | 3 = 3,
): Uint8Array {
  const start = TABLE_HEADER_SIZE + 12;
  const contents = nodes.map(nodeContent);
  const places = new Map<string, number>();
  let place = start;
  nodes.forEach(({ id, mappings = [] }, index) => {
    places.set(id, place);
    place += NODE_HEADER + contents[index]!.length + mappings.length * 20;
  });
  const body = new ByteWriter().u32(nodes.length).u32(start).u32(0);
  nodes.forEach(({ kind, mappings = [] }, index) => {
    const content = contents[index]!;
    const mappingsAt = NODE_HEADER + content.length;
    body.u8(NODE_TYPE[kind].type).u16(mappingsAt + mappings.length * 20);
    body.u8(NODE_TYPE[kind].revision[revision]).u32(revision === 0 ? 0 : index);
    body.u32(mappings.length).u32(mappings.length === 0 ? 0 : mappingsAt);
    body.bytes(content);
    for (const { inputBase, count, outputBase, output, single } of mappings) {
      const target = places.get(output);
      if (target === undefined) throw new Bug(`the IORT has no node called ${output}`);
      // The table holds the number of ids less one.
      body
        .u32(inputBase)
        .u32(count - 1)
        .u32(outputBase)
        .u32(target);
      body.u32(single === true ? SINGLE_MAPPING : 0);
    }
  });
  return acpiTable("IORT", revision, body.finish(), identity);
}

/** What follows a node's header, a multiple of 4 bytes. */
function nodeContent(node: IortNode): Uint8Array {
  const content = new ByteWriter();
  switch (node.kind) {
    case "its-group":
      content.u32(node.translationServices.length);
      for (const id of node.translationServices) content.u32(id);
      break;
    case "root-complex":
      writeAccess(content, node.access);
      content.u32(node.addressTranslationServices === true ? 1 : 0).u32(node.segment);
      content.u8(node.access.addressBits).zeros(3);
      break;
    case "named-component":
      content.u32(0);
      writeAccess(content, node.access);
      content
        .u8(node.access.addressBits)
        .text(node.path, node.path.length + 1)
        // At least one byte of padding: iasl cannot read back a name that ends at a boundary.
        .zeros(1)
        .align(4);
      break;
    case "smmu":
      writeSmmu(content, node);
      break;
    case "smmu-v3":
      content
        .u64(node.base)
        .u32(node.coherent ? SMMU_V3_COHERENT : 0)
        .u32(0)
        .u64(0)
        .u32(0);
      content.u32(node.eventInterrupt ?? 0).u32(node.pageRequestInterrupt ?? 0);
      content.u32(node.errorInterrupt ?? 0).u32(node.syncInterrupt ?? 0);
      // Proximity domain, and which mapping its own messages take.
      content.u32(0).u32(0);
      break;
  }
  return content.finish();
}

function writeAccess(content: ByteWriter, { coherent }: MemoryAccess): void {
  content
    .u32(coherent ? 1 : 0)
    .u8(0)
    .u16(0)
    .u8(coherent ? COHERENT_PATH : 0);
}

function writeSmmu(content: ByteWriter, node: Extract<IortNode, { kind: "smmu" }>): void {
  const globalAt = NODE_HEADER + 44;
  const contextsAt = globalAt + 16;
  content.u64(node.base).u64(node.size);
  content.u32(SMMU_MODEL[node.model]).u32(node.coherent ? SMMU_COHERENT : 0);
  content.u32(globalAt).u32(node.contextInterrupts.length).u32(contextsAt);
  // Performance monitors, of which there are none: their list would follow.
  content.u32(0).u32(contextsAt + 8 * node.contextInterrupts.length);
  writeSmmuInterrupt(content, node.globalInterrupt);
  // Secure software's configuration access fault, which has no wire.
  content.u32(0).u32(0);
  for (const interrupt of node.contextInterrupts) writeSmmuInterrupt(content, interrupt);
}

function writeSmmuInterrupt(content: ByteWriter, { id, trigger }: SmmuInterrupt): void {
  content.u32(id).u32(trigger === "edge" ? 1 : 0);
}
