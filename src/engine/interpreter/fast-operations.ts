import { DAIF as MASKS } from "../../cpu/element-state.ts";
import { FAST_CONDITIONS, type FastCondition } from "../../cpu/fast-registers.ts";
import { CACHE_LINE_BYTES, ZERO_BLOCK_ID } from "../../cpu/identification.ts";
import type { Decoded } from "../../isa/decoder.ts";
import type { OperandValues } from "../../isa/instruction.ts";
import { IrBuilder, semanticsOf } from "../../isa/ir-builder.ts";
import { type ImmediateOperand, imm32, imm64, type RegisterOperand, x } from "../../isa/operands.ts";
import type { Value } from "../../isa/semantics.ts";
import { systemRegister } from "../../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";

/**
 * Instructions that are the processor's, but plain in their usual case: masks of interrupts, DC ZVA, the counters, and
 * registers that lie in the element's block as other things than a u64. Kernels execute them all the time, and each call of the
 * processor leaves WebAssembly and ends a region.
 */

/** The direct way of one instruction. */
interface Way {
  readonly name: string;
  readonly condition: FastCondition;
  /** What `run` uses besides the instruction's own operands. */
  readonly operands: OperandValues;
  /** Does the work, or `slowly` what the processor does. */
  run(operands: OperandValues, s: IrBuilder, slowly: () => void): void;
}

const [DAIF, FPCR, FPSR, ZERO_ID, PHYSICAL, VIRTUAL] = (
  ["DAIF", "FPCR", "FPSR", "DCZID_EL0", "CNTPCT_EL0", "CNTVCT_EL0"] as const
).map((name) => systemRegister(name).encoding);
const DAIF_FIELD = { op1: 3, set: 6, clear: 7 } as const;
const LOW_WORD = 0xffff_ffffn;
const ZEROES: readonly number[] = new Array<number>(16).fill(0);

/** The same instruction with a direct way in front of the processor's, if there is one. */
export function withFastOperation(decoded: Decoded): Decoded {
  const { instruction } = decoded;
  const way = wayOf(decoded);
  if (way === undefined || instruction.execute === undefined) return decoded;
  const plain = instruction.execute;
  const condition = FAST_CONDITIONS.indexOf(way.condition);
  return {
    instruction: {
      ...instruction,
      name: `${instruction.name}_fast_${way.name}`,
      execute: (operands, s) => {
        // Engines give meanings an IrBuilder; this one needs what only the builder offers.
        if (!(s instanceof IrBuilder)) throw new TypeError("a fast operation is for engines only");
        const slowly = (): void => plain(operands, semanticsOf(s));
        s.when(s.fastCondition(condition), () => way.run(operands, s, slowly), slowly);
      },
    },
    operands: { ...decoded.operands, ...way.operands },
  };
}

function wayOf({ instruction: { name }, operands }: Decoded): Way | undefined {
  switch (name) {
    case "DC_ZVA_systeminstrs":
      return zeroBlock(numberOf(operands["t"]));
    case "MSR_imm_pstate":
      if (numberOf(operands["op1"]) !== DAIF_FIELD.op1) return undefined;
      return changeMasks(numberOf(operands["op2"]), numberOf(operands["value"]));
    case "MRS_systemmove":
      return readRegister(numberOf(operands["register"]), numberOf(operands["t"]));
    case "MSR_systemmove":
      return numberOf(operands["register"]) === DAIF ? writeMasks(numberOf(operands["t"])) : undefined;
    default:
      return undefined;
  }
}

/** Writes zeroes where the soft TLB lets stores through; kernels clear their pages with it. */
function zeroBlock(t: number): Way {
  return {
    name: "store",
    condition: "zeroes freely",
    operands: { general: x(t) },
    run(operands, s, slowly) {
      const pointer = s.readX(operands["general"] as RegisterOperand<"x">);
      const address = compute(s, "i64.and", pointer, s.i64(-CACHE_LINE_BYTES));
      const store = (): void => {
        const value = s.v128(ZEROES);
        const parts = [0, 16, 32, 48].map((offset) => ({ offset, bytes: 16, value }) as const);
        s.storeBytes(address, CACHE_LINE_BYTES, parts);
      };
      s.when(s.isWritable(address, CACHE_LINE_BYTES), store, slowly);
    },
  };
}

/** MSR DAIFSet and DAIFClr. */
function changeMasks(field: number, bits: number): Way | undefined {
  const sets = field === DAIF_FIELD.set;
  if (!sets && field !== DAIF_FIELD.clear) return undefined;
  return {
    name: sets ? "set" : "clear",
    // Masks let nothing in, but PSTATE.D decides about debug exceptions.
    condition: sets && (bits & MASKS.D) === 0 ? "privileged" : "masks freely",
    operands: { masks: imm32(PE_LAYOUT.DAIF), bits: imm64(BigInt(sets ? bits : ~bits)) },
    run(operands, s) {
      const masks = operands["masks"] as ImmediateOperand<32>;
      const change = s.imm64(operands["bits"] as ImmediateOperand<64>);
      s.writeSlot(masks, compute(s, sets ? "i64.or" : "i64.and", s.readSlot(masks), change));
    },
  };
}

/** MSR DAIF, Xt. The slot's upper word is another's. */
function writeMasks(t: number): Way {
  return {
    name: "DAIF",
    condition: "masks freely",
    operands: { masks: imm32(PE_LAYOUT.DAIF), general: x(t) },
    run(operands, s) {
      const masks = operands["masks"] as ImmediateOperand<32>;
      const value = s.readX(operands["general"] as RegisterOperand<"x">);
      const bits = compute(s, "i64.and", compute(s, "i64.shr_u", value, s.i64(6)), s.i64(MASKS.ALL));
      const others = compute(s, "i64.and", s.readSlot(masks), s.i64(~LOW_WORD));
      s.writeSlot(masks, compute(s, "i64.or", others, bits));
    },
  };
}

function readRegister(register: number, t: number): Way | undefined {
  switch (register) {
    case DAIF:
      return read("DAIF", "privileged", PE_LAYOUT.DAIF, t, (s, word) => {
        return compute(s, "i64.shl", compute(s, "i64.and", word, s.i64(MASKS.ALL)), s.i64(6));
      });
    case FPCR:
      return read("FPCR", "floating point", PE_LAYOUT.FPCR, t, (s, words) => {
        return compute(s, "i64.and", words, s.i64(LOW_WORD));
      });
    case FPSR:
      // The word after FPCR.
      return read("FPSR", "floating point", PE_LAYOUT.FPCR, t, (s, words) => {
        return compute(s, "i64.shr_u", words, s.i64(32));
      });
    case ZERO_ID:
      return read("DCZID", "zeroes freely", PE_LAYOUT.ZERO, t, (s) => s.i64(ZERO_BLOCK_ID));
    case PHYSICAL:
      return readCounter("physical counter", PE_LAYOUT.COUNTER_PHYSICAL_START, t);
    case VIRTUAL:
      return readCounter("virtual counter", PE_LAYOUT.COUNTER_VIRTUAL_START, t);
    default:
      return undefined;
  }
}

/** start + ((ticks - from) * factor >> 48), of which the factor is below 2^55 and the ticks are below 2^53. */
function readCounter(condition: FastCondition, start: number, t: number): Way {
  return {
    name: condition.replace(" ", "_"),
    condition,
    operands: { general: x(t) },
    run(operands, s) {
      const ticks = semanticsOf(s).op("i64.trunc_sat_f64_s", s.clockTicks());
      const passed = compute(s, "i64.sub", ticks, s.readSlot(imm32(PE_LAYOUT.COUNTER_FROM)));
      const factor = s.readSlot(imm32(PE_LAYOUT.COUNTER_FACTOR));
      const half = (value: Value<"i64">, shift: "i64.shr_s" | "i64.shr_u") =>
        [compute(s, "i64.and", value, s.i64(LOW_WORD)), compute(s, shift, value, s.i64(32))] as const;
      // Time before `from` is negative.
      const [passedLow, passedHigh] = half(passed, "i64.shr_s");
      const [factorLow, factorHigh] = half(factor, "i64.shr_u");
      const product = (left: Value<"i64">, right: Value<"i64">) => compute(s, "i64.mul", left, right);
      const add = (left: Value<"i64">, right: Value<"i64">) => compute(s, "i64.add", left, right);
      // Bits of the product from 32 on; those above 64 come as `high`.
      const carried = compute(s, "i64.shr_u", product(passedLow, factorLow), s.i64(32));
      const middle = add(add(product(passedHigh, factorLow), product(passedLow, factorHigh)), carried);
      const high = compute(s, "i64.shl", product(passedHigh, factorHigh), s.i64(16));
      const scaled = add(high, compute(s, "i64.shr_s", middle, s.i64(16)));
      s.writeX(operands["general"] as RegisterOperand<"x">, add(scaled, s.readSlot(imm32(start))));
    },
  };
}

function read(
  name: string,
  condition: FastCondition,
  offset: number,
  t: number,
  value: (s: IrBuilder, slot: Value<"i64">) => Value<"i64">,
): Way {
  return {
    name,
    condition,
    operands: { slot: imm32(offset), general: x(t) },
    run(operands, s) {
      const slot = s.readSlot(operands["slot"] as ImmediateOperand<32>);
      s.writeX(operands["general"] as RegisterOperand<"x">, value(s, slot));
    },
  };
}

function numberOf(operand: OperandValues[string] | undefined): number {
  return typeof operand === "object" && operand.kind === "immediate" ? Number(operand.value) : -1;
}

function compute(
  s: IrBuilder,
  name: "i64.add" | "i64.sub" | "i64.mul" | "i64.and" | "i64.or" | "i64.shl" | "i64.shr_s" | "i64.shr_u",
  left: Value<"i64">,
  right: Value<"i64">,
): Value<"i64"> {
  return semanticsOf(s).op(name, left, right);
}
