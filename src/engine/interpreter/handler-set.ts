import { Bug } from "../../base/errors.ts";
import type { Decoded } from "../../isa/decoder.ts";
import type { OperandValues } from "../../isa/instruction.ts";
import { type Block, countUses, nodeBlocks } from "../../isa/ir.ts";
import { IrBuilder, semanticsOf } from "../../isa/ir-builder.ts";
import { FIRST_HANDLER, opaqueOperands, planRecord, type RecordPlan } from "./record.ts";

/** One specialised meaning: every instruction with the same static operands shares it. */
export interface Handler {
  /** Position in the interpreter's function table, and the number in records. */
  readonly number: number;
  readonly key: string;
  readonly block: Block;
  readonly plan: RecordPlan;
  readonly simd: boolean;
  readonly usesFlags: boolean;
  readonly writesFlags: boolean;
  /** Some write to a register or to the flags happens only in some cases. */
  readonly writesConditionally: boolean;
  /** FPCR or FPSR.IXC decide something. */
  readonly usesFloatingPointControl: boolean;
  /** True when the meaning ends in a PC-relative branch, so that it has a shorter form inside a page. */
  readonly branchesRelatively: boolean;
}

/** The statics of an operand object: what a handler is specialised for. */
function staticKey(operands: OperandValues, baked: ReadonlySet<string>): string {
  let key = "";
  for (const name of Object.keys(operands)) {
    const operand = operands[name];
    if (typeof operand !== "object") key += `,${name}=${String(operand)}`;
    else if (operand.kind === "base" && operand.isStackPointer) key += `,${name}=sp`;
    else if (operand.kind === "immediate" && baked.has(name)) key += `,${name}=${String(operand.value)}`;
  }
  return key;
}

const NOTHING_BAKED: ReadonlySet<string> = new Set();

/** All handlers made so far, by key. Numbers are given in order of first use. */
export class HandlerSet {
  readonly #handlers = new Map<string, Handler>();
  /** Immediates that found no room in the record, by name and statics. */
  readonly #baked = new Map<string, ReadonlySet<string>>();
  readonly #fusedMultiplyAdd: boolean;
  #next = FIRST_HANDLER;

  constructor(fusedMultiplyAdd = false) {
    this.#fusedMultiplyAdd = fusedMultiplyAdd;
  }

  get size(): number {
    return this.#handlers.size;
  }

  /** The handler of a decoded instruction; `isNew` when this call made it. */
  handlerOf(decoded: Decoded): { handler: Handler; isNew: boolean } {
    const { instruction, operands } = decoded;
    const plain = instruction.name + staticKey(operands, NOTHING_BAKED);
    const baked = this.#baked.get(plain);
    const key = baked === undefined ? plain : instruction.name + staticKey(operands, baked);
    const known = this.#handlers.get(key);
    if (known !== undefined) return { handler: known, isNew: false };
    return { handler: this.#make(decoded, plain), isNew: true };
  }

  #make({ instruction, operands }: Decoded, plainKey: string): Handler {
    if (instruction.execute === undefined) throw new Bug(`${instruction.name} has no meaning`);
    const builder = new IrBuilder(this.#fusedMultiplyAdd);
    const handles = opaqueOperands(operands);
    instruction.execute(handles, semanticsOf(builder));
    const { block } = builder;
    countUses(block);
    const plan = planRecord(handles, block);
    let key = plainKey;
    if (plan.baked.size > 0) {
      this.#baked.set(plainKey, plan.baked);
      key = instruction.name + staticKey(operands, plan.baked);
    }
    const branchesRelatively = block.statements.some(
      ({ kind }) => kind === "branchRelative" || kind === "branchRelativeIf",
    );
    const handler: Handler = {
      number: this.#next++,
      key,
      block,
      plan: plan.baked.size > 0 ? withBakedValues(plan, handles, operands) : plan,
      simd: instruction.simd,
      ...stateUse(block),
      branchesRelatively,
    };
    this.#handlers.set(key, handler);
    return handler;
  }

  /** A further number for another form of a handler. */
  reserveNumber(): number {
    return this.#next++;
  }
}

/** Baked immediates are read from the operand itself: give the handles their values back. */
function withBakedValues(plan: RecordPlan, handles: OperandValues, operands: OperandValues): RecordPlan {
  for (const name of plan.baked) {
    const handle = handles[name];
    const operand = operands[name];
    if (typeof handle !== "object" || typeof operand !== "object") continue;
    if (operand.kind !== "immediate") throw new Bug(`baked operand ${name} is not an immediate`);
    Object.defineProperty(handle, "value", { value: operand.value, enumerable: true });
  }
  return plan;
}

type StateUse = Pick<
  Handler,
  "usesFlags" | "writesFlags" | "writesConditionally" | "usesFloatingPointControl"
>;

function stateUse(block: Block): StateUse {
  const use = {
    usesFlags: false,
    writesFlags: false,
    writesConditionally: false,
    usesFloatingPointControl: false,
  };
  const visit = (inner: Block, isConditional: boolean): void => {
    for (const statement of inner.statements) {
      const { kind } = statement;
      if (kind === "setFlags") use.writesFlags = true;
      if (kind === "setFlags" || kind === "writeRegister" || kind === "writeVector") {
        use.writesConditionally ||= isConditional;
      }
      if (kind === "when") {
        visit(statement.taken, true);
        visit(statement.otherwise, true);
      }
      if (kind !== "define") continue;
      const { shape } = statement.node;
      if (shape.kind === "readFlag" || shape.kind === "condition") use.usesFlags = true;
      if (shape.kind === "readFpcr" || shape.kind === "readInexact") use.usesFloatingPointControl = true;
      for (const nested of nodeBlocks(statement.node)) visit(nested, true);
    }
  };
  visit(block, false);
  return use;
}
