import { Bug } from "../../base/errors.ts";
import type { FlagName, FlagsOrigin, Node } from "../../isa/ir.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import {
  type Computed,
  ComputedFlags,
  FLAGS_FORMS,
  type FlagsForm,
  type FlagsOperandLocals,
  formOf,
  type KnownForm,
} from "./flags-form.ts";

export const FLAGS: readonly FlagName[] = ["N", "Z", "C", "V"];

/**
 * The flags of a region while nobody has asked for them: a comparison keeps its operands, and whoever needs a
 * condition, or a way out of the region, computes it from them.
 */
export class RegionFlags {
  readonly #body: FunctionBody;
  readonly #forms: ReadonlySet<KnownForm>;
  readonly #locals = new Map<"32" | "64", FlagsOperandLocals>();
  readonly #computed = new Map<Computed, ComputedFlags>();
  /** Local, i32: the number of the form where it varies. */
  #name: number | undefined;

  /** `forms`: all in which the region's instructions leave flags. */
  constructor(body: FunctionBody, forms: ReadonlySet<KnownForm>) {
    this.#body = body;
    this.#forms = forms;
  }

  /** The flags as they follow from operands in locals. */
  in(form: FlagsForm): ComputedFlags {
    if (form === "stored" || form === "varying")
      throw new Bug(`flags cannot be computed in the form ${form}`);
    let computed = this.#computed.get(form);
    if (computed === undefined) {
      computed = new ComputedFlags(this.#body, this.#localsOf(form), form);
      this.#computed.set(form, computed);
    }
    return computed;
  }

  /** Keeps the operands instead of flags. `push` leaves a node's value. */
  keepOperands(origin: FlagsOrigin, push: (node: Node) => void): void {
    const { left, right } = this.#localsOf(formOf(origin));
    push(origin.left);
    if (origin.right !== undefined) push(origin.right);
    if (origin.right !== undefined) this.#body.set(right);
    this.#body.set(left);
  }

  name(form: KnownForm): void {
    this.#body.i32(FLAGS_FORMS.indexOf(form)).set(this.#nameLocal());
  }

  /** Computes the four values from whichever form the local names. */
  store(localOf: (flag: FlagName) => number): void {
    const body = this.#body;
    for (const form of this.#forms) {
      if (form === "stored") continue;
      body.get(this.#nameLocal()).i32(FLAGS_FORMS.indexOf(form)).op("i32.eq").if();
      for (const flag of FLAGS) {
        this.in(form).pushFlag(flag);
        body.set(localOf(flag));
      }
      body.end();
    }
  }

  #nameLocal(): number {
    this.#name ??= this.#body.lastingLocal("i32");
    return this.#name;
  }

  #localsOf(form: Computed): FlagsOperandLocals {
    const width = form.endsWith("32") ? "32" : "64";
    const known = this.#locals.get(width);
    if (known !== undefined) return known;
    const type = `i${width}` as const;
    const made = { left: this.#body.lastingLocal(type), right: this.#body.lastingLocal(type) };
    this.#locals.set(width, made);
    return made;
  }
}
