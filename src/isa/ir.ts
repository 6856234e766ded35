import {
  LANE_OPERATORS,
  type LaneOperatorName,
  OPERATORS,
  type OperatorName,
  type ValueType,
} from "../wasm/opcodes.ts";
import type { ImmediateOperand, RegisterOperand } from "./operands.ts";
import type { RuntimeFunctionName } from "./runtime-functions.ts";
import type { BranchKind, ProcessorOperation, Value } from "./semantics.ts";

/** Access to guest memory, its options resolved. */
export interface Access {
  readonly bytes: number;
  readonly element: number;
  readonly unprivileged: boolean;
  readonly aligned: boolean;
}

/** State that a meaning reads or writes besides general registers and memory. */
export type FlagName = "N" | "Z" | "C" | "V";
export type VectorPart = "v128" | "f64" | "f32" | "i64";

/**
 * What the flags of a `setFlags` follow from, so that an engine may keep the operands in their place: AddWithCarry()
 * of `left` and `right` or of `left` and the inverted `right`, or a logical operation with the result `left`.
 * The nodes are among those that the four values are computed from.
 */
export interface FlagsOrigin {
  readonly operation: "subtract" | "add" | "logical";
  readonly bits: 32 | 64;
  readonly left: Node;
  /** Undefined for logical operations. */
  readonly right: Node | undefined;
}

/** What a node computes. Arguments are in {@link Node.inputs}, evaluated in order. */
export type NodeShape =
  | { readonly kind: "constant"; readonly value: number | bigint | readonly number[] }
  | { readonly kind: "immediate"; readonly operand: ImmediateOperand }
  | { readonly kind: "operator"; readonly name: OperatorName }
  | { readonly kind: "lane"; readonly name: LaneOperatorName; readonly lane: number }
  | { readonly kind: "shuffle"; readonly lanes: readonly number[] }
  | { readonly kind: "select" }
  | { readonly kind: "pc" }
  | { readonly kind: "condition"; readonly condition: number }
  // Reads of state: no effect, but their place in the order matters.
  | { readonly kind: "readRegister"; readonly register: RegisterOperand<"x" | "sp">; readonly bits: 32 | 64 }
  | { readonly kind: "readVector"; readonly register: RegisterOperand<"v">; readonly part: VectorPart }
  | { readonly kind: "readFlag"; readonly flag: FlagName }
  | { readonly kind: "readFpcr" }
  /** u64 at a byte offset of the element's block: a system register that engines may reach directly. */
  | { readonly kind: "readSlot"; readonly offset: ImmediateOperand<32> }
  /** Whether a bit of PE_LAYOUT.FAST_REGISTERS is set. */
  | { readonly kind: "fastCondition"; readonly bit: number }
  /** Ticks of the machine's clock now; f64, as the host has them. */
  | { readonly kind: "clockTicks" }
  /** Input: address. Whether the bytes there, all in one page, may be stored to without the processor's help. */
  | { readonly kind: "isWritable"; readonly access: Access }
  | { readonly kind: "readFpsr" }
  /** FPSR.IXC: not 0 when set. */
  | { readonly kind: "readInexact" }
  // Effects with a result.
  | { readonly kind: "call"; readonly name: RuntimeFunctionName }
  | { readonly kind: "choose"; readonly taken: Block; readonly otherwise: Block }
  /** Input: address. The result is where the bytes can be read in linear memory (i32). */
  | { readonly kind: "loadAddress"; readonly access: Access }
  /** Input: a loadAddress. */
  | { readonly kind: "loadPart"; readonly offset: number; readonly bytes: 1 | 2 | 4 | 8 | 16 }
  | {
      readonly kind: "atomic";
      readonly access: Access;
      readonly update: Block;
      readonly old: readonly Node[];
    }
  /** Old values handed to an atomic update; defined by it. */
  | { readonly kind: "bound" }
  | { readonly kind: "armExclusive"; readonly bytes: number; readonly pair: boolean }
  /** Inputs: address, values. */
  | {
      readonly kind: "storeExclusive";
      readonly access: Access;
      readonly bytes: number;
      readonly pair: boolean;
    };

/** One value of a meaning. */
export class Node<T extends ValueType = ValueType> implements Value<T> {
  readonly type: T;
  readonly shape: NodeShape;
  readonly inputs: readonly Node[];
  /** How often its value is used; counted by {@link countUses}. */
  uses = 0;

  constructor(type: T, shape: NodeShape, inputs: readonly Node[]) {
    this.type = type;
    this.shape = shape;
    this.inputs = inputs;
  }
}

/** One step of a meaning, in order. */
export type Statement =
  /** The point at which `node` may be computed. */
  | { readonly kind: "define"; readonly node: Node }
  | {
      readonly kind: "writeRegister";
      readonly register: RegisterOperand<"x" | "sp">;
      readonly bits: 32 | 64;
      readonly value: Node;
    }
  | {
      readonly kind: "writeVector";
      readonly register: RegisterOperand<"v">;
      readonly part: VectorPart;
      readonly value: Node;
    }
  | {
      readonly kind: "setFlags";
      readonly n: Node;
      readonly z: Node;
      readonly c: Node;
      readonly v: Node;
      readonly origin: FlagsOrigin | undefined;
    }
  | { readonly kind: "writeFpsr"; readonly value: Node }
  | { readonly kind: "writeSlot"; readonly offset: ImmediateOperand<32>; readonly value: Node }
  | { readonly kind: "when"; readonly condition: Node; readonly taken: Block; readonly otherwise: Block }
  | {
      readonly kind: "store";
      readonly address: Node;
      readonly access: Access;
      readonly parts: readonly { offset: number; bytes: number; value: Node }[];
    }
  | { readonly kind: "clearExclusive" }
  | { readonly kind: "branch"; readonly target: Node; readonly branch: BranchKind }
  | { readonly kind: "branchRelative"; readonly offset: ImmediateOperand<32>; readonly branch: BranchKind }
  | { readonly kind: "branchRelativeIf"; readonly condition: Node; readonly offset: ImmediateOperand<32> }
  | {
      readonly kind: "processor";
      readonly operation: ProcessorOperation;
      readonly operands: readonly (Node | ImmediateOperand)[];
    };

/** Statements and, for choose and atomic, the values they leave. */
export interface Block {
  readonly statements: Statement[];
  results: readonly Node[];
}

/** True for nodes that always give the same value for the same inputs. */
export function isPure(node: Node): boolean {
  switch (node.shape.kind) {
    case "constant":
    case "immediate":
    case "operator":
    case "lane":
    case "shuffle":
    case "select":
    case "pc":
      return true;
    default:
      return false;
  }
}

/** True for nodes that may be left out when nobody uses them. */
export function isRemovable(node: Node): boolean {
  switch (node.shape.kind) {
    case "readRegister":
    case "readVector":
    case "readFlag":
    case "readFpcr":
    case "readFpsr":
    case "readInexact":
    case "readSlot":
    case "fastCondition":
    case "clockTicks":
    case "isWritable":
    case "condition":
    case "loadPart":
      return true;
    default:
      return isPure(node);
  }
}

/** The values a statement uses directly. */
export function statementInputs(statement: Statement): readonly Node[] {
  switch (statement.kind) {
    case "define":
      return [];
    case "writeRegister":
    case "writeVector":
    case "writeFpsr":
    case "writeSlot":
      return [statement.value];
    case "setFlags":
      return [statement.n, statement.z, statement.c, statement.v];
    case "when":
    case "branchRelativeIf":
      return [statement.condition];
    case "store":
      return [statement.address, ...statement.parts.map((part) => part.value)];
    case "branch":
      return [statement.target];
    case "processor":
      return statement.operands.filter((operand) => operand instanceof Node);
    case "clearExclusive":
    case "branchRelative":
      return [];
  }
}

/** The blocks inside a node. */
export function nodeBlocks(node: Node): readonly Block[] {
  const { shape } = node;
  if (shape.kind === "choose") return [shape.taken, shape.otherwise];
  return shape.kind === "atomic" ? [shape.update] : [];
}

/** Whether the block calls a runtime function, in whatever case. */
export function callsRuntime(block: Block): boolean {
  return block.statements.some((statement) => {
    if (statement.kind === "when") return callsRuntime(statement.taken) || callsRuntime(statement.otherwise);
    if (statement.kind !== "define") return false;
    return statement.node.shape.kind === "call" || nodeBlocks(statement.node).some(callsRuntime);
  });
}

/** Counts uses of every node that an effect of `block` needs, directly or through others. */
export function countUses(block: Block): void {
  const seen = new Set<Node>();
  const use = (node: Node): void => {
    node.uses++;
    if (seen.has(node)) return;
    seen.add(node);
    for (const input of node.inputs) use(input);
    for (const inner of nodeBlocks(node)) visit(inner);
  };
  const keep = (node: Node): void => {
    // An effect happens whether or not its value is used.
    if (seen.has(node)) return;
    seen.add(node);
    for (const input of node.inputs) use(input);
    for (const inner of nodeBlocks(node)) visit(inner);
  };
  const visit = (inner: Block): void => {
    for (const statement of inner.statements) {
      if (statement.kind === "define") {
        if (!isRemovable(statement.node)) keep(statement.node);
      } else {
        for (const input of statementInputs(statement)) use(input);
        if (statement.kind === "when") {
          visit(statement.taken);
          visit(statement.otherwise);
        }
      }
    }
    for (const result of inner.results) use(result);
  };
  visit(block);
}

export function operatorResult(name: OperatorName): ValueType {
  return OPERATORS[name].result;
}

export function laneOperatorResult(name: LaneOperatorName): ValueType {
  return LANE_OPERATORS[name].result;
}
