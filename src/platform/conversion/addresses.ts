import type { Account } from "./account.ts";
import type { Effort } from "./context.ts";
import { cellCounts, type TreeNode } from "./tree-index.ts";

/** A range as the processors see it. */
export interface PhysicalRange {
  readonly base: number;
  /** At least 1. */
  readonly size: number;
}

/** One row of `ranges` or `dma-ranges`. */
export interface Window {
  /** First cell of an address that has three: the kind of space, in PCI's binding. */
  readonly high: number;
  /** Address on the bus below. */
  readonly child: bigint;
  /** Address on the bus above. */
  readonly parent: bigint;
  readonly size: bigint;
}

/** Physical addresses of the architecture have at most 52 bits. */
const PHYSICAL_LIMIT = 1n << 52n;
/** Rows of a `ranges` that are looked at, so that no tree can cost more than its size. */
const MOST_WINDOWS = 1024;
/** More cells than any binding uses. */
const MOST_CELLS = 4;
/** Buses whose addresses begin with a kind of space: what is there is found by asking the bus. */
const PCI_ADDRESS_CELLS = 3;

/** Cells, most significant first, as one number. */
export function joinCells(cells: readonly number[]): bigint {
  return cells.reduce((value, cell) => (value << 32n) | BigInt(cell), 0n);
}

/** Reads addresses and leads them up to the root. */
export class AddressReader {
  readonly #account: Account;
  readonly #effort: Effort | undefined;
  readonly #windows = new Map<TreeNode, Map<string, readonly Window[] | undefined>>();

  constructor(account: Account, effort?: Effort) {
    this.#account = account;
    this.#effort = effort;
  }

  /** True where the addresses of this node's children are, or become, physical addresses. */
  isMemoryMapped(parent: TreeNode | undefined): boolean {
    for (let bus = parent; bus?.parent !== undefined; bus = bus.parent) {
      if (!bus.has("ranges") || cellCounts(bus).address === PCI_ADDRESS_CELLS) return false;
    }
    const { address, size } = cellCounts(parent);
    return address > 0 && size > 0;
  }

  /** The physical ranges of `reg`; those that are faulty are left out with a warning. */
  registers(node: TreeNode): PhysicalRange[] {
    const cells = node.cells("reg");
    const { address, size } = cellCounts(node.parent);
    const stride = address + size;
    if (address > MOST_CELLS || size > MOST_CELLS || stride === 0) {
      this.#account.warn(
        node,
        "reg",
        `Its bus counts addresses in ${address} cells and sizes in ${size}, which is not known here.`,
      );
      return [];
    }
    if (cells === undefined || cells.length % stride !== 0) {
      this.#account.warn(node, "reg", `It is no list of entries of ${stride} cells, which its bus asks for.`);
      return [];
    }
    const found: PhysicalRange[] = [];
    for (let at = 0; at < cells.length; at += stride) {
      const base = joinCells(cells.slice(at, at + address));
      const length = joinCells(cells.slice(at + address, at + stride));
      if (length === 0n) continue;
      const physical = this.translate(node.parent, base, length);
      if (physical === undefined) {
        this.#account.warn(
          node,
          "reg",
          `Entry ${at / stride} at 0x${base.toString(16)} lies in no window of the buses above it.`,
        );
      } else found.push(physical);
    }
    return found;
  }

  /** An address on the bus of `parent`'s children as the processors see it. */
  translate(parent: TreeNode | undefined, base: bigint, size: bigint): PhysicalRange | undefined {
    let address = base;
    for (let bus = parent; bus?.parent !== undefined; bus = bus.parent) {
      const windows = this.windows(bus, "ranges");
      if (windows === undefined) {
        if (!bus.has("ranges")) return undefined;
        continue;
      }
      const at = windows.findIndex(({ child, size: length }) => address >= child && address < child + length);
      this.#effort?.spend(at < 0 ? windows.length : at + 1);
      const window = windows[at];
      if (window === undefined) return undefined;
      address = address - window.child + window.parent;
    }
    if (address + size > PHYSICAL_LIMIT) return undefined;
    return { base: Number(address), size: Number(size) };
  }

  /** The rows of `ranges` or `dma-ranges`; undefined where it is empty, absent or faulty: one to one, or nothing. */
  windows(bus: TreeNode, property: "ranges" | "dma-ranges"): readonly Window[] | undefined {
    const cached = this.#windows.get(bus) ?? new Map<string, readonly Window[] | undefined>();
    this.#windows.set(bus, cached);
    if (cached.has(property)) return cached.get(property);
    const windows = this.#readWindows(bus, property);
    cached.set(property, windows);
    return windows;
  }

  #readWindows(bus: TreeNode, property: "ranges" | "dma-ranges"): Window[] | undefined {
    const cells = bus.cells(property);
    if (!bus.has(property) || cells?.length === 0) return undefined;
    const { address, size } = cellCounts(bus);
    const above = cellCounts(bus.parent).address;
    const stride = address + above + size;
    const counted = [address, above, size].every((count) => count <= MOST_CELLS) && address > 0;
    if (cells === undefined || !counted || cells.length % stride !== 0) {
      this.#account.warn(
        bus,
        property,
        `It is no list of rows of ${stride} cells, which its cell counts ask for.`,
      );
      return [];
    }
    if (cells.length > stride * MOST_WINDOWS) {
      this.#account.warn(
        bus,
        property,
        `It has ${cells.length / stride} rows; only ${MOST_WINDOWS} are looked at.`,
      );
    }
    const windows: Window[] = [];
    for (let at = 0; at < Math.min(cells.length, stride * MOST_WINDOWS); at += stride) {
      const low = address === PCI_ADDRESS_CELLS ? at + 1 : at;
      windows.push({
        high: address === PCI_ADDRESS_CELLS ? cells[at]! : 0,
        child: joinCells(cells.slice(low, at + address)),
        parent: joinCells(cells.slice(at + address, at + address + above)),
        size: joinCells(cells.slice(at + address + above, at + stride)),
      });
    }
    return windows;
  }
}
