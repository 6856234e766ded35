import { type Instruction, instruction } from "../instruction.ts";
import { imm32, v, x } from "../operands.ts";
import type { RoundingLetter } from "../pseudocode/floating-point.ts";
import {
  fixedToFp,
  fpDoubleToSingle,
  fpSingleToDouble,
  fpToFixed,
} from "../pseudocode/floating-point-conversions.ts";
import { type FloatSize, Floats } from "../pseudocode/floats.ts";
import { asI32, asI64 } from "../pseudocode/value-types.ts";
import type { I32, I64, Semantics, Value } from "../semantics.ts";
import { DOUBLE, SINGLE } from "../softfloat/format.ts";

/** Scalar conversions between formats, and to and from general-purpose registers. */

const sizeOf = (sz: number): FloatSize => (sz ? 64 : 32);
const widthOf = (sf: number): 32 | 64 => (sf ? 64 : 32);

function writeGeneral(s: Semantics, width: 32 | 64, d: ReturnType<typeof x>, value: Value): void {
  if (width === 64) s.writeX(d, asI64(value));
  else s.writeW(d, asI32(value));
}

/**
 * The operands that fixed-point forms have in addition. `scale` is 2 to the power of `fractionBits` as a
 * single or double, of which only the upper 32 bits are not zero.
 */
export function fractionOperands(size: FloatSize, fractionBits: number) {
  const format = size === 64 ? DOUBLE : SINGLE;
  const exponent = 1 - format.minimumExponent + fractionBits;
  return { fractionBits: imm32(fractionBits), scale: imm32(exponent << (31 - format.exponentBits)) };
}

/** The same, read. */
export function fraction(f: Floats, operands: ReturnType<typeof fractionOperands>) {
  const { s } = f;
  const word = s.imm32(operands.scale);
  const bits = f.size === 64 ? s.op("i64.shl", s.op("i64.extend_i32_u", word), s.i64(32)) : word;
  return { count: s.imm32(operands.fractionBits), scale: f.one.fromBits(bits) };
}

interface ToInteger {
  readonly letter: Exclude<RoundingLetter, "x" | "i">;
  readonly rmode: string;
  /** The upper two bits of opcode; the last one is "unsigned". */
  readonly opcode: string;
}

const TO_INTEGER: readonly ToInteger[] = [
  { letter: "n", rmode: "00", opcode: "00" },
  { letter: "p", rmode: "01", opcode: "00" },
  { letter: "m", rmode: "10", opcode: "00" },
  { letter: "z", rmode: "11", opcode: "00" },
  { letter: "a", rmode: "00", opcode: "10" },
];

function toInteger({ letter, rmode, opcode }: ToInteger): Instruction[] {
  const upper = letter.toUpperCase();
  const manual = `C7.2 FCVT${upper}S, FCVT${upper}U (scalar)`;
  return [
    instruction({
      name: `FCVT${upper}_float2int`,
      encoding: `sf:1 00 11110 0 sz:1 1 ${rmode} ${opcode} U:1 000000 Rn:5 Rd:5`,
      assembly: `fcvt${letter}{U:s/u} <R Rd sf>, <SD Rn sz>`,
      manual,
      simd: true,
      operands: ({ sf, sz, U, Rn, Rd }) => ({
        size: sizeOf(sz),
        width: widthOf(sf),
        unsigned: U === 1,
        d: x(Rd),
        n: v(Rn),
      }),
      execute: (o, s) => {
        const f = Floats.scalar(s, o.size);
        writeGeneral(s, o.width, o.d, fpToFixed(f, f.read(o.n), o, letter));
      },
    }),
    instruction({
      name: `FCVT${upper}_H_float2int`,
      encoding: `sf:1 00 11110 11 1 ${rmode} ${opcode} U:1 000000 Rn:5 Rd:5`,
      assembly: `fcvt${letter}{U:s/u} <R Rd sf>, <H Rn>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

const integerConversions: readonly Instruction[] = [
  ...TO_INTEGER.flatMap(toInteger),
  instruction({
    name: "CVTF_float2int",
    encoding: "sf:1 00 11110 0 sz:1 1 00 01 U:1 000000 Rn:5 Rd:5",
    assembly: "{U:scvtf/ucvtf} <SD Rd sz>, <R Rn sf>",
    manual: "C7.2 SCVTF, UCVTF (scalar, integer)",
    simd: true,
    operands: ({ sf, sz, U, Rn, Rd }) => ({
      size: sizeOf(sz),
      width: widthOf(sf),
      unsigned: U === 1,
      d: v(Rd),
      n: x(Rn),
    }),
    execute: (o, s) => {
      const f = Floats.scalar(s, o.size);
      f.write(o.d, fixedToFp(f, o.width === 64 ? s.readX(o.n) : s.readW(o.n), o));
    },
  }),
  instruction({
    name: "CVTF_H_float2int",
    encoding: "sf:1 00 11110 11 1 00 01 U:1 000000 Rn:5 Rd:5",
    assembly: "{U:scvtf/ucvtf} <H Rd>, <R Rn sf>",
    manual: "C7.2 SCVTF, UCVTF (scalar, integer)",
    simd: true,
    feature: "FEAT_FP16",
  }),
  instruction({
    name: "FJCVTZS_float2int",
    encoding: "0 00 11110 01 1 11 110 000000 Rn:5 Rd:5",
    assembly: "fjcvtzs <W Rd>, <D Rn>",
    manual: "C7.2 FJCVTZS",
    simd: true,
    feature: "FEAT_JSCVT",
  }),
];

/** Fraction bits of a fixed-point form; a 32-bit register has at most 32. */
const isFixed = ({ sf, scale }: { sf: number; scale: number }) => sf === 1 || scale >= 32;

const fixedPointConversions: readonly Instruction[] = [
  instruction({
    name: "FCVTZ_float2fix",
    encoding: "sf:1 00 11110 0 sz:1 0 11 00 U:1 scale:6 Rn:5 Rd:5",
    assembly: "{U:fcvtzs/fcvtzu} <R Rd sf>, <SD Rn sz>, #<fbits scale>",
    manual: "C7.2 FCVTZS, FCVTZU (scalar, fixed-point)",
    simd: true,
    where: isFixed,
    operands: ({ sf, sz, U, scale, Rn, Rd }) => ({
      size: sizeOf(sz),
      width: widthOf(sf),
      unsigned: U === 1,
      d: x(Rd),
      n: v(Rn),
      ...fractionOperands(sizeOf(sz), 64 - scale),
    }),
    execute: (o, s) => {
      const f = Floats.scalar(s, o.size);
      writeGeneral(s, o.width, o.d, fpToFixed(f, f.read(o.n), o, "z", fraction(f, o)));
    },
  }),
  instruction({
    name: "CVTF_float2fix",
    encoding: "sf:1 00 11110 0 sz:1 0 00 01 U:1 scale:6 Rn:5 Rd:5",
    assembly: "{U:scvtf/ucvtf} <SD Rd sz>, <R Rn sf>, #<fbits scale>",
    manual: "C7.2 SCVTF, UCVTF (scalar, fixed-point)",
    simd: true,
    where: isFixed,
    operands: ({ sf, sz, U, scale, Rn, Rd }) => ({
      size: sizeOf(sz),
      width: widthOf(sf),
      unsigned: U === 1,
      d: v(Rd),
      n: x(Rn),
      ...fractionOperands(sizeOf(sz), 64 - scale),
    }),
    execute: (o, s) => {
      const f = Floats.scalar(s, o.size);
      f.write(o.d, fixedToFp(f, o.width === 64 ? s.readX(o.n) : s.readW(o.n), o, fraction(f, o)));
    },
  }),
  instruction({
    name: "FCVTZ_H_float2fix",
    encoding: "sf:1 00 11110 11 0 11 00 U:1 scale:6 Rn:5 Rd:5",
    assembly: "{U:fcvtzs/fcvtzu} <R Rd sf>, <H Rn>, #<fbits scale>",
    manual: "C7.2 FCVTZS, FCVTZU (scalar, fixed-point)",
    simd: true,
    feature: "FEAT_FP16",
    where: isFixed,
  }),
  instruction({
    name: "CVTF_H_float2fix",
    encoding: "sf:1 00 11110 11 0 00 01 U:1 scale:6 Rn:5 Rd:5",
    assembly: "{U:scvtf/ucvtf} <H Rd>, <R Rn sf>, #<fbits scale>",
    manual: "C7.2 SCVTF, UCVTF (scalar, fixed-point)",
    simd: true,
    feature: "FEAT_FP16",
    where: isFixed,
  }),
];

function formatConversion(
  types: string,
  ptype: string,
  opc: string,
  assembly: string,
  convert: (s: Semantics, n: ReturnType<typeof v>) => I64,
): Instruction {
  return instruction({
    name: `FCVT_${types}_floatdp1`,
    encoding: `00011110 ${ptype} 1 0001 ${opc} 10000 Rn:5 Rd:5`,
    assembly,
    manual: "C7.2 FCVT",
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: v(Rd), n: v(Rn) }),
    execute: ({ d, n }, s) => s.writeVLow(d, convert(s, n)),
  });
}

const wide = (s: Semantics, value: I32): I64 => s.op("i64.extend_i32_u", value);
const word = (s: Semantics, n: ReturnType<typeof v>): I32 => s.op("i32.wrap_i64", s.readVLow(n));

const formatConversions: readonly Instruction[] = [
  formatConversion("HS", "00", "11", "fcvt <H Rd>, <S Rn>", (s, n) =>
    wide(s, s.call("fpConvert32To16", word(s, n))),
  ),
  formatConversion("DS", "00", "01", "fcvt <D Rd>, <S Rn>", (s, n) =>
    s.op("i64.reinterpret_f64", fpSingleToDouble(s, s.readS(n))),
  ),
  formatConversion("HD", "01", "11", "fcvt <H Rd>, <D Rn>", (s, n) =>
    wide(s, s.call("fpConvert64To16", s.readVLow(n))),
  ),
  formatConversion("SD", "01", "00", "fcvt <S Rd>, <D Rn>", (s, n) =>
    wide(s, s.op("i32.reinterpret_f32", fpDoubleToSingle(s, s.readD(n)))),
  ),
  formatConversion("SH", "11", "00", "fcvt <S Rd>, <H Rn>", (s, n) =>
    wide(s, s.call("fpConvert16To32", word(s, n))),
  ),
  formatConversion("DH", "11", "01", "fcvt <D Rd>, <H Rn>", (s, n) => s.call("fpConvert16To64", word(s, n))),
];

export const rows: readonly Instruction[] = [
  ...formatConversions,
  ...integerConversions,
  ...fixedPointConversions,
];
