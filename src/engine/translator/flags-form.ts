import type { Block, FlagName, FlagsOrigin } from "../../isa/ir.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";

/** How N, Z, C and V are represented at one place of a region. */
export type FlagsForm =
  /** As four values, see {@link Semantics.setFlags}. */
  | "stored"
  /** As the operands of what set them. */
  | Computed
  /** In one of the other forms; a local says in which. */
  | "varying";

export type Computed = `${FlagsOrigin["operation"]}${FlagsOrigin["bits"]}`;

/** The forms that a local can name, by their number. */
export const FLAGS_FORMS = [
  "stored",
  "subtract64",
  "subtract32",
  "add64",
  "add32",
  "logical64",
  "logical32",
] as const satisfies readonly FlagsForm[];

export type KnownForm = (typeof FLAGS_FORMS)[number];

export function formOf({ operation, bits }: FlagsOrigin): Computed {
  return `${operation}${bits}`;
}

/** The form that flags have after a block that sets them: computed where its last word on them is. */
export function formAfter({ statements }: Block): KnownForm {
  let form: KnownForm = "stored";
  for (const statement of statements) {
    if (statement.kind !== "setFlags") continue;
    form = statement.origin === undefined ? "stored" : formOf(statement.origin);
  }
  return form;
}

/** False where a block that sets flags leaves them alone in some case. */
export function alwaysSetsFlags({ statements }: Block): boolean {
  return statements.some(
    (statement) =>
      statement.kind === "setFlags" ||
      (statement.kind === "when" && alwaysSetsFlags(statement.taken) && alwaysSetsFlags(statement.otherwise)),
  );
}

/** Whether a condition holds, straight from the operands. By condition >> 1; the odd ones are their opposites. */
const AFTER_SUBTRACT = [
  ["eq", "ne"],
  ["ge_u", "lt_u"],
  undefined,
  undefined,
  ["gt_u", "le_u"],
  ["ge_s", "lt_s"],
  ["gt_s", "le_s"],
] as const;

/** The same for a result compared with 0, where C and V are clear. */
const AFTER_LOGICAL = [
  ["eq", "ne"],
  undefined,
  ["lt_s", "ge_s"],
  undefined,
  undefined,
  ["ge_s", "lt_s"],
  ["gt_s", "le_s"],
] as const;

/** Locals with the operands that flags follow from. */
export interface FlagsOperandLocals {
  readonly left: number;
  readonly right: number;
}

/** Writes code that computes flags and conditions from the operands of what set them. */
export class ComputedFlags {
  readonly #body: FunctionBody;
  readonly #locals: FlagsOperandLocals;
  readonly #form: Computed;
  readonly #type: "i32" | "i64";

  constructor(body: FunctionBody, locals: FlagsOperandLocals, form: Computed) {
    this.#body = body;
    this.#locals = locals;
    this.#form = form;
    this.#type = form.endsWith("32") ? "i32" : "i64";
  }

  /** Pushes 1 or 0; false where the condition has no short form. `condition`: 0 to 13. */
  pushCondition(condition: number): boolean {
    const isLogical = this.#isLogical;
    const operators = (isLogical ? AFTER_LOGICAL : AFTER_SUBTRACT)[condition >> 1];
    if (operators === undefined || this.#form.startsWith("add")) return false;
    this.#left();
    if (isLogical) this.#zero();
    else this.#right();
    this.#op(operators[(condition & 1) as 0 | 1]);
    return true;
  }

  /** Pushes a flag as {@link Semantics.setFlags} takes it. */
  pushFlag(flag: FlagName): void {
    if (flag === "C") this.#carry();
    else if (flag === "V") this.#overflow();
    else {
      this.#result();
      this.#extend();
    }
  }

  #carry(): void {
    if (this.#isLogical) {
      this.#body.i64(0n);
      return;
    }
    if (this.#form.startsWith("add")) {
      this.#result();
      this.#left();
      this.#op("lt_u");
    } else {
      this.#left();
      this.#right();
      this.#op("ge_u");
    }
    this.#body.op("i64.extend_i32_u");
  }

  #overflow(): void {
    if (this.#isLogical) {
      this.#body.i64(0n);
      return;
    }
    this.#left();
    this.#result();
    this.#op("xor");
    this.#right();
    if (this.#form.startsWith("add")) this.#result();
    else this.#left();
    this.#op("xor");
    this.#op("and");
    this.#extend();
  }

  get #isLogical(): boolean {
    return this.#form.startsWith("logical");
  }

  #result(): void {
    this.#left();
    if (this.#isLogical) return;
    this.#right();
    this.#op(this.#form.startsWith("add") ? "add" : "sub");
  }

  #left(): void {
    this.#body.get(this.#locals.left);
  }

  #right(): void {
    this.#body.get(this.#locals.right);
  }

  #zero(): void {
    if (this.#type === "i32") this.#body.i32(0);
    else this.#body.i64(0n);
  }

  #extend(): void {
    if (this.#type === "i32") this.#body.op("i64.extend_i32_s");
  }

  #op(name: Suffix): void {
    this.#body.op(`${this.#type}.${name}`);
  }
}

type Suffix =
  | Extract<NonNullable<(typeof AFTER_SUBTRACT)[number] | (typeof AFTER_LOGICAL)[number]>[number], string>
  | "add"
  | "sub"
  | "xor"
  | "and";
