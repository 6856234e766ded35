import type { InterruptSignal } from "../aml/resources.ts";
import type { Account } from "./account.ts";
import type { Effort } from "./context.ts";
import {
  GIC_KINDS,
  GIC_V2,
  GIC_V3,
  PINS_PER_BANK,
  TRANSPARENT_CONTROLLERS,
} from "./interrupt-controllers.ts";
import type { TreeIndex, TreeNode } from "./tree-index.ts";

/** Where a device's interrupt goes. */
export type Wire =
  /** To the GIC: an INTID, which is ACPI's global system interrupt. */
  | { readonly kind: "gic"; readonly id: number; readonly signal: InterruptSignal }
  /** To a pin of a GPIO controller. */
  | {
      readonly kind: "gpio";
      readonly controller: TreeNode;
      readonly pin: number;
      readonly signal: InterruptSignal;
    }
  /** To an input of another controller, which has a driver of its own. */
  | {
      readonly kind: "controller";
      readonly controller: TreeNode;
      readonly input: number;
      readonly signal: InterruptSignal;
    }
  /** Somewhere that tables cannot say; `reason` is a sentence. */
  | { readonly kind: "unknown"; readonly reason: string };

/** A specifier on its way: who is to understand it, and its cells. */
interface Specifier {
  readonly controller: TreeNode;
  readonly cells: readonly number[];
}

const LEVEL_HIGH: InterruptSignal = { mode: "level", polarity: "active-high" };
/** Trigger flags of the interrupt bindings' last cell (Linux, "interrupt-controller/interrupts.txt"). */
const SIGNALS: Readonly<Record<number, InterruptSignal>> = {
  0: LEVEL_HIGH,
  1: { mode: "edge", polarity: "active-high" },
  2: { mode: "edge", polarity: "active-low" },
  3: { mode: "edge", polarity: "active-both" },
  4: LEVEL_HIGH,
  8: { mode: "level", polarity: "active-low" },
};
const TRIGGER_BITS = 0xf;
/** Maps between a device and the controller that understands its interrupts. */
const MOST_MAPS = 8;
/** Interrupts of one device that are looked at. */
const MOST_INTERRUPTS = 1024;
const MOST_SPECIFIER_CELLS = 16;

/** Follows interrupts from devices to controllers (Devicetree Specification v0.4, section 2.4). */
export class InterruptReader {
  readonly #index: TreeIndex;
  readonly #account: Account;
  readonly #effort: Effort | undefined;

  constructor(index: TreeIndex, account: Account, effort?: Effort) {
    this.#index = index;
    this.#account = account;
    this.#effort = effort;
  }

  /** The property that names a node's interrupts. */
  propertyOf(node: TreeNode): "interrupts-extended" | "interrupts" | undefined {
    if (node.has("interrupts-extended")) return "interrupts-extended";
    return node.has("interrupts") ? "interrupts" : undefined;
  }

  /** Where each of a node's interrupts goes, in their order; faults are unknown wires and warnings. */
  wires(node: TreeNode): Wire[] {
    const property = this.propertyOf(node);
    if (property === undefined) return [];
    const wires = this.#specifiers(node, property).map((specifier) => this.resolve(specifier, node));
    for (const wire of wires) if (wire.kind === "unknown") this.#account.warn(node, property, wire.reason);
    return wires;
  }

  /** The INTIDs of a node's interrupts that reach the GIC; the others are undefined. */
  gicWires(node: TreeNode): ({ id: number; signal: InterruptSignal } | undefined)[] {
    return this.wires(node).map((wire) => (wire.kind === "gic" ? wire : undefined));
  }

  #specifiers(node: TreeNode, property: "interrupts" | "interrupts-extended"): Specifier[] {
    const cells = node.cells(property);
    if (cells === undefined) {
      this.#account.warn(node, property, "It is no list of cells.");
      return [];
    }
    const parent = property === "interrupts" ? this.#parentOf(node) : undefined;
    if (property === "interrupts" && parent === undefined) {
      this.#account.warn(node, property, "No node above it says where interrupts go.");
      return [];
    }
    const found: Specifier[] = [];
    for (let at = 0; at < cells.length && found.length < MOST_INTERRUPTS; ) {
      const controller = parent ?? this.#index.byPhandle(cells[at]);
      if (parent === undefined) at += 1;
      const count = controller?.cell("#interrupt-cells");
      if (controller === undefined || count === undefined || count > MOST_SPECIFIER_CELLS) {
        this.#account.warn(node, property, `Cell ${Math.max(0, at - 1)} names no interrupt controller.`);
        return found;
      }
      if (at + count > cells.length || (count === 0 && parent !== undefined)) {
        this.#account.warn(node, property, `It ends within an interrupt of ${controller.path}.`);
        return found;
      }
      found.push({ controller, cells: cells.slice(at, at + count) });
      at += count;
    }
    return found;
  }

  /** The node whose specifiers a node uses: the nearest one that is named, or that is a controller itself. */
  #parentOf(node: TreeNode): TreeNode | undefined {
    for (let at: TreeNode | undefined = node; at !== undefined; at = at.parent) {
      const named = at.cell("interrupt-parent");
      // The root may say 0 for "none".
      if (named !== undefined) return this.#index.byPhandle(named);
      if (at !== node && (at.has("interrupt-controller") || at.has("interrupt-map"))) return at;
    }
    return undefined;
  }

  /** Leads a specifier through maps to whom it is for. `node` is where it began: its address selects in maps. */
  resolve(specifier: Specifier, node: TreeNode): Wire {
    let { controller, cells } = specifier;
    let unit: readonly number[] = node.cells("reg") ?? [];
    for (let step = 0; step < MOST_MAPS; step++) {
      if (!controller.has("interrupt-map")) return this.#understand(controller, cells);
      const next = this.rowFor(controller, unit, cells);
      if (next === undefined) {
        return { kind: "unknown", reason: `The interrupt map of ${controller.path} has no row for it.` };
      }
      ({ controller, cells, unit } = next);
    }
    return { kind: "unknown", reason: `It goes through more than ${MOST_MAPS} interrupt maps.` };
  }

  /** The first row of an interrupt map for an interrupt of a device at `unit` that looks like `specifier`. */
  rowFor(nexus: TreeNode, unit: readonly number[], specifier: readonly number[]): MapRow | undefined {
    const rows = this.#mapRows(nexus);
    const at = rows.findIndex((row) => row.accepts(unit, specifier));
    this.#effort?.spend(at < 0 ? rows.length : at + 1);
    return rows[at];
  }

  /** The rows of an interrupt map (section 2.4.3); none where it is faulty. */
  #mapRows(nexus: TreeNode): readonly MapRow[] {
    const known = this.#maps.get(nexus);
    if (known !== undefined) return known;
    // Some trees leave out the controller's unit address although the controller counts one.
    const rows = this.#readMap(nexus, "with-address") ?? this.#readMap(nexus, "without-address");
    if (rows === undefined) this.#account.warn(nexus, "interrupt-map", "It is no interrupt map.");
    this.#maps.set(nexus, rows ?? []);
    return rows ?? [];
  }

  readonly #maps = new Map<TreeNode, readonly MapRow[]>();

  #readMap(nexus: TreeNode, form: "with-address" | "without-address"): MapRow[] | undefined {
    const cells = nexus.cells("interrupt-map");
    const address = nexus.cell("#address-cells") ?? 2;
    const interrupt = nexus.cell("#interrupt-cells");
    if (cells === undefined || interrupt === undefined || address + interrupt > MOST_SPECIFIER_CELLS)
      return undefined;
    const mask =
      nexus.cells("interrupt-map-mask") ?? Array.from({ length: address + interrupt }, () => 0xffff_ffff);
    if (mask.length !== address + interrupt) return undefined;
    const rows: MapRow[] = [];
    for (let at = 0; at < cells.length; ) {
      const key = cells.slice(at, at + address + interrupt);
      at += address + interrupt;
      const controller = this.#index.byPhandle(cells[at]);
      at += 1;
      // Without #address-cells the controller's inputs have no addresses (section 2.4.3.1).
      const parentAddress = form === "without-address" ? 0 : (controller?.cell("#address-cells") ?? 0);
      const parentInterrupt = controller?.cell("#interrupt-cells");
      if (controller === undefined || parentInterrupt === undefined) return undefined;
      const end = at + parentAddress + parentInterrupt;
      if (end > cells.length) return undefined;
      rows.push(
        new MapRow(
          address,
          mask,
          key,
          controller,
          cells.slice(at, at + parentAddress),
          cells.slice(at + parentAddress, end),
        ),
      );
      at = end;
    }
    return rows;
  }

  #understand(controller: TreeNode, cells: readonly number[]): Wire {
    if (controller.isCompatible(...GIC_V2, ...GIC_V3, ...TRANSPARENT_CONTROLLERS)) {
      return gicWire(controller, cells);
    }
    const flags = cells.length > 1 ? cells.at(-1)! & TRIGGER_BITS : 0;
    const signal = SIGNALS[flags] ?? LEVEL_HIGH;
    if (controller.has("gpio-controller") && cells.length >= 2) {
      const pin = pinNumber(controller, cells.slice(0, -1));
      if (pin !== undefined) return { kind: "gpio", controller, pin, signal };
    } else if (cells.length <= 2) {
      return { kind: "controller", controller, input: cells[0] ?? 0, signal };
    }
    const name = controller.compatible[0] ?? controller.path;
    return {
      kind: "unknown",
      reason: `The interrupt controller ${name} has specifiers of ${cells.length} cells, and ACPI takes one number.`,
    };
  }
}

/** The pin that cells without the flags name; undefined where the controller's way of counting is not known. */
export function pinNumber(controller: TreeNode, cells: readonly number[]): number | undefined {
  let pin = cells[0];
  if (cells.length === 2 && pin !== undefined) {
    const perBank = controller.compatible
      .map((name) => PINS_PER_BANK[name])
      .find((count) => count !== undefined);
    if (perBank === undefined) return undefined;
    pin = pin * perBank + cells[1]!;
  } else if (cells.length !== 1) return undefined;
  return pin !== undefined && pin <= 0xffff ? pin : undefined;
}

function gicWire(controller: TreeNode, cells: readonly number[]): Wire {
  const [kind = 0, number = 0, flags = 0] = cells;
  const numbers = GIC_KINDS[kind];
  if (cells.length < 3 || numbers === undefined || number >= numbers.count) {
    const text = cells.map((cell) => cell.toString()).join(" ");
    return {
      kind: "unknown",
      reason: `The interrupt controller ${controller.path} has no interrupt <${text}>.`,
    };
  }
  return { kind: "gic", id: numbers.first + number, signal: SIGNALS[flags & TRIGGER_BITS] ?? LEVEL_HIGH };
}

/** One row of an interrupt map. */
export class MapRow {
  readonly controller: TreeNode;
  /** Specifier at that controller, and the address there. */
  readonly cells: readonly number[];
  readonly unit: readonly number[];
  readonly #addressCells: number;
  readonly #mask: readonly number[];
  readonly #key: readonly number[];

  constructor(
    addressCells: number,
    mask: readonly number[],
    key: readonly number[],
    controller: TreeNode,
    unit: readonly number[],
    cells: readonly number[],
  ) {
    this.#addressCells = addressCells;
    this.#mask = mask;
    this.#key = key;
    this.controller = controller;
    this.unit = unit;
    this.cells = cells;
  }

  /** True for an interrupt of a device at `unit` that looks like `specifier`. */
  accepts(unit: readonly number[], specifier: readonly number[]): boolean {
    return this.#key.every((want, at) => {
      const given = at < this.#addressCells ? (unit[at] ?? 0) : (specifier[at - this.#addressCells] ?? 0);
      const mask = this.#mask[at]!;
      return ((given ^ want) & mask) === 0;
    });
  }
}
