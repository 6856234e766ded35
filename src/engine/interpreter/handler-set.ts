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

type TreeKey = string | number | boolean | bigint | undefined;

/** What stands in a {@link HandlerTree} for a base register that is SP. */
const STACK_POINTER = "sp";

/** The handlers of an instruction, by the names and values of its static operands, one after the other. */
class HandlerTree {
  handler: Handler | undefined;
  /** Immediates that found no room in the record belong to the key, too. */
  baked: readonly string[] = [];
  readonly #children = new Map<TreeKey, HandlerTree>();

  child(part: TreeKey): HandlerTree {
    const known = this.#children.get(part);
    if (known !== undefined) return known;
    const made = new HandlerTree();
    this.#children.set(part, made);
    return made;
  }

  /** The place of operands with these statics. */
  plain(operands: OperandValues): HandlerTree {
    let place: HandlerTree = this;
    for (const name in operands) {
      const operand = operands[name];
      if (typeof operand !== "object") place = place.child(name).child(operand);
      else if (operand.kind === "base" && operand.isStackPointer)
        place = place.child(name).child(STACK_POINTER);
    }
    return place;
  }

  /** From {@link plain} on, by the immediates that are baked there. */
  withBaked(operands: OperandValues): HandlerTree {
    let place: HandlerTree = this;
    for (const name of this.baked) {
      const operand = operands[name];
      if (typeof operand === "object" && operand.kind === "immediate") place = place.child(operand.value);
    }
    return place;
  }
}

/** All handlers made so far. Numbers are given in order of first use. */
export class HandlerSet {
  readonly #instructions = new HandlerTree();
  readonly #fusedMultiplyAdd: boolean;
  #next = FIRST_HANDLER;
  #size = 0;

  constructor(fusedMultiplyAdd = false) {
    this.#fusedMultiplyAdd = fusedMultiplyAdd;
  }

  get size(): number {
    return this.#size;
  }

  /** The handler of a decoded instruction; `isNew` when this call made it. */
  handlerOf(decoded: Decoded): { handler: Handler; isNew: boolean } {
    const { instruction, operands } = decoded;
    const plain = this.#instructions.child(instruction.name).plain(operands);
    const { handler } = plain.withBaked(operands);
    if (handler !== undefined) return { handler, isNew: false };
    return { handler: this.#make(decoded, plain), isNew: true };
  }

  #make({ instruction, operands }: Decoded, plain: HandlerTree): Handler {
    if (instruction.execute === undefined) throw new Bug(`${instruction.name} has no meaning`);
    const builder = new IrBuilder(this.#fusedMultiplyAdd);
    const handles = opaqueOperands(operands);
    instruction.execute(handles, semanticsOf(builder));
    const { block } = builder;
    countUses(block);
    const plan = planRecord(handles, block);
    plain.baked = [...plan.baked];
    const branchesRelatively = block.statements.some(
      ({ kind }) => kind === "branchRelative" || kind === "branchRelativeIf",
    );
    const handler: Handler = {
      number: this.#next++,
      block,
      plan: plan.baked.size > 0 ? withBakedValues(plan, handles, operands) : plan,
      simd: instruction.simd,
      ...stateUse(block),
      branchesRelatively,
    };
    plain.withBaked(operands).handler = handler;
    this.#size++;
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
