import type { FlagName, Node, Statement, VectorPart } from "../../isa/ir.ts";
import type { ImmediateOperand, RegisterOperand } from "../../isa/operands.ts";
import type { RuntimeFunctionName } from "../../isa/runtime-functions.ts";
import { FPSR } from "../../isa/softfloat/control.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";

/** Functions outside that handlers call, by index in the module at hand. */
export interface HandlerImports {
  readonly slowLoad: number;
  readonly slowStore: number;
  readonly prepareWrite: number;
  readonly processor: number;
  readonly ticks: number;
  runtime(name: RuntimeFunctionName): number;
}

export type SetFlags = Extract<Statement, { kind: "setFlags" }>;

/** How a meaning's operands and the flags are reached: through a record, or as locals and constants. */
export interface OperandAccess {
  pushRegister(register: RegisterOperand<"x" | "sp">, bits: 32 | 64): void;
  /** The local that holds what {@link pushRegister} pushes throughout the instruction; undefined where none does. */
  home(register: RegisterOperand<"x" | "sp">, bits: 32 | 64): number | undefined;
  /** `push` leaves an i64 (bits 64) or i32 (bits 32, zero-extended here). */
  writeRegister(register: RegisterOperand<"x" | "sp">, bits: 32 | 64, push: () => void): void;
  pushVector(register: RegisterOperand<"v">, part: VectorPart): void;
  /** The rest of the register becomes zero. */
  writeVector(register: RegisterOperand<"v">, part: VectorPart, push: () => void): void;
  pushImmediate(operand: ImmediateOperand, type: "i32" | "i64"): void;
  pushFlag(flag: FlagName): void;
  /** `push` leaves a node's value. */
  writeFlags(flags: SetFlags, push: (node: Node) => void): void;
  /** Pushes ConditionHolds() where there is a shorter way than by the flags; false where there is none. */
  pushCondition(condition: number): boolean;
}

/** Where a handler's code stands: a function of its own, or an arm of the interpreter's switch. */
export interface HandlerFrame {
  readonly body: FunctionBody;
  readonly imports: HandlerImports;
  readonly operands: OperandAccess;
  /** Local with the PE's base address. */
  readonly pe: number;
  /** Local, i32, 0 at entry: set when the loop must be left after this instruction. */
  readonly leave: number;
  /** Pushes the instruction's address (i64). */
  pushPc(): void;
  /** Pushes the soft TLB's bank for ordinary accesses. */
  pushBank(): void;
  /** Push FPCR, and FPSR.IXC in its place (bit 4). */
  pushFpcr(): void;
  pushInexact(): void;
  /** Stores PC and fuel before something outside may look at them. */
  spill(): void;
  /** Leaves: PC in the PE's block is where to go on. */
  exit(): void;
  /**
   * True where all but the usual case leaves ({@link exit}) before anything has happened: misses of the soft TLB,
   * processor operations, choices that call. False where stores that miss go through SCRATCH and `slowStore`.
   */
  readonly leavesSlowCases: boolean;
  /** Goes on at PC + (i32 on the stack), a target known to lie in this page. Undefined where not offered. */
  readonly jumpInPage: (() => void) | undefined;
  /** Follows a conditional branch that was not taken, before {@link next}. */
  notTaken(): void;
  /** Goes on with the next instruction. */
  next(): void;
}

/** FPCR and FPSR.IXC as they lie in the element's block. */
export function floatingPointControl(
  body: FunctionBody,
  pe: number,
): Pick<HandlerFrame, "pushFpcr" | "pushInexact"> {
  return {
    pushFpcr: () => body.get(pe).memory("i32.load", PE_LAYOUT.FPCR),
    pushInexact: () => body.get(pe).memory("i32.load", PE_LAYOUT.FPSR).i32(FPSR.IXC).op("i32.and"),
  };
}
