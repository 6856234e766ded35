import type { FlagName, Node, VectorPart } from "../../isa/ir.ts";
import type { ImmediateOperand, RegisterOperand } from "../../isa/operands.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import type { OperandAccess, SetFlags } from "./handler-frame.ts";
import { type RecordPlan, registerSlot } from "./record.ts";

/** Where the PE's block keeps each of the four flag values. */
export const FLAG_SLOT: Record<FlagName, number> = {
  N: PE_LAYOUT.FLAG_N,
  Z: PE_LAYOUT.FLAG_Z,
  C: PE_LAYOUT.FLAG_C,
  V: PE_LAYOUT.FLAG_V,
};

/** The interpreter's operands: the record says where in the PE's block they are. */
export class RecordOperands implements OperandAccess {
  readonly #body: FunctionBody;
  readonly #plan: RecordPlan;
  readonly #pe: number;
  readonly #record: number;

  /** `pe` and `record` are locals with the two addresses. */
  constructor(body: FunctionBody, plan: RecordPlan, pe: number, record: number) {
    this.#body = body;
    this.#plan = plan;
    this.#pe = pe;
    this.#record = record;
  }

  #address(register: RegisterOperand, direction: "read" | "write"): void {
    const body = this.#body;
    const position = this.#plan.positionOfRegister(register, direction);
    // A register that the instruction implies (X30 of BL) is no operand of the record.
    if (position === undefined) body.get(this.#pe).i32(registerSlot(register, direction)).op("i32.add");
    else body.get(this.#record).memory("i32.load16_u", position).get(this.#pe).op("i32.add");
  }

  pushRegister(register: RegisterOperand<"x" | "sp">, bits: 32 | 64): void {
    this.#address(register, "read");
    this.#body.memory(bits === 64 ? "i64.load" : "i32.load");
  }

  home(): undefined {
    return undefined;
  }

  writeRegister(register: RegisterOperand<"x" | "sp">, bits: 32 | 64, push: () => void): void {
    this.#address(register, "write");
    push();
    if (bits === 32) this.#body.op("i64.extend_i32_u");
    this.#body.memory("i64.store");
  }

  pushVector(register: RegisterOperand<"v">, part: VectorPart): void {
    this.#address(register, "read");
    this.#body.memory(`${part}.load`);
  }

  writeVector(register: RegisterOperand<"v">, part: VectorPart, push: () => void): void {
    const body = this.#body;
    const address = body.local("i32");
    this.#address(register, "write");
    body.tee(address);
    push();
    body.memory(`${part}.store`);
    if (part === "f32") body.get(address).i32(0).memory("i32.store", 4);
    if (part !== "v128") body.get(address).i64(0n).memory("i64.store", 8);
    body.release("i32", address);
  }

  pushImmediate(operand: ImmediateOperand, type: "i32" | "i64"): void {
    const body = this.#body;
    const position = this.#plan.positionOfImmediate(operand);
    if (position === undefined) {
      if (type === "i32") body.i32(Number(BigInt.asIntN(32, BigInt(operand.value))));
      else body.i64(BigInt(operand.value));
    } else if (type === "i32") body.get(this.#record).memory("i32.load", position);
    else body.get(this.#record).memory(operand.width === 64 ? "i64.load" : "i64.load32_s", position);
  }

  pushFlag(flag: FlagName): void {
    this.#body.get(this.#pe).memory("i64.load", FLAG_SLOT[flag]);
  }

  writeFlags({ n, z, c, v }: SetFlags, push: (node: Node) => void): void {
    const write = (flag: FlagName, value: Node): void => {
      this.#body.get(this.#pe);
      push(value);
      this.#body.memory("i64.store", FLAG_SLOT[flag]);
    };
    write("N", n);
    write("Z", z);
    write("C", c);
    write("V", v);
  }

  pushCondition(): boolean {
    return false;
  }
}
