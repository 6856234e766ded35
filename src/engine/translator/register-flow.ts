import { type ControlFlow, insideEdges } from "./control-flow.ts";
import type { FlagsForm, KnownForm } from "./flags-form.ts";
import type { KnownWord } from "./instruction-words.ts";
import { DISPATCH, type Region, type RegionInstruction } from "./region.ts";
import { FLAGS_SET, hasFlags, type RegisterSet, type RegisterUse } from "./register-use.ts";

/** What is known of registers at one place (row P1). */
export interface RegisterState {
  /** The local holds the guest's value. */
  readonly valid: RegisterSet;
  /** The element's block does not: these are valid, and stored when the region is left. */
  readonly unsaved: RegisterSet;
  /** What the flags' locals hold, where they are valid. */
  readonly flags: FlagsForm;
}

/**
 * Loops of more instructions keep registers in memory: values that live long are what the host's compiler takes longest
 * for (`node --turbo-stats-wasm`: half of its time was register allocation when all registers stayed in locals).
 */
export const TRACKED_LOOP = 160;

/**
 * Where registers are in locals and where their values lie in memory, statically, over a whole region. In a small loop
 * registers are loaded before it and stored when it is left. Elsewhere what an instruction writes is stored at once,
 * and a value is known until paths meet; only flags stay where they are.
 */
export class RegisterFlow {
  readonly #entries = new Map<number, RegisterState>();
  /** Blocks of small loops. */
  readonly #tracked = new Set<number>();
  readonly #storesAtOnce: boolean;

  /** Not `tracks`: no block knows of another; each loads what it reads, and stores what it has written at its end. */
  constructor(region: Region, flow: ControlFlow, tracks: boolean) {
    this.#storesAtOnce = tracks;
    if (!tracks) return;
    const touched = new Map<number, RegisterUse>();
    const forms = new Map<number, ReadonlySet<KnownForm>>();
    for (const [name, { instructions }] of region.blocks) {
      touched.set(name, together(instructions.map(({ known }) => known.use)));
      forms.set(name, formsSet(instructions));
    }
    const edges = insideEdges(region, flow);
    const incoming = new Map<number, number[]>();
    for (const { from, to } of edges) {
      const known = incoming.get(to);
      if (known === undefined) incoming.set(to, [from]);
      else known.push(from);
    }
    const loops = new Map<number, readonly number[]>();
    for (const header of flow.loopHeaders) {
      if (header === DISPATCH) continue;
      const inside = loopBlocks(flow, incoming, header);
      loops.set(header, inside);
      const size = inside.reduce((sum, name) => sum + (region.blocks.get(name)?.instructions.length ?? 0), 0);
      if (size <= TRACKED_LOOP) for (const name of inside) this.#tracked.add(name);
    }
    const leaving = new Map<number, RegisterState>();
    for (const block of flow.order) {
      // Whoever comes by way of DISPATCH has saved everything.
      if (block === DISPATCH) continue;
      const from = incoming.get(block) ?? [];
      const before = from
        .filter((other) => isForward(flow, other, block))
        .map((other) => leaving.get(other) ?? NOTHING);
      const inLoop = loops.get(block) ?? [];
      const loop = together(inLoop.map((inside) => touched.get(inside) ?? NO_USE));
      const isTracked = this.#tracked.has(block);
      const kept = isTracked ? ~0n : FLAGS_SET;
      const unsaved = before.reduce((all, state) => all | state.unsaved, loop.writes) & kept;
      const common = before.length === 0 ? 0n : before.reduce((all, state) => all & state.valid, ~0n);
      const known = isTracked || from.length === 1 ? common : common & FLAGS_SET;
      const valid = known | unsaved | ((loop.reads | loop.writes) & kept);
      const reached = new Set<FlagsForm>(
        before.map((state) => (hasFlags(state.valid) ? state.flags : "stored")),
      );
      if (block === region.entry) reached.add("stored");
      for (const inside of inLoop) for (const form of forms.get(inside) ?? []) reached.add(form);
      const [form = "stored"] = reached;
      const flags = !hasFlags(valid) ? "stored" : reached.size > 1 ? "varying" : form;
      let state: RegisterState = { valid, unsaved, flags };
      this.#entries.set(block, state);
      for (const { known } of region.blocks.get(block)?.instructions ?? [])
        state = this.after(block, prepared(state, known.use), known);
      leaving.set(block, state);
    }
  }

  /** The state after an instruction of the block. */
  after(block: number, state: RegisterState, known: KnownWord): RegisterState {
    const { valid, unsaved, flags } = after(state, known);
    return { valid, unsaved: unsaved & ~this.storedAtOnce(block, known.use), flags };
  }

  /** What an instruction of the block stores at once. */
  storedAtOnce(block: number, { writes }: RegisterUse): RegisterSet {
    return this.#storesAtOnce && !this.#tracked.has(block) ? writes & ~FLAGS_SET : 0n;
  }

  /** The state in which a block begins; whoever goes there loads what is missing. */
  entry(block: number): RegisterState {
    return this.#entries.get(block) ?? NOTHING;
  }
}

/** Everything is in memory, and only there. */
export const NOTHING: RegisterState = { valid: 0n, unsaved: 0n, flags: "stored" };
const NO_USE: RegisterUse = { reads: 0n, writes: 0n };

/** The state in which an instruction finds registers: what it reads is in locals, flags in a form that is known. */
export function prepared({ valid, unsaved, flags }: RegisterState, { reads }: RegisterUse): RegisterState {
  const isKnown = flags !== "varying" || !hasFlags(reads);
  return { valid: valid | reads, unsaved, flags: isKnown ? flags : "stored" };
}

/** The state after an instruction that stores nothing but what it is meant to. */
function after(
  { valid, unsaved, flags }: RegisterState,
  { use: { reads, writes }, flagsAfter }: Pick<KnownWord, "use" | "flagsAfter">,
): RegisterState {
  return {
    valid: valid | reads | writes,
    unsaved: unsaved | writes,
    flags: hasFlags(writes) ? flagsAfter : flags,
  };
}

/** The forms in which instructions leave flags. */
export function formsSet(instructions: readonly RegionInstruction[]): ReadonlySet<KnownForm> {
  return new Set(instructions.flatMap(({ known }) => (hasFlags(known.use.writes) ? [known.flagsAfter] : [])));
}

/** The state once everything but the flags is stored. */
export function onlyFlags(state: RegisterState): RegisterState {
  return { ...state, unsaved: state.unsaved & FLAGS_SET };
}

function together(uses: readonly RegisterUse[]): RegisterUse {
  let [reads, writes] = [0n, 0n];
  for (const use of uses) {
    reads |= use.reads;
    writes |= use.writes;
  }
  return { reads, writes };
}

function isForward({ position }: ControlFlow, from: number, to: number): boolean {
  return (position.get(to) ?? 0) > (position.get(from) ?? 0);
}

/** The natural loop of a header: what reaches one of its back edges without passing it, and itself. */
function loopBlocks(
  flow: ControlFlow,
  incoming: ReadonlyMap<number, readonly number[]>,
  header: number,
): number[] {
  const inside = new Set([header]);
  const pending = (incoming.get(header) ?? []).filter((from) => !isForward(flow, from, header));
  for (let block = pending.pop(); block !== undefined; block = pending.pop()) {
    if (inside.has(block)) continue;
    inside.add(block);
    pending.push(...(incoming.get(block) ?? []));
  }
  return [...inside];
}
