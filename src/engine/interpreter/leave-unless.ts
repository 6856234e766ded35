import { type Block, isPure, type Node, nodeBlocks } from "../../isa/ir.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";

/** What the branches need of the emitter at work. */
export interface ConditionEmitter {
  readonly body: FunctionBody;
  /** True where the node's value lies in a local. */
  isKept(node: Node): boolean;
  push(node: Node): void;
  statements(block: Block): void;
  exit(): void;
}

/**
 * Leaves unless the condition holds, by branches where it is a choice of choices, as those of floating-point
 * arithmetic are: V8's compiler makes numbers of the inner ones and tests those.
 */
export function leaveUnless(emitter: ConditionEmitter, condition: Node): void {
  const { body } = emitter;
  const { shape, inputs } = condition;
  if (!emitter.isKept(condition)) {
    if (shape.kind === "constant" && shape.value === 1) return;
    if (shape.kind === "operator" && shape.name === "i32.and" && isBoolean(condition)) {
      for (const input of inputs) leaveUnless(emitter, input);
      return;
    }
    const [first] = inputs;
    if (shape.kind === "choose" && first !== undefined) {
      const [taken, otherwise] = [shape.taken.results[0], shape.otherwise.results[0]];
      if (taken !== undefined && isConstant(otherwise, 0)) {
        leaveUnless(emitter, first);
        emitter.statements(shape.taken);
        leaveUnless(emitter, taken);
        return;
      }
      if (otherwise !== undefined && isConstant(taken, 1)) {
        const holds = body.block();
        emitter.push(first);
        body.branchIf(holds, "likely");
        emitter.statements(shape.otherwise);
        leaveUnless(emitter, otherwise);
        body.end();
        return;
      }
    }
  }
  emitter.push(condition);
  body.op("i32.eqz").if(undefined, "unlikely");
  emitter.exit();
  body.end();
}

/** A choice between values that nothing but reads of unchanging state and computation gives: it may wait. */
export function isQuietChoice(node: Node): boolean {
  return (
    node.shape.kind === "choose" &&
    nodeBlocks(node).every((block) =>
      block.statements.every((statement) => statement.kind === "define" && isQuiet(statement.node)),
    )
  );
}

function isQuiet(node: Node): boolean {
  const { kind } = node.shape;
  // Inside a region neither of the two changes but by what leaves it.
  return isPure(node) || kind === "readFpcr" || kind === "readInexact" || isQuietChoice(node);
}

function isConstant(node: Node | undefined, value: number): boolean {
  return node?.shape.kind === "constant" && node.shape.value === value;
}

const COMPARISON = /\.(eqz|(eq|ne|[lg][te])(_[su])?|all_true|any_true)$/;

/** True for what is 0 or 1. */
function isBoolean({ shape, inputs }: Node): boolean {
  switch (shape.kind) {
    case "constant":
      return shape.value === 0 || shape.value === 1;
    case "operator":
      return shape.name === "i32.and" || shape.name === "i32.or"
        ? inputs.every(isBoolean)
        : COMPARISON.test(shape.name);
    case "choose":
      return [...shape.taken.results, ...shape.otherwise.results].every(isBoolean);
    default:
      return false;
  }
}
