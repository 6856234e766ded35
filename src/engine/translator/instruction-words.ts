import { Bug } from "../../base/errors.ts";
import type { Decoded } from "../../isa/decoder.ts";
import type { BranchKind } from "../../isa/semantics.ts";
import type { Handler, HandlerSet } from "../interpreter/handler-set.ts";
import { alwaysSetsFlags, formAfter, type KnownForm } from "./flags-form.ts";
import { type RegisterUse, registerUse } from "./register-use.ts";

/** Words remembered at most; then all are forgotten. */
const LIMIT = 1 << 16;

/** Where an instruction may go, from its meaning. */
export type Flow =
  | { readonly kind: "next" | "leave" }
  | { readonly kind: "indirect"; readonly branch: BranchKind }
  /** `distance`: bytes from the instruction to the target. */
  | { readonly kind: "goto" | "call" | "conditional"; readonly distance: number };

/** What a word means to the translator. */
export interface KnownWord {
  readonly word: number;
  readonly decoded: Decoded;
  readonly handler: Handler;
  readonly flow: Flow;
  readonly use: RegisterUse;
  /** How the flags are represented after it, where it sets them. */
  readonly flagsAfter: KnownForm;
}

export interface WordSource {
  decode(word: number): Decoded | undefined;
  readonly handlers: HandlerSet;
  /** Told of every handler made for the first time, so that the interpreter has it too. */
  onNewHandler(handler: Handler): void;
}

/** Looks words up once: programs use few different ones, and decoding takes much longer than translating. */
export class InstructionWords {
  readonly #source: WordSource;
  readonly #known = new Map<number, KnownWord | undefined>();

  constructor(source: WordSource) {
    this.#source = source;
  }

  /** undefined where the word is undefined. */
  of(word: number): KnownWord | undefined {
    const known = this.#known.get(word);
    if (known !== undefined || this.#known.has(word)) return known;
    if (this.#known.size >= LIMIT) this.#known.clear();
    const made = this.#make(word);
    this.#known.set(word, made);
    return made;
  }

  #make(word: number): KnownWord | undefined {
    const decoded = this.#source.decode(word);
    if (decoded === undefined) return undefined;
    const { handler, isNew } = this.#source.handlers.handlerOf(decoded);
    if (isNew) this.#source.onNewHandler(handler);
    // Flags that stay in some case would have to be brought into the form of those that do not.
    if (handler.writesFlags && !alwaysSetsFlags(handler.block)) {
      throw new Bug(`${decoded.instruction.name} leaves the flags alone in some case`);
    }
    return {
      word,
      decoded,
      handler,
      flow: flowOf(decoded, handler),
      use: registerUse(decoded, handler),
      flagsAfter: formAfter(handler.block),
    };
  }
}

function flowOf(decoded: Decoded, { block: { statements } }: Handler): Flow {
  const last = statements.at(-1);
  for (const statement of statements) {
    // System instructions belong to the interpreter; a stack alignment check sits inside a `when`.
    if (statement.kind === "processor") return { kind: "leave" };
  }
  const distance = (): number => {
    const operand = decoded.operands["offset"];
    return typeof operand === "object" && operand.kind === "immediate" ? Number(operand.value) : -1;
  };
  switch (last?.kind) {
    case "branch":
      return { kind: "indirect", branch: last.branch };
    case "branchRelative":
      return { kind: last.branch === "call" ? "call" : "goto", distance: distance() };
    case "branchRelativeIf":
      return { kind: "conditional", distance: distance() };
    default:
      return { kind: "next" };
  }
}
