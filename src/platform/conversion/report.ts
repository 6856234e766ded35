import type { Account, ConversionWarning, Disposition, Fate } from "./account.ts";
import { settleRest } from "./outsiders.ts";
import type { TreeIndex } from "./tree-index.ts";

/** What became of one property. */
export interface PropertyReport extends Fate {
  readonly name: string;
}

/** What became of one node and all its properties. */
export interface NodeReport extends Fate {
  readonly path: string;
  readonly compatible: readonly string[];
  readonly properties: readonly PropertyReport[];
}

/** What became of a tree. */
export interface ConversionReport {
  readonly source: string;
  readonly model: string | undefined;
  /** Every node of the tree, in its order. */
  readonly nodes: readonly NodeReport[];
  readonly warnings: readonly ConversionWarning[];
}

/** The report on a conversion that has ended, one way or the other. */
export function makeReport(source: string, index: TreeIndex, account: Account): ConversionReport {
  settleRest({ index, account });
  return {
    source,
    model: index.root.text("model"),
    warnings: account.warnings,
    nodes: index.nodes.map((node) => ({
      path: node.path,
      compatible: node.compatible,
      ...account.fateOf(node)!,
      properties: [...node.properties.keys()].map((name) => ({
        name,
        ...account.fateOfProperty(node, name)!,
      })),
    })),
  };
}

const MARK: Readonly<Record<Disposition, string>> = { converted: "+", used: "=", "left-out": "-" };

/** The report for people: a line for each node, indented lines for its properties, warnings at the end. */
export function printReport({ source, model, nodes, warnings }: ConversionReport): string {
  const lines = [`${source}${model === undefined ? "" : ` (${model})`}`];
  lines.push("+ in a table   = needed to make tables, which say it in another way   - in no table", "");
  for (const node of nodes) {
    lines.push(`${MARK[node.disposition]} ${node.path}: ${node.how}`);
    for (const { name, disposition, how } of node.properties)
      lines.push(`    ${MARK[disposition]} ${name}: ${how}`);
  }
  if (warnings.length > 0) lines.push("", "Warnings:");
  for (const { path, property, text } of warnings) {
    lines.push(`  ${path}${property === undefined ? "" : `, ${property}`}: ${text}`);
  }
  const count = (disposition: Disposition): number =>
    nodes.filter((node) => node.disposition === disposition).length;
  lines.push(
    "",
    `${nodes.length} nodes: ${count("converted")} in tables, ${count("used")} used, ${count("left-out")} in no table; ` +
      `${warnings.length} warnings.`,
  );
  return `${lines.join("\n")}\n`;
}
