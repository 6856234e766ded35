import { PE_LAYOUT, SHADOW_HALF, SHADOW_LEAF } from "../../memory/pe-layout.ts";
import { isDevice } from "../memory-attributes.ts";
import type { Stage1Configuration } from "../regime.ts";
import type { TableGeometry } from "../table-geometry.ts";
import { REQUEST } from "../walk-request.ts";
import { FAST } from "./shadow-entry.ts";

/** What generated code must know to serve a miss of one element (miss-module.ts): kept in the element's block. */
export class MissRegisters {
  readonly #words: Int32Array;
  readonly #base: number;
  #configuration: Stage1Configuration | undefined;
  #published = false;

  /** `base` is the address of the element's block. */
  constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#base = base;
    this.#setModes(-1, -1);
  }

  /** Misses are the host's to serve from now on. */
  withdraw(): void {
    this.#published = false;
    this.#setModes(-1, -1);
  }

  /**
   * The regime in use, and the walk requests of ordinary and of unprivileged accesses; undefined where those
   * have no bank that generated code may fill.
   */
  publish(configuration: Stage1Configuration, ordinary: number, unprivileged: number | undefined): void {
    this.#published = true;
    this.#setModes(modeOf(ordinary), unprivileged === undefined ? -1 : modeOf(unprivileged));
    if (this.#configuration !== configuration) {
      this.#configuration = configuration;
      const words = this.#words;
      words[(this.#base + PE_LAYOUT.SHADOW_LEAF) >>> 2] = leafRules(configuration);
      let at = (this.#base + PE_LAYOUT.SHADOW_HALVES) >>> 2;
      for (const geometry of [configuration.lower, configuration.upper]) {
        const { startShift, startMask, checkHigh, privilegedOnly } = geometry;
        words[at + (SHADOW_HALF.SHIFT >> 2)] = startShift;
        words[at + (SHADOW_HALF.MASK >> 2)] = privilegedOnly
          ? startMask | SHADOW_HALF.PRIVILEGED_ONLY
          : startMask;
        words[at + (SHADOW_HALF.CHECK >> 2)] = checkHigh;
        at += SHADOW_HALF.SIZE >> 2;
      }
    }
    this.publishRoots();
  }

  /** Tells of a root that has been looked up since. */
  publishRoots(): void {
    const configuration = this.#configuration;
    if (!this.#published || configuration === undefined) return;
    const { lower, upper, twoPrivileges } = configuration;
    const at = (this.#base + PE_LAYOUT.SHADOW_HALVES + SHADOW_HALF.ROOT) >>> 2;
    this.#words[at] = rootOf(lower);
    this.#words[at + (SHADOW_HALF.SIZE >> 2)] = twoPrivileges ? rootOf(upper) : 0;
  }

  /** A root's shadow is gone; with 0, all are. */
  forgetRoot(root: number): void {
    const at = (this.#base + PE_LAYOUT.SHADOW_HALVES + SHADOW_HALF.ROOT) >>> 2;
    for (const word of [at, at + (SHADOW_HALF.SIZE >> 2)]) {
      if (root === 0 || this.#words[word] === root) this.#words[word] = 0;
    }
  }

  #setModes(ordinary: number, unprivileged: number): void {
    this.#words[(this.#base + PE_LAYOUT.SHADOW_MODE) >>> 2] = ordinary;
    this.#words[(this.#base + PE_LAYOUT.SHADOW_MODE_UNPRIVILEGED) >>> 2] = unprivileged;
  }
}

function leafRules({ mair, hardwareDirty, twoPrivileges, lower }: Stage1Configuration): number {
  const devices = mair.reduce((bits, attributes, index) => bits | (isDevice(attributes) ? 1 << index : 0), 0);
  return (
    devices |
    (hardwareDirty ? SHADOW_LEAF.HARDWARE_DIRTY : 0) |
    (twoPrivileges ? SHADOW_LEAF.TWO_PRIVILEGES : 0) |
    (lower.outputCheckHigh << SHADOW_LEAF.OUTPUT_CHECK_SHIFT)
  );
}

/** Which fast permission bits of a leaf count for a walk request. */
function modeOf(request: number): number {
  if ((request & REQUEST.PRIVILEGED) === 0) return FAST.USER;
  return (request & REQUEST.PAN) === 0 ? FAST.PRIVILEGED : FAST.PRIVILEGED_PAN;
}

/** A root that generated code may use: input addresses have 32 bits or more, and nothing else is to be asked. */
function rootOf({ shadowRoot, baseOutOfRange, checkLow, bigEndian }: TableGeometry): number {
  return baseOutOfRange || checkLow !== 0 || bigEndian ? 0 : shadowRoot;
}
