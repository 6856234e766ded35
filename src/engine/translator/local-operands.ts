import { Bug } from "../../base/errors.ts";
import type { FlagName, VectorPart } from "../../isa/ir.ts";
import type { ImmediateOperand, Operand, RegisterOperand } from "../../isa/operands.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import type { OperandAccess } from "../interpreter/handler-frame.ts";
import { registerSlot } from "../interpreter/record.ts";
import { FLAG_SLOT } from "../interpreter/record-operands.ts";
import type { Region, RegionInstruction } from "./region.ts";

const FLAGS: readonly FlagName[] = ["N", "Z", "C", "V"];
const ZEROES: readonly number[] = new Array<number>(16).fill(0);

/** A guest register that lives in a local while a region runs: its slot in the PE's block names it. */
interface Home {
  readonly slot: number;
  readonly type: "i64" | "v128";
  readonly local: number;
  /** Some instruction of the region writes it, so leaving stores it (row P1: valid, not saved). */
  isWritten: boolean;
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
  readonly #homes = new Map<number, Home>();
  readonly #flags = new Map<FlagName, number>();
  #flagsWritten = false;
  #instruction: RegionInstruction | undefined;

  /** Gives a local to every register and flag that the region uses. `pe` is the local with the PE's base. */
  constructor(body: FunctionBody, pe: number, region: Region) {
    this.#body = body;
    this.#pe = pe;
    for (const { instructions } of region.blocks.values()) {
      for (const instruction of instructions) this.#claim(instruction);
    }
  }

  #claim(instruction: RegionInstruction): void {
    const { plan, usesFlags, writesFlags } = instruction.handler;
    for (const handle of plan.reads) this.#home(resolveRegister(instruction, handle), "read");
    for (const handle of plan.writes) {
      const home = this.#home(resolveRegister(instruction, handle), "write");
      if (home !== undefined) home.isWritten = true;
    }
    if (usesFlags || writesFlags) {
      for (const flag of FLAGS) if (!this.#flags.has(flag)) this.#flags.set(flag, this.#body.local("i64"));
    }
    if (writesFlags) this.#flagsWritten = true;
  }

  #home(register: RegisterOperand, direction: "read" | "write"): Home | undefined {
    if (register.file === "x" && register.index === 31) return undefined;
    const slot = registerSlot(register, direction);
    const known = this.#homes.get(slot);
    if (known !== undefined) return known;
    const type = register.file === "v" ? "v128" : "i64";
    const home = { slot, type, local: this.#body.local(type), isWritten: false } as const;
    this.#homes.set(slot, home);
    return this.#homes.get(slot);
  }

  /** Loads every local from the PE's block. */
  load(): void {
    const body = this.#body;
    for (const { slot, type, local } of this.#homes.values()) {
      body
        .get(this.#pe)
        .memory(type === "v128" ? "v128.load" : "i64.load", slot)
        .set(local);
    }
    for (const [flag, local] of this.#flags)
      body.get(this.#pe).memory("i64.load", FLAG_SLOT[flag]).set(local);
  }

  /** Stores every local that the region may have changed. */
  save(): void {
    const body = this.#body;
    for (const { slot, type, local, isWritten } of this.#homes.values()) {
      if (isWritten)
        body
          .get(this.#pe)
          .get(local)
          .memory(type === "v128" ? "v128.store" : "i64.store", slot);
    }
    if (!this.#flagsWritten) return;
    for (const [flag, local] of this.#flags)
      body.get(this.#pe).get(local).memory("i64.store", FLAG_SLOT[flag]);
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
    const home = this.#home(register, direction);
    if (home === undefined) throw new Bug("the zero register has no local");
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
