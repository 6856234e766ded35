import { Bug } from "../../base/errors.ts";
import type { FlagName, Node, VectorPart } from "../../isa/ir.ts";
import type { ImmediateOperand, RegisterOperand } from "../../isa/operands.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import type { OperandAccess, SetFlags } from "../interpreter/handler-frame.ts";
import { FLAG_SLOT } from "../interpreter/record-operands.ts";
import type { FlagsForm, KnownForm } from "./flags-form.ts";
import type { RegionInstruction } from "./region.ts";
import { FLAGS, RegionFlags } from "./region-flags.ts";
import {
  bitsOf,
  FLAGS_SET,
  hasFlags,
  REGISTER_BIT,
  type RegisterSet,
  registerBit,
  resolveRegister,
} from "./register-use.ts";

const ZEROES: readonly number[] = new Array<number>(16).fill(0);

/** Guest state that lives in a local while a region runs. */
interface Home {
  /** Byte offset in the element's block. */
  readonly slot: number;
  readonly type: "i64" | "v128";
  readonly local: number;
}

const NO_HOMES: readonly Home[] = [];

/** Slots and types of everything that a bit of a RegisterSet stands for. */
const HOMES: readonly (readonly Omit<Home, "local">[])[] = [
  ...Array.from({ length: 31 }, (_, index) => [{ slot: PE_LAYOUT.X + 8 * index, type: "i64" }] as const),
  [{ slot: PE_LAYOUT.SP, type: "i64" }],
  ...Array.from({ length: 32 }, (_, index) => [{ slot: PE_LAYOUT.V + 16 * index, type: "v128" }] as const),
  FLAGS.map((flag) => ({ slot: FLAG_SLOT[flag], type: "i64" })),
];

/** Guest registers and flags of a region as WebAssembly locals. */
export class LocalOperands implements OperandAccess {
  readonly #body: FunctionBody;
  readonly #pe: number;
  /** By bit of a RegisterSet. */
  readonly #homes: (readonly Home[] | undefined)[] = [];
  readonly #flags: RegionFlags;
  #instruction: RegionInstruction | undefined;
  #form: FlagsForm = "stored";

  /** `pe` is the local with the PE's base; `forms`: all that the region's instructions leave flags in. */
  constructor(body: FunctionBody, pe: number, forms: ReadonlySet<KnownForm>) {
    this.#body = body;
    this.#pe = pe;
    this.#flags = new RegionFlags(body, forms);
  }

  #homesAt(bit: number): readonly Home[] {
    let homes = this.#homes[bit];
    if (homes === undefined) {
      homes = HOMES[bit]!.map(({ slot, type }) => ({ slot, type, local: this.#body.lastingLocal(type) }));
      this.#homes[bit] = homes;
    }
    return homes;
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

  /** Stores registers into the PE's block, the flags from the form that they are in. */
  save(registers: RegisterSet, form: FlagsForm): void {
    const body = this.#body;
    let rest = registers;
    if (hasFlags(registers) && form === "varying") this.storeVaryingFlags();
    else if (hasFlags(registers) && form !== "stored") {
      rest &= ~FLAGS_SET;
      for (const flag of FLAGS) {
        body.get(this.#pe);
        this.#flags.in(form).pushFlag(flag);
        body.memory("i64.store", FLAG_SLOT[flag]);
      }
    }
    for (const { slot, type, local } of this.#homesOf(rest)) {
      body
        .get(this.#pe)
        .get(local)
        .memory(type === "v128" ? "v128.store" : "i64.store", slot);
    }
  }

  #homesOf(registers: RegisterSet): readonly Home[] {
    if (registers === 0n) return NO_HOMES;
    const homes: Home[] = [];
    for (const bit of bitsOf(registers)) homes.push(...this.#homesAt(bit));
    return homes;
  }

  /** From now on operands are those of this instruction, which finds the flags in `form`. */
  begin(instruction: RegionInstruction, form: FlagsForm): void {
    this.#instruction = instruction;
    this.#form = form;
  }

  #resolve(handle: RegisterOperand): RegisterOperand {
    if (this.#instruction === undefined) throw new Bug("no instruction is being translated");
    return resolveRegister(this.#instruction.known, handle);
  }

  #local(register: RegisterOperand): number {
    const home = this.#homesAt(registerBit(register) ?? -1)[0];
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
    body.get(this.#local(register));
    if (bits === 32) body.op("i32.wrap_i64");
  }

  home(handle: RegisterOperand<"x" | "sp">, bits: 32 | 64): number | undefined {
    const register = this.#resolve(handle);
    const bit = registerBit(register);
    const isWritten = bit === undefined || ((this.#instruction?.known.use.writes ?? 0n) >> BigInt(bit)) & 1n;
    return bits === 64 && !isWritten ? this.#local(register) : undefined;
  }

  writeRegister(handle: RegisterOperand<"x" | "sp">, bits: 32 | 64, push: () => void): void {
    const register = this.#resolve(handle);
    push();
    if (bits === 32) this.#body.op("i64.extend_i32_u");
    if (register.file === "x" && register.index === 31) this.#body.drop();
    else this.#body.set(this.#local(register));
  }

  pushVector(handle: RegisterOperand<"v">, part: VectorPart): void {
    const body = this.#body.get(this.#local(this.#resolve(handle)));
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
    body.set(this.#local(this.#resolve(handle)));
  }

  pushImmediate(handle: ImmediateOperand, type: "i32" | "i64"): void {
    const known = this.#instruction?.known;
    const name = known?.handler.plan.nameOf(handle);
    const operand = name === undefined ? handle : known?.decoded.operands[name];
    if (typeof operand !== "object" || operand.kind !== "immediate")
      throw new Bug("an immediate has no value");
    if (type === "i64") this.#body.i64(BigInt(operand.value));
    else this.#body.i32(Number(BigInt.asIntN(32, BigInt(operand.value))));
  }

  pushFlag(flag: FlagName): void {
    if (this.#form === "stored") this.#body.get(this.#flagLocal(flag));
    else this.#flags.in(this.#form).pushFlag(flag);
  }

  /** From now on the flags are in the form `stored`; they were in whichever form the local names. */
  storeVaryingFlags(): void {
    this.#flags.store((flag) => this.#flagLocal(flag));
  }

  /** Lets the local name the form, for places that several forms reach. */
  nameFlagsForm(form: KnownForm): void {
    this.#flags.name(form);
  }

  writeFlags(flags: SetFlags, push: (node: Node) => void): void {
    if (flags.origin !== undefined && this.#instruction?.known.flagsAfter !== "stored") {
      this.#flags.keepOperands(flags.origin, push);
      return;
    }
    for (const [name, node] of [
      ["N", flags.n],
      ["Z", flags.z],
      ["C", flags.c],
      ["V", flags.v],
    ] as const) {
      push(node);
      this.#body.set(this.#flagLocal(name));
    }
  }

  pushCondition(condition: number): boolean {
    return this.#form !== "stored" && this.#flags.in(this.#form).pushCondition(condition);
  }

  #flagLocal(flag: FlagName): number {
    return this.#homesAt(REGISTER_BIT.FLAGS)[FLAGS.indexOf(flag)]!.local;
  }
}
