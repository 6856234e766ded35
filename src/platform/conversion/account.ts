import type { TreeNode } from "./tree-index.ts";

/** What became of a node or a property. */
export type Disposition =
  /** It is in a table. */
  | "converted"
  /** It was needed to make tables, which say the same in another way. */
  | "used"
  /** No table says it, and `how` gives the reason. */
  | "left-out";

/** One entry of a report. */
export interface Fate {
  readonly disposition: Disposition;
  /** Where it went, or why it did not. */
  readonly how: string;
}

/** Something that a table should say and cannot, because the tree is faulty or uses what is not known here. */
export interface ConversionWarning {
  readonly path: string;
  readonly property: string | undefined;
  /** A sentence. */
  readonly text: string;
}

/** Keeps the books: every node and every property gets a fate. */
export class Account {
  readonly warnings: ConversionWarning[] = [];
  readonly #nodes = new Map<TreeNode, Fate>();
  readonly #properties = new Map<TreeNode, Map<string, Fate>>();

  /** The first entry for a node stands; so does the first one for a property. */
  node(node: TreeNode, disposition: Disposition, how: string): void {
    if (!this.#nodes.has(node)) this.#nodes.set(node, { disposition, how });
  }

  property(node: TreeNode, name: string, disposition: Disposition, how: string): void {
    if (!node.has(name)) return;
    const fates = this.#properties.get(node) ?? new Map<string, Fate>();
    this.#properties.set(node, fates);
    if (!fates.has(name)) fates.set(name, { disposition, how });
  }

  /** Several properties with one fate. */
  properties(node: TreeNode, names: readonly string[], disposition: Disposition, how: string): void {
    for (const name of names) this.property(node, name, disposition, how);
  }

  warn(node: TreeNode, property: string | undefined, text: string): void {
    this.warnings.push({ path: node.path, property, text });
  }

  fateOf(node: TreeNode): Fate | undefined {
    return this.#nodes.get(node);
  }

  fateOfProperty(node: TreeNode, property: string): Fate | undefined {
    return this.#properties.get(node)?.get(property);
  }
}
