import { decodeCells, decodeStrings } from "../device-tree/property-values.ts";
import { baseName, type DeviceTree, type DeviceTreeNode } from "../device-tree/tree.ts";

/** A node with its surroundings, and its properties decoded as they are asked for. */
export class TreeNode {
  readonly path: string;
  /** Name without the unit address. */
  readonly baseName: string;
  /** Undefined for the root. */
  readonly parent: TreeNode | undefined;
  readonly children: readonly TreeNode[];
  readonly properties: ReadonlyMap<string, Uint8Array>;
  /** With its unit address. */
  readonly name: string;
  /** Neither it nor a node above it says that it must not be used. */
  readonly enabled: boolean;
  readonly compatible: readonly string[];
  readonly #cells = new Map<string, readonly number[] | undefined>();
  #byName: ReadonlyMap<string, TreeNode> | undefined;

  constructor(node: DeviceTreeNode, parent: TreeNode | undefined) {
    this.name = node.name;
    this.baseName = baseName(node);
    this.parent = parent;
    this.path = parent === undefined ? "/" : `${parent.path === "/" ? "" : parent.path}/${node.name}`;
    this.properties = node.properties;
    this.compatible = this.strings("compatible");
    this.enabled = this.statusOkay && parent?.enabled !== false;
    this.children = node.children.map((child) => new TreeNode(child, this));
  }

  /** Its own status (Devicetree Specification v0.4, section 2.3.4). */
  get statusOkay(): boolean {
    const status = this.text("status");
    return status === undefined || status === "okay" || status === "ok";
  }

  has(property: string): boolean {
    return this.properties.has(property);
  }

  /** The u32 cells of a property; undefined where it is absent or no list of cells. */
  cells(property: string): readonly number[] | undefined {
    if (this.#cells.has(property)) return this.#cells.get(property);
    const value = this.properties.get(property);
    const cells = value === undefined ? undefined : decodeCells(value);
    this.#cells.set(property, cells);
    return cells;
  }

  /** The only cell of a property. */
  cell(property: string): number | undefined {
    const cells = this.cells(property);
    return cells?.length === 1 ? cells[0] : undefined;
  }

  strings(property: string): readonly string[] {
    return decodeStrings(this.properties.get(property) ?? new Uint8Array(0)) ?? [];
  }

  text(property: string): string | undefined {
    return this.strings(property)[0];
  }

  isCompatible(...names: readonly string[]): boolean {
    return this.compatible.some((name) => names.includes(name));
  }

  /** The first child with this name, with or without its unit address. */
  child(name: string): TreeNode | undefined {
    this.#byName ??= namesOf(this.children);
    return this.#byName.get(name);
  }

  /** Parents before their children. */
  *walk(): Generator<TreeNode> {
    yield this;
    for (const child of this.children) yield* child.walk();
  }
}

function namesOf(nodes: readonly TreeNode[]): Map<string, TreeNode> {
  const names = new Map<string, TreeNode>();
  for (const node of nodes) {
    for (const name of [node.name, node.baseName]) if (!names.has(name)) names.set(name, node);
  }
  return names;
}

function collect(node: TreeNode, nodes: TreeNode[]): void {
  nodes.push(node);
  for (const child of node.children) collect(child, nodes);
}

/** Cells of an address and of a size below a node that does not say it (section 2.3.5). */
const DEFAULT_ADDRESS_CELLS = 2;
const DEFAULT_SIZE_CELLS = 1;

/** How a node counts the addresses of its children. */
export function cellCounts(node: TreeNode | undefined): { readonly address: number; readonly size: number } {
  return {
    address: node?.cell("#address-cells") ?? DEFAULT_ADDRESS_CELLS,
    size: node?.cell("#size-cells") ?? DEFAULT_SIZE_CELLS,
  };
}

/** A device tree that can be asked for nodes by path, phandle and kind. */
export class TreeIndex {
  readonly root: TreeNode;
  /** Every node, parents first. */
  readonly nodes: readonly TreeNode[];
  readonly #byPhandle = new Map<number, TreeNode>();
  readonly #byPath = new Map<string, TreeNode>();

  constructor(tree: DeviceTree) {
    this.root = new TreeNode(tree.root, undefined);
    const nodes: TreeNode[] = [];
    collect(this.root, nodes);
    this.nodes = nodes;
    for (const node of this.nodes) {
      this.#byPath.set(node.path, node);
      const phandle = node.cell("phandle") ?? node.cell("linux,phandle");
      if (phandle !== undefined && !this.#byPhandle.has(phandle)) this.#byPhandle.set(phandle, node);
    }
  }

  byPhandle(phandle: number | undefined): TreeNode | undefined {
    return phandle === undefined ? undefined : this.#byPhandle.get(phandle);
  }

  /** By an absolute path, or one that begins with an alias; options after ":" are not looked at. */
  byPath(path: string): TreeNode | undefined {
    const [place = ""] = path.split(":");
    if (place.startsWith("/")) return this.#byPath.get(place) ?? this.#lookUp(place);
    const [alias = "", ...rest] = place.split("/");
    const base = this.#byPath.get("/aliases")?.text(alias);
    if (base === undefined || !base.startsWith("/")) return undefined;
    return this.byPath([base, ...rest].join("/"));
  }

  /** Names without their unit addresses will do where they are clear. */
  #lookUp(path: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.root;
    for (const name of path.split("/")) if (name !== "") node = node?.child(name);
    return node;
  }

  /** The enabled nodes that any of these names fits. */
  compatibleWith(...names: readonly string[]): TreeNode[] {
    return this.nodes.filter((node) => node.enabled && node.isCompatible(...names));
  }
}
