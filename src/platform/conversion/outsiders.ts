import type { Conversion } from "./context.ts";
import { IDLE_REASON, isIdleState } from "./processors.ts";
import type { TreeNode } from "./tree-index.ts";

/** Nodes at the root that tell of the tree or of the boot, not of devices: name, and why no table has them. */
const OUTSIDERS: Readonly<Record<string, string>> = {
  aliases: "names for other nodes; ACPI's devices have names of their own",
  __symbols__: "names for overlays",
  __fixups__: "places for overlays",
  __local_fixups__: "places for overlays",
};

const CHOSEN_REASON = "the boot loader tells the system at its start";

/** Facts about the machine as a whole, which SMBIOS tells. */
const ROOT_PROPERTIES: Readonly<Record<string, string>> = {
  model: "SMBIOS tells it",
  compatible: "SMBIOS names the machine",
  "serial-number": "SMBIOS tells it",
  "chassis-type": "SMBIOS tells it",
};

/** True for such a node or one below it, other than devices below /chosen (frame buffers). */
export function isOutside(node: TreeNode): boolean {
  for (let at: TreeNode | undefined = node; at?.parent !== undefined; at = at.parent) {
    if (at.parent.parent === undefined && Object.hasOwn(OUTSIDERS, at.name)) return true;
  }
  return node.path === "/chosen";
}

/** Enters the fates of these nodes, and of the root's properties. */
export function settleOutsiders({ index, account }: Conversion): void {
  for (const node of index.nodes) {
    if (node.path === "/chosen") {
      account.node(node, "used", "SPCR and DBG2 are made from it");
    } else if (isOutside(node)) {
      const top = node.path.split("/")[1] ?? "";
      const reason = Object.hasOwn(OUTSIDERS, top) ? OUTSIDERS[top]! : "it tells of the boot";
      account.node(node, "left-out", reason);
      for (const property of node.properties.keys()) account.property(node, property, "left-out", reason);
    } else if (isIdleState(node)) account.node(node, "left-out", IDLE_REASON);
  }
  account.node(index.root, "used", "the system bus");
  for (const [name, reason] of Object.entries(ROOT_PROPERTIES)) {
    account.property(index.root, name, "left-out", reason);
  }
}

/** Fates of what nobody spoke about: at the end, when everything else has one. */
export function settleRest({ index, account }: Pick<Conversion, "index" | "account">): void {
  for (const node of index.nodes) {
    const known = account.fateOf(node);
    account.node(node, "left-out", restReason(node));
    const fate = known ?? account.fateOf(node)!;
    for (const property of node.properties.keys()) {
      if (PHANDLES.has(property)) account.property(node, property, "used", "references to it were led by it");
      else if (COUNTS.test(property)) account.property(node, property, "used", "it counts cells");
      else if (node.path === "/chosen") account.property(node, property, "left-out", CHOSEN_REASON);
      else if (property === "interrupt-parent")
        account.property(node, property, "used", "interrupts name their controllers");
      else if (property === "status")
        account.property(node, property, "used", "it decides whether the node is described");
      else if (fate.disposition === "left-out") account.property(node, property, "left-out", fate.how);
      else account.property(node, property, "left-out", `${fate.how} has no place for it`);
    }
  }
}

const PHANDLES: ReadonlySet<string> = new Set(["phandle", "linux,phandle"]);
const COUNTS = /^#.*-cells$/;

function restReason(node: TreeNode): string {
  if (!node.enabled) return "it is disabled, and only devices say so in ACPI";
  if (node.compatible.length === 0)
    return "it is no device, nor below one; only readers of device trees look there";
  return "no table has a place for it";
}
