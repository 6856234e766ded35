import { MASK64 } from "../../base/bits.ts";
import type { FastRegister } from "../../cpu/fast-registers.ts";
import type { Decoded } from "../../isa/decoder.ts";
import type { Instruction, OperandValues } from "../../isa/instruction.ts";
import { IrBuilder, semanticsOf } from "../../isa/ir-builder.ts";
import { type ImmediateOperand, imm32, imm64, type RegisterOperand, x } from "../../isa/operands.ts";
import { withFastOperation } from "./fast-operations.ts";

/** Recognises MRS and MSR of registers that may be reached directly, and the operations of fast-operations.ts. */
export class FastSystemRegisters {
  readonly #ways = new Map<string, FastRegister[]>();

  constructor(ways: readonly FastRegister[]) {
    for (const way of ways) {
      const key = `${way.direction}${way.encoding}`;
      this.#ways.set(key, [...(this.#ways.get(key) ?? []), way]);
    }
  }

  /** The same instruction with a direct way in front of the processor's, if there is one. */
  improve(decoded: Decoded): Decoded {
    return this.#improveMove(decoded) ?? withFastOperation(decoded);
  }

  #improveMove(decoded: Decoded): Decoded | undefined {
    const { name } = decoded.instruction;
    const direction = name === "MRS_systemmove" ? "read" : name === "MSR_systemmove" ? "write" : undefined;
    if (direction === undefined) return undefined;
    const register = decoded.operands["register"];
    const t = decoded.operands["t"];
    if (typeof register !== "object" || register.kind !== "immediate") return undefined;
    if (typeof t !== "object" || t.kind !== "immediate") return undefined;
    const ways = this.#ways.get(`${direction}${register.value}`);
    if (ways === undefined) return undefined;
    return {
      instruction: fastInstruction(decoded.instruction, direction, ways),
      operands: operandsOf(ways, register, t),
    };
  }
}

function operandsOf(
  ways: readonly FastRegister[],
  register: ImmediateOperand,
  t: ImmediateOperand,
): OperandValues {
  const operands: Record<string, OperandValues[string]> = { register, t, general: x(Number(t.value)) };
  ways.forEach(({ condition, offset, mask }, index) => {
    operands[`condition${index}`] = condition;
    operands[`offset${index}`] = imm32(offset);
    operands[`masked${index}`] = mask !== MASK64;
    operands[`mask${index}`] = imm64(mask);
  });
  return operands;
}

function fastInstruction(
  plain: Instruction,
  direction: "read" | "write",
  ways: readonly FastRegister[],
): Instruction {
  return {
    ...plain,
    name: `${plain.name}_fast${ways.length}`,
    execute: (operands, s) => {
      // Engines give meanings an IrBuilder; this one needs what only the builder offers.
      if (!(s instanceof IrBuilder)) throw new TypeError("a fast register access is for engines only");
      const attempt = (index: number): void => {
        if (index === ways.length) {
          s.processor(
            direction === "read" ? "readSystemRegister" : "writeSystemRegister",
            operands["register"] as ImmediateOperand,
            operands["t"] as ImmediateOperand,
          );
          return;
        }
        s.when(
          s.fastCondition(operands[`condition${index}`] as number),
          () => access(s, operands, direction, index),
          () => attempt(index + 1),
        );
      };
      attempt(0);
    },
  };
}

function access(s: IrBuilder, operands: OperandValues, direction: "read" | "write", index: number): void {
  const general = operands["general"] as RegisterOperand<"x">;
  const offset = operands[`offset${index}`] as ImmediateOperand<32>;
  if (direction === "read") {
    s.writeX(general, s.readSlot(offset));
    return;
  }
  const value = s.readX(general);
  const masked = operands[`masked${index}`] === true;
  const mask = s.imm64(operands[`mask${index}`] as ImmediateOperand<64>);
  const kept = masked ? semanticsOf(s).op("i64.and", value, mask) : value;
  s.writeSlot(offset, kept);
}
