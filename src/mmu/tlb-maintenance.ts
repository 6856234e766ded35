import { assertNever } from "../base/errors.ts";
import type { FrameTable } from "../memory/frame-table.ts";
import type { MachineMemory } from "../memory/machine-memory.ts";
import type { PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import type { RegimeName } from "./regime.ts";
import type { ShadowTables, TranslationKeepers } from "./shadow/shadow-tables.ts";
import { revokeWritable } from "./tlb-bank.ts";
import type { AddressSpace, TranslationContext } from "./translation-context.ts";
import { highWord, lowWord } from "./translation-registers.ts";

/** TLBI operations of Armv8.0 and 8.1, each also with the suffix IS (all elements). */
const TLBI_OPERATIONS = [
  "VMALLE1",
  "VAE1",
  "ASIDE1",
  "VAAE1",
  "VALE1",
  "VAALE1",
  "IPAS2E1",
  "IPAS2LE1",
  "VMALLS12E1",
  "ALLE1",
  "VAE2",
  "VALE2",
  "ALLE2",
  "VAE3",
  "VALE3",
  "ALLE3",
] as const;
export type TlbiOperation = (typeof TLBI_OPERATIONS)[number];

/** Those of the EL1&0 regime that name no address. */
const WIDE: ReadonlySet<TlbiOperation> = new Set(["VMALLE1", "ASIDE1"]);

/**
 * The soft TLBs of one machine's processing elements: TLBI, and the removal of what a change of the physical
 * map or of a frame's tracing makes wrong. Never drops less than was asked for; at times more.
 */
export class TlbGroup {
  /** TLBI instructions executed. */
  invalidations = 0;
  readonly #contexts: TranslationContext[] = [];
  readonly #memory: MachineMemory;
  readonly #frames: FrameTable;
  readonly #shadow: ShadowTables | undefined;

  constructor(map: PhysicalMap, store: TracedStore, shadow?: ShadowTables) {
    this.#shadow = shadow;
    if (shadow !== undefined) shadow.keepers = this.#keepers();
    this.#memory = map.memory;
    this.#frames = map.frames;
    map.onChange(() => this.flushAll());
    store.trace.onRevoke(
      (frame) => this.#revokeWrites(frame),
      () => this.flushAll(),
    );
  }

  add(context: TranslationContext): void {
    this.#contexts.push(context);
  }

  /** The address spaces that each element has used lately: the live ones of the guest. */
  contexts(): AddressSpace[][] {
    return this.#contexts.map((context) => context.addressSpaces());
  }

  /** Byte addresses of every bank of every element. */
  bankAddresses(): number[] {
    return this.#contexts.flatMap((context) => context.bankAddresses());
  }

  flushAll(): void {
    for (const context of this.#contexts) context.flushAll();
  }

  /** Makes the next fetch from the frame ask again, on every element: its predecoded records are gone. */
  revokeExecution(frame: number): void {
    for (const context of this.#contexts) context.revokeExecution(frame);
  }

  /**
   * Executes a TLBI on behalf of the element that `context` belongs to. `operand` is Xt, 0 for operations
   * without one; `innerShareable` is the IS suffix.
   */
  invalidate(
    context: TranslationContext,
    operation: TlbiOperation,
    operand: bigint,
    innerShareable: boolean,
  ): void {
    this.invalidations++;
    if (WIDE.has(operation)) this.#shadow?.drainWide();
    else this.#shadow?.drain();
    const level = context.exceptionLevel;
    const target = lowerTarget(context);
    const forced = level === 1 && target === "EL1&0" && context.forcesBroadcast;
    if (!innerShareable && !forced) apply(context, { operation, operand, target });
    else for (const each of this.#contexts) apply(each, { operation, operand, target });
  }

  #keepers(): TranslationKeepers {
    const contexts = this.#contexts;
    return {
      dropPage(role, low, high) {
        for (const context of contexts) context.dropPage(role.regime, low, high);
      },
      dropHalf(role) {
        for (const context of contexts) context.flushRegime(role.regime);
      },
      dropRoot(role, page) {
        for (const context of contexts) context.dropRoot(role.regime, role.upper, page);
      },
      dropEverything: () => this.flushAll(),
      isActive: (root) => contexts.some((context) => context.usesRoot(root)),
      forgetRoot(root) {
        for (const context of contexts) context.forgetRoot(root);
      },
    };
  }

  #revokeWrites(frame: number): void {
    revokeWritable(this.#memory, this.#frames, frame, () => {
      for (const context of this.#contexts) context.revokeWrites(frame);
    });
  }
}

/** The regime of the E1 operations: EL2&0 for a host at EL2, else EL1&0 of the state below EL3. */
function lowerTarget(context: TranslationContext): RegimeName {
  if (!context.lowerIsNonSecure) return "Secure EL1&0";
  return context.isHost && context.exceptionLevel >= 2 ? "EL2&0" : "EL1&0";
}

function apply(
  context: TranslationContext,
  request: { operation: TlbiOperation; operand: bigint; target: RegimeName },
): void {
  const { operation, operand, target } = request;
  const high = highWord(operand);
  const asid = high >>> 16;
  // Xt[43:0] is VA[55:12]; higher address bits do not matter.
  const address = operand << 12n;
  const addressLow = lowWord(address);
  const addressHigh = highWord(address) & 0x00ff_ffff;
  switch (operation) {
    case "VMALLE1":
      context.invalidateRegime(target);
      return;
    case "VAE1":
    case "VALE1":
      context.flushAddress(target, addressLow, addressHigh, context.matchingAsid(target, asid));
      return;
    case "ASIDE1":
      context.invalidateRegime(target, context.matchingAsid(target, asid));
      return;
    case "VAAE1":
    case "VAALE1":
      context.flushAddress(target, addressLow, addressHigh);
      return;
    case "IPAS2E1":
    case "IPAS2LE1":
    case "VMALLS12E1":
    case "ALLE1":
      context.flushRegime(target === "Secure EL1&0" ? target : "EL1&0");
      if (target === "EL2&0") context.flushRegime(target);
      return;
    case "VAE2":
    case "VALE2":
      context.flushAddress("EL2", addressLow, addressHigh);
      context.flushAddress("EL2&0", addressLow, addressHigh);
      return;
    case "ALLE2":
      context.flushRegime("EL2");
      context.flushRegime("EL2&0");
      return;
    case "VAE3":
    case "VALE3":
      context.flushAddress("EL3", addressLow, addressHigh);
      return;
    case "ALLE3":
      context.flushRegime("EL3");
      return;
    default:
      assertNever(operation, "a TLBI operation");
  }
}
