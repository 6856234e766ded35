import type {
  LANE_OPERATORS,
  LaneOperatorName,
  OPERATORS,
  OperatorName,
  ValueType,
} from "../wasm/opcodes.ts";
import type { BaseOperand, ImmediateOperand, RegisterOperand } from "./operands.ts";
import type { RuntimeFunctionName, RuntimeFunctions } from "./runtime-functions.ts";

declare const typeOfValue: unique symbol;

/** A value inside one instruction's meaning. Opaque: only an engine looks inside. */
export interface Value<T extends ValueType = ValueType> {
  readonly type: T;
  readonly [typeOfValue]?: T;
}

export type I32 = Value<"i32">;
export type I64 = Value<"i64">;
export type F32 = Value<"f32">;
export type F64 = Value<"f64">;
export type V128 = Value<"v128">;

type ValuesOf<T extends readonly ValueType[]> = { [K in keyof T]: Value<T[K]> };

/** Bytes of one memory element. */
export type ElementSize = 1 | 2 | 4 | 8 | 16;

/** How a memory access differs from a plain one. */
export interface AccessOptions {
  /** LDTR, STTR and siblings: checked as at EL0 (unless UAO says otherwise). */
  readonly unprivileged?: boolean;
  /** Acquire, release, exclusive and atomic accesses fault when not aligned to their whole size. */
  readonly aligned?: boolean;
  /** Bytes of one element, for alignment checks and byte order; the whole access when not given. */
  readonly element?: ElementSize;
}

/** A successful load of several bytes, to be taken apart. Offsets are bytes. Values are zero-extended. */
export interface LoadedBytes {
  i64(offset: number, bytes: 1 | 2 | 4 | 8): I64;
  v128(offset: number): V128;
}

/** One part of a store: the low `bytes` of `value` go to `offset`. A v128 part has 16 bytes. */
export type StorePart =
  | { readonly offset: number; readonly bytes: 1 | 2 | 4 | 8; readonly value: I64 }
  | { readonly offset: number; readonly bytes: 16; readonly value: V128 };

/** What the processor does outside generated code; src/cpu implements each. Arguments are i64. */
export type ProcessorOperation =
  | "undefinedInstruction"
  | "supervisorCall" // imm16
  | "hypervisorCall" // imm16
  | "secureMonitorCall" // imm16
  | "breakpoint" // imm16
  | "halt" // imm16
  | "debugSwitch" // DCPS: target EL, imm16
  | "debugRestore" // DRPS
  | "exceptionReturn"
  | "waitForInterrupt"
  | "waitForEvent"
  | "sendEvent"
  | "sendEventLocal"
  | "yield"
  | "writeProcessState" // op1, op2, CRm
  | "readSystemRegister" // encoding (op0 op1 CRn CRm op2 as 16 bits, as in the word's bits 20:5), Rt
  | "writeSystemRegister" // encoding, Rt
  | "systemInstruction" // encoding, Rt (SYS: TLBI, AT, DC, IC)
  | "systemInstructionResult" // encoding, Rt (SYSL)
  | "zeroCacheLine" // DC ZVA: Rt
  | "stackAlignmentCheck"; // faults when SCTLR_ELx.SA(0) wants SP aligned; called only when it is not

/** What a branch is for, which return predictors want to know. */
/** What flags follow from: AddWithCarry() of two values, the right one inverted or not, or a logical result. */
export interface FlagsOperands {
  readonly operation: "subtract" | "add" | "logical";
  readonly bits: 32 | 64;
  readonly left: Value<"i32" | "i64">;
  /** Undefined for logical operations, where `left` is the result. */
  readonly right: Value<"i32" | "i64"> | undefined;
}

export type BranchKind = "jump" | "call" | "return";

/**
 * The vocabulary in which every instruction's meaning is written, once. Pure operators are WebAssembly's, so
 * each maps to one machine operation; everything with an effect happens in the order written. An effect
 * that faults ends the instruction there: nothing after it happens.
 */
export interface Semantics {
  /** True where `relaxed_madd` may be used and rounds once. */
  readonly fusedMultiplyAdd: boolean;
  i32(value: number): I32;
  i64(value: bigint | number): I64;
  f32(value: number): F32;
  f64(value: number): F64;
  /** A vector constant from 16 bytes, little-endian. */
  v128(bytes: readonly number[]): V128;
  imm32(operand: ImmediateOperand<32>): I32;
  /** A 32-bit immediate is sign-extended. */
  imm64(operand: ImmediateOperand): I64;

  /** Any pure WebAssembly operator: `s.op("i64.add", a, b)`. */
  op<K extends OperatorName>(
    name: K,
    ...operands: ValuesOf<(typeof OPERATORS)[K]["operands"]>
  ): Value<(typeof OPERATORS)[K]["result"]>;
  /** Operators with a constant lane. */
  lane<K extends LaneOperatorName>(
    name: K,
    lane: number,
    ...operands: ValuesOf<(typeof LANE_OPERATORS)[K]["operands"]>
  ): Value<(typeof LANE_OPERATORS)[K]["result"]>;
  /** i8x16.shuffle with 16 constant indices below 32. */
  shuffle(a: V128, b: V128, lanes: readonly number[]): V128;
  /** Both values are computed. */
  select<T extends ValueType>(condition: I32, ifTrue: Value<T>, ifFalse: Value<T>): Value<T>;
  /** Only the chosen side is computed; both may have effects. */
  choose<T extends ValueType>(
    type: T,
    condition: I32,
    ifTrue: () => Value<T>,
    ifFalse: () => Value<T>,
  ): Value<T>;
  /** Effects under a condition. */
  when(condition: I32, then: () => void, otherwise?: () => void): void;
  /** A function outside generated code, without access to registers or memory: see runtime-functions.ts. */
  call<K extends RuntimeFunctionName>(
    name: K,
    ...operands: ValuesOf<RuntimeFunctions[K]["operands"]>
  ): Value<RuntimeFunctions[K]["result"]>;

  readX(register: RegisterOperand<"x" | "sp">): I64;
  /** The low 32 bits. */
  readW(register: RegisterOperand<"x" | "sp">): I32;
  writeX(register: RegisterOperand<"x" | "sp">, value: I64): void;
  /** The upper 32 bits become zero. */
  writeW(register: RegisterOperand<"x" | "sp">, value: I32): void;
  readV(register: RegisterOperand<"v">): V128;
  writeV(register: RegisterOperand<"v">, value: V128): void;
  /** The low 64 bits as a double, the low 32 as a float, the low 64 as an integer. */
  readD(register: RegisterOperand<"v">): F64;
  readS(register: RegisterOperand<"v">): F32;
  readVLow(register: RegisterOperand<"v">): I64;
  /** Each zeroes the rest of the register. */
  writeD(register: RegisterOperand<"v">, value: F64): void;
  writeS(register: RegisterOperand<"v">, value: F32): void;
  writeVLow(register: RegisterOperand<"v">, value: I64): void;

  /**
   * Sets N from the sign of `n`, Z from `z` being zero, C from `c` (0 or 1), V from the sign of `v`. `operands` tells
   * what they were computed from where that is an addition, a subtraction or a logical operation.
   */
  setFlags(n: I64, z: I64, c: I64, v: I64, operands?: FlagsOperands): void;
  flagN(): I64;
  flagZ(): I64;
  flagC(): I64;
  flagV(): I64;
  /** Sets all four from bits 31:28 of `value`. */
  setFlagsFromBits(value: I64): void;
  /** ConditionHolds(): 1 or 0. `condition` is static, 0 to 15. */
  condition(condition: number): I32;

  /** FPCR and FPSR as stored (FPSR without NZCV). */
  readFpcr(): I32;
  readFpsr(): I32;
  /** FPSR.IXC: not 0 when set. */
  readInexact(): I32;
  writeFpsr(value: I32): void;

  /** The base's value; faults when it is a misaligned SP and SCTLR says so. */
  address(base: BaseOperand): I64;
  load(address: I64, bytes: 1 | 2 | 4 | 8, options?: AccessOptions): I64;
  loadV(address: I64, options?: AccessOptions): V128;
  /** One access of `bytes` (1 to 64), checked as a whole, then taken apart. */
  loadBytes(address: I64, bytes: number, options?: AccessOptions): LoadedBytes;
  store(address: I64, bytes: 1 | 2 | 4 | 8, value: I64, options?: AccessOptions): void;
  storeV(address: I64, value: V128, options?: AccessOptions): void;
  /** One access of `bytes` (1 to 64): all parts are written or, on a fault, none. */
  storeBytes(address: I64, bytes: number, parts: readonly StorePart[], options?: AccessOptions): void;
  /** Read-modify-write of one aligned location as one indivisible step; returns the old value, zero-extended. */
  atomic(address: I64, bytes: 1 | 2 | 4 | 8, update: (old: I64) => I64): I64;
  /** The same for a pair of `bytes` each (CASP). */
  atomicPair(
    address: I64,
    bytes: 4 | 8,
    update: (old: readonly [I64, I64]) => readonly [I64, I64],
  ): readonly [I64, I64];
  /** Loads and arms the exclusive monitor. A pair has two elements of `bytes`. */
  loadExclusive(address: I64, bytes: 1 | 2 | 4 | 8, pair: boolean): readonly [I64, I64];
  /** 0 when the store happened, 1 when the monitor was not armed for it. */
  storeExclusive(address: I64, bytes: 1 | 2 | 4 | 8, value: I64, second?: I64): I32;
  clearExclusive(): void;

  /** Address of this instruction. */
  pc(): I64;
  /** Continue at `target`. At most one branch happens in an instruction, as its last effect. */
  branch(target: I64, kind: BranchKind): void;
  /** Continue at this instruction's address plus `offset` bytes. */
  branchRelative(offset: ImmediateOperand<32>, kind: BranchKind): void;
  /** The same if `condition` is not 0, else continue with the next instruction. */
  branchRelativeIf(condition: I32, offset: ImmediateOperand<32>): void;
  /** Hand over to the processor. It may change the flow; it is the last effect, stackAlignmentCheck and zeroCacheLine aside. */
  processor(operation: ProcessorOperation, ...operands: readonly (I64 | ImmediateOperand)[]): void;
}
