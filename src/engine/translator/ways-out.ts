import { Bug } from "../../base/errors.ts";
import type { FunctionBody, Label } from "../../wasm/function-body.ts";
import type { ControlFlow } from "./control-flow.ts";
import type { FlagsForm } from "./flags-form.ts";
import type { LocalOperands } from "./local-operands.ts";
import type { Region } from "./region.ts";
import { after, prepared, type RegisterFlow, type RegisterState } from "./register-flow.ts";
import { hasFlags, type RegisterSet } from "./register-use.ts";

/** Where a region is left with these registers unsaved, the flags in this form. */
interface WayOut extends Pick<RegisterState, "unsaved" | "flags"> {
  readonly label: Label;
  isUsed: boolean;
}

/** So many ways before one are looked at for the end that both have in common. */
const NEIGHBOURS = 12;

/**
 * The ways out of a region: one for every state in which it may be left, which saves what that has not saved. Most
 * states have one register more than the state before: such a way saves that one and goes on with the other's.
 */
export class WaysOut {
  readonly #body: FunctionBody;
  readonly #ways: WayOut[] = [];
  readonly #byState = new Map<RegisterSet, Map<FlagsForm, WayOut>>();

  /** Opens a block for each. */
  constructor(body: FunctionBody, region: Region, flow: ControlFlow, registers: RegisterFlow) {
    this.#body = body;
    for (const name of flow.order) {
      let state = registers.entry(name);
      this.#add(state);
      for (const { known } of region.blocks.get(name)?.instructions ?? []) {
        const ready = prepared(state, known.use);
        if (ready.flags !== state.flags) this.#add(ready);
        state = after(ready, known);
        this.#add(state);
      }
    }
  }

  #add({ unsaved, flags }: RegisterState): void {
    const form = hasFlags(unsaved) ? flags : "stored";
    const known = this.#byState.get(unsaved);
    if (known?.has(form)) return;
    const way = { unsaved, flags: form, label: this.#body.block(), isUsed: false };
    this.#ways.push(way);
    if (known === undefined) this.#byState.set(unsaved, new Map([[form, way]]));
    else known.set(form, way);
  }

  /** Where to branch to. */
  of({ unsaved, flags }: RegisterState): Label {
    const way = this.#byState.get(unsaved)?.get(hasFlags(unsaved) ? flags : "stored");
    if (way === undefined) throw new Bug("a region is left with registers that nobody saves");
    way.isUsed = true;
    return way.label;
  }

  /** Ends the blocks, after each what saves its registers and goes to `done`. */
  close(operands: LocalOperands, done: Label): void {
    const body = this.#body;
    for (let index = this.#ways.length - 1; index >= 0; index--) {
      const way = this.#ways[index]!;
      const { unsaved, flags, isUsed } = way;
      body.end();
      if (!isUsed) {
        body.unreachable();
        continue;
      }
      const rest = this.#commonEnd(index);
      if (rest !== undefined) rest.isUsed = true;
      operands.save(unsaved & ~(rest?.unsaved ?? 0n), flags);
      body.branch(rest?.label ?? done);
    }
  }

  /** The way of those shortly before that saves most of what this one saves, and nothing else. */
  #commonEnd(index: number): WayOut | undefined {
    const { unsaved, flags } = this.#ways[index]!;
    let best: WayOut | undefined;
    for (let other = index - 1; other >= 0 && other >= index - NEIGHBOURS; other--) {
      const way = this.#ways[other]!;
      if (way.unsaved === 0n || (way.unsaved & ~unsaved) !== 0n) continue;
      if (hasFlags(way.unsaved) && way.flags !== flags) continue;
      if (best === undefined || (best.unsaved & ~way.unsaved) === 0n) best = way;
    }
    return best;
  }
}
