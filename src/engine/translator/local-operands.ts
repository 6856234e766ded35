import { Bug } from "../../base/errors.ts";
import type { FlagName, VectorPart } from "../../isa/ir.ts";
import type { ImmediateOperand, Operand, RegisterOperand } from "../../isa/operands.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import type { OperandAccess } from "../interpreter/handler-frame.ts";
import { registerSlot } from "../interpreter/record.ts";
import { FLAG_SLOT } from "../interpreter/record-operands.ts";
import type { RegionInstruction } from "./region.ts";
import type { RegisterSet, RegisterUse } from "./register-flow.ts";

const FLAGS: readonly FlagName[] = ["N", "Z", "C", "V"];
const ZEROES: readonly number[] = new Array<number>(16).fill(0);
/** The four flags count as one register. */
const FLAGS_REGISTER = -1;

/** Guest state that lives in a local while a region runs. */
interface Home {
  /** Byte offset in the element's block. */
  readonly slot: number;
  readonly type: "i64" | "v128";
  readonly local: number;
}

/** The operand that a register handle stands for in one instruction. */
export function resolveRegister(
  { handler, decoded }: RegionInstruction,
  handle: RegisterOperand,
): RegisterOperand {
  const name = handler.plan.nameOf(handle);
  if (name === undefined) return handle;
  const operand: Operand | undefined = decoded.operands[name];
  if (typeof operand !== "object" || operand.kind === "immediate")
    throw new Bug(`operand ${name} is no register`);
  return operand.kind === "base" ? operand.register : operand;
}

/** Guest registers and flags of a region as WebAssembly locals. */
export class LocalOperands implements OperandAccess {
  readonly #body: FunctionBody;
  readonly #pe: number;
  /** Number (bit in a RegisterSet) by slot, and the homes of each number. */
  readonly #numbers = new Map<number, number>();
  readonly #homes: (readonly Home[])[] = [];
  readonly #flags = new Map<FlagName, number>();
  readonly #uses = new Map<RegionInstruction, RegisterUse>();
  #instruction: RegionInstruction | undefined;

  /** `pe` is the local with the PE's base. */
  constructor(body: FunctionBody, pe: number) {
    this.#body = body;
    this.#pe = pe;
  }

  /** What the instruction reads and writes; its registers get locals. */
  use(instruction: RegionInstruction): RegisterUse {
    let use = this.#uses.get(instruction);
    if (use === undefined) {
      use = this.#findUse(instruction);
      this.#uses.set(instruction, use);
    }
    return use;
  }

  #findUse(instruction: RegionInstruction): RegisterUse {
    const { plan, usesFlags, writesFlags, writesConditionally } = instruction.handler;
    let reads = 0n;
    let writes = 0n;
    for (const handle of plan.reads) reads |= this.#bit(resolveRegister(instruction, handle), "read");
    for (const handle of plan.writes) writes |= this.#bit(resolveRegister(instruction, handle), "write");
    if (usesFlags) reads |= this.#flagsBit();
    if (writesFlags) writes |= this.#flagsBit();
    return { reads: writesConditionally ? reads | writes : reads, writes };
  }

  #bit(register: RegisterOperand, direction: "read" | "write"): RegisterSet {
    if (register.file === "x" && register.index === 31) return 0n;
    const slot = registerSlot(register, direction);
    const type = register.file === "v" ? "v128" : "i64";
    return this.#number(slot, () => [{ slot, type, local: this.#body.local(type) }]);
  }

  #flagsBit(): RegisterSet {
    return this.#number(FLAGS_REGISTER, () =>
      FLAGS.map((flag) => {
        const local = this.#body.local("i64");
        this.#flags.set(flag, local);
        return { slot: FLAG_SLOT[flag], type: "i64", local };
      }),
    );
  }

  #number(slot: number, make: () => readonly Home[]): RegisterSet {
    let number = this.#numbers.get(slot);
    if (number === undefined) {
      number = this.#homes.push(make()) - 1;
      this.#numbers.set(slot, number);
    }
    return 1n << BigInt(number);
  }

  /** Loads registers from the PE's block. */
  load(registers: RegisterSet): void {
    const body = this.#body;
    for (const { slot, type, local } of this.#homesOf(registers)) {
      body
        .get(this.#pe)
        .memory(type === "v128" ? "v128.load" : "i64.load", slot)
        .set(local);
    }
  }

  /** Stores registers into the PE's block. */
  save(registers: RegisterSet): void {
    const body = this.#body;
    for (const { slot, type, local } of this.#homesOf(registers)) {
      body
        .get(this.#pe)
        .get(local)
        .memory(type === "v128" ? "v128.store" : "i64.store", slot);
    }
  }

  *#homesOf(registers: RegisterSet): Iterable<Home> {
    for (const [number, homes] of this.#homes.entries()) {
      if (((registers >> BigInt(number)) & 1n) === 1n) yield* homes;
    }
  }

  /** From now on operands are those of this instruction. */
  begin(instruction: RegionInstruction): void {
    this.#instruction = instruction;
  }

  #resolve(handle: RegisterOperand): RegisterOperand {
    if (this.#instruction === undefined) throw new Bug("no instruction is being translated");
    return resolveRegister(this.#instruction, handle);
  }

  #local(register: RegisterOperand, direction: "read" | "write"): number {
    const number = this.#numbers.get(registerSlot(register, direction));
    const home = number === undefined ? undefined : this.#homes[number]?.[0];
    if (home === undefined) throw new Bug("a register of the region has no local");
    return home.local;
  }

  pushRegister(handle: RegisterOperand<"x" | "sp">, bits: 32 | 64): void {
    const register = this.#resolve(handle);
    const body = this.#body;
    if (register.file === "x" && register.index === 31) {
      if (bits === 64) body.i64(0n);
      else body.i32(0);
      return;
    }
    body.get(this.#local(register, "read"));
    if (bits === 32) body.op("i32.wrap_i64");
  }

  writeRegister(handle: RegisterOperand<"x" | "sp">, bits: 32 | 64, push: () => void): void {
    const register = this.#resolve(handle);
    push();
    if (bits === 32) this.#body.op("i64.extend_i32_u");
    if (register.file === "x" && register.index === 31) this.#body.drop();
    else this.#body.set(this.#local(register, "write"));
  }

  pushVector(handle: RegisterOperand<"v">, part: VectorPart): void {
    const body = this.#body.get(this.#local(this.#resolve(handle), "read"));
    if (part === "f64") body.laneOp("f64x2.extract_lane", 0);
    else if (part === "f32") body.laneOp("f32x4.extract_lane", 0);
    else if (part === "i64") body.laneOp("i64x2.extract_lane", 0);
  }

  writeVector(handle: RegisterOperand<"v">, part: VectorPart, push: () => void): void {
    const body = this.#body;
    if (part !== "v128") body.v128(ZEROES);
    push();
    if (part === "f64") body.laneOp("f64x2.replace_lane", 0);
    else if (part === "f32") body.laneOp("f32x4.replace_lane", 0);
    else if (part === "i64") body.laneOp("i64x2.replace_lane", 0);
    body.set(this.#local(this.#resolve(handle), "write"));
  }

  pushImmediate(handle: ImmediateOperand, type: "i32" | "i64"): void {
    const name = this.#instruction?.handler.plan.nameOf(handle);
    const operand = name === undefined ? handle : this.#instruction?.decoded.operands[name];
    if (typeof operand !== "object" || operand.kind !== "immediate")
      throw new Bug("an immediate has no value");
    if (type === "i64") this.#body.i64(BigInt(operand.value));
    else this.#body.i32(Number(BigInt.asIntN(32, BigInt(operand.value))));
  }

  pushFlag(flag: FlagName): void {
    this.#body.get(this.#flagLocal(flag));
  }

  writeFlag(flag: FlagName, push: () => void): void {
    push();
    this.#body.set(this.#flagLocal(flag));
  }

  #flagLocal(flag: FlagName): number {
    const local = this.#flags.get(flag);
    if (local === undefined) throw new Bug(`flag ${flag} has no local in this region`);
    return local;
  }
}
