import { Bug } from "../../base/errors.ts";
import type { PropertyElement } from "../aml/device-properties.ts";
import type { TreeIndex, TreeNode } from "./tree-index.ts";

/** Where a node is in the namespace. */
export type Place =
  /** A device of its own. */
  | { readonly kind: "device"; readonly segment: string; readonly path: string }
  /** Hierarchical data of a device, in an object of that device. `trail`: names from the device down to it. */
  | {
      readonly kind: "data";
      readonly device: TreeNode;
      readonly object: string;
      readonly trail: readonly string[];
    };

/**
 * Names that devices must not have: objects that a host bridge defines itself, and words of ASL's grammar
 * (ACPI 6.5, section 19.2), which no compiler would take for names.
 */
const RESERVED_NAMES: readonly string[] = [
  ...["SUPP", "CTRL", "CDW1", "CDW2", "CDW3", "RES0"],
  ...["ARG0", "ARG1", "ARG2", "ARG3", "ARG4", "ARG5", "ARG6", "CASE", "CMOS", "EDGE", "ELSE", "IPMI", "LAND"],
  ...["LNOT", "LOAD", "LOCK", "NAME", "NAND", "NOOP", "ONES", "WAIT", "ZERO"],
];
const SYSTEM_BUS = "\\_SB";

/** Decides which nodes are devices, which are data below devices, and what they are called. */
export class Namespace {
  /** Children of each device, and of the system bus (undefined). */
  readonly devicesBelow = new Map<TreeNode | undefined, TreeNode[]>();
  readonly #places = new Map<TreeNode, Place>();
  readonly #used = new Map<TreeNode | undefined, Set<string>>();

  /** `elsewhere`: nodes that other tables describe. */
  constructor(index: TreeIndex, elsewhere: (node: TreeNode) => boolean) {
    const devices = new Set<TreeNode>();
    for (const node of index.nodes.toReversed()) {
      if (node.parent === undefined || elsewhere(node)) continue;
      if (
        node.compatible.length > 0 ||
        isController(node) ||
        node.children.some((child) => devices.has(child))
      )
        devices.add(node);
    }
    for (const node of index.nodes) this.#place(node, devices, elsewhere);
  }

  placeOf(node: TreeNode): Place | undefined {
    return this.#places.get(node);
  }

  /** What a property says instead of a phandle; undefined for a node that is not in the namespace. */
  reference(node: TreeNode): PropertyElement[] | undefined {
    const place = this.#places.get(node);
    if (place === undefined) return undefined;
    if (place.kind === "device") return [{ device: place.path }];
    const device = this.#places.get(place.device);
    return device?.kind === "device" ? [{ device: device.path }, ...place.trail] : undefined;
  }

  /** A name of four characters for something new in a device. */
  claim(scope: TreeNode | undefined, wish: string): string {
    const used = this.#used.get(scope) ?? new Set(RESERVED_NAMES);
    this.#used.set(scope, used);
    const letters = wish.toUpperCase().replace(/[^A-Z0-9]/g, "");
    const stem = /^[A-Z]/.test(letters) ? letters : `D${letters}`;
    const whole = stem.slice(0, 4);
    if (whole.length === 4 && !used.has(whole)) {
      used.add(whole);
      return whole;
    }
    // Short names are filled up with digits: padded ones might be words of ASL's grammar.
    const heads = [1, 2, 3].map((length) => stem.slice(0, length)).reverse();
    // When all 36^3 names with one letter are taken, the other letters are free: trees have fewer nodes than that.
    for (const head of [...heads, ..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"]) {
      const digits = 4 - head.length;
      const start = this.#next.get(scope)?.get(head) ?? 0;
      for (let number = start; number < 36 ** digits; number++) {
        const name = head + number.toString(36).toUpperCase().padStart(digits, "0");
        this.#remember(scope, head, number + 1);
        if (used.has(name)) continue;
        used.add(name);
        return name;
      }
    }
    throw new Bug(`no name is left for ${wish}`);
  }

  /** Where the search for a free number begins, so that many equal wishes do not cost their square. */
  readonly #next = new Map<TreeNode | undefined, Map<string, number>>();

  #remember(scope: TreeNode | undefined, head: string, number: number): void {
    const numbers = this.#next.get(scope) ?? new Map<string, number>();
    this.#next.set(scope, numbers);
    numbers.set(head, number);
  }

  #place(node: TreeNode, devices: ReadonlySet<TreeNode>, elsewhere: (node: TreeNode) => boolean): void {
    if (node.parent === undefined || elsewhere(node)) return;
    if (devices.has(node)) {
      const above = this.#deviceAbove(node);
      const segment = this.claim(above, node.baseName);
      const place = above === undefined ? undefined : this.#places.get(above);
      const prefix = place?.kind === "device" ? place.path : SYSTEM_BUS;
      this.#places.set(node, { kind: "device", segment, path: `${prefix}.${segment}` });
      const siblings = this.devicesBelow.get(above) ?? [];
      this.devicesBelow.set(above, siblings);
      siblings.push(node);
      return;
    }
    const parent = this.#places.get(node.parent);
    if (parent === undefined) return;
    const device = parent.kind === "device" ? node.parent : parent.device;
    const trail = parent.kind === "device" ? [] : parent.trail;
    // The ports of a graph hang on the device itself in ACPI.
    const ports = isPortContainer(node);
    this.#places.set(node, {
      kind: "data",
      device,
      object: ports ? "" : this.claim(device, node.baseName),
      trail: ports ? trail : [...trail, dataName(node)],
    });
  }

  #deviceAbove(node: TreeNode): TreeNode | undefined {
    for (let at = node.parent; at !== undefined; at = at.parent) {
      if (this.#places.get(at)?.kind === "device") return at;
    }
    return undefined;
  }
}

/** What interrupts or pins may lead to. It may be a part of a device, without a name for drivers. */
export function isController(node: TreeNode): boolean {
  return node.has("interrupt-controller") || node.has("gpio-controller");
}

/** The node `ports`, which only holds the ports of a graph (Linux, "bindings/graph.txt"). */
export function isPortContainer(node: TreeNode): boolean {
  return node.baseName === "ports" && node.children.some((child) => child.baseName === "port");
}

/** A port or an endpoint of a graph, which ACPI knows by "port@N" and "endpoint@N" with `reg`. */
export function isGraphNode(node: TreeNode): boolean {
  return node.baseName === "port" || node.baseName === "endpoint";
}

/** The name of a data node. AML's strings are ASCII, and so are the names of sound trees. */
export function dataName(node: TreeNode): string {
  const name = isGraphNode(node) && !node.name.includes("@") ? `${node.baseName}@0` : node.name;
  return name.replaceAll(/[^\x20-\x7e]/g, "?");
}
