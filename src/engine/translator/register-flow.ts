import { type ControlFlow, insideEdges } from "./control-flow.ts";
import type { FlagsForm, KnownForm } from "./flags-form.ts";
import type { KnownWord } from "./instruction-words.ts";
import { DISPATCH, type Region, type RegionInstruction } from "./region.ts";
import { hasFlags, type RegisterSet, type RegisterUse } from "./register-use.ts";

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
 * Where registers are in locals and where their values lie in memory, statically, over a whole region. A register is
 * loaded where it is first needed, a loop's before the loop, and only what was written is stored.
 */
export class RegisterFlow {
  readonly #entries = new Map<number, RegisterState>();

  /** Not `tracked`: no block knows of another; each loads what it reads, and stores what it has written at its end. */
  constructor(region: Region, flow: ControlFlow, tracked: boolean) {
    if (!tracked) return;
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
    const leaving = new Map<number, RegisterState>();
    for (const block of flow.order) {
      // Whoever comes by way of DISPATCH has saved everything.
      if (block === DISPATCH) continue;
      const before = (incoming.get(block) ?? [])
        .filter((from) => isForward(flow, from, block))
        .map((from) => leaving.get(from) ?? NOTHING);
      const inLoop = flow.loopHeaders.has(block) ? loopBlocks(flow, incoming, block) : [];
      const loop = together(inLoop.map((inside) => touched.get(inside) ?? NO_USE));
      const unsaved = before.reduce((all, state) => all | state.unsaved, loop.writes);
      const common = before.length === 0 ? 0n : before.reduce((all, state) => all & state.valid, ~0n);
      const valid = common | unsaved | loop.reads | loop.writes;
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
        state = after(prepared(state, known.use), known);
      leaving.set(block, state);
    }
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

/** The state after an instruction. */
export function after(
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
