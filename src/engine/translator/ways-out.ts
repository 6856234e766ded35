import { Bug } from "../../base/errors.ts";
import type { FunctionBody, Label } from "../../wasm/function-body.ts";
import type { ControlFlow } from "./control-flow.ts";
import type { FlagsForm } from "./flags-form.ts";
import type { LocalOperands } from "./local-operands.ts";
import type { Region } from "./region.ts";
import { onlyFlags, prepared, type RegisterFlow, type RegisterState } from "./register-flow.ts";
import { hasFlags, type RegisterSet } from "./register-use.ts";

/** Where a region is left with these registers unsaved, the flags in this form. */
interface WayOut extends Pick<RegisterState, "unsaved" | "flags"> {
  readonly label: Label;
  isUsed: boolean;
}

/** The ways out of a region: one for every state in which it may be left, which saves what that has not saved. */
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
        state = registers.after(name, ready, known);
        this.#add(state);
      }
      this.#add(onlyFlags(state));
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
    for (const { unsaved, flags, isUsed } of this.#ways.reverse()) {
      body.end();
      if (!isUsed) {
        body.unreachable();
        continue;
      }
      operands.save(unsaved, flags);
      body.branch(done);
    }
  }
}
