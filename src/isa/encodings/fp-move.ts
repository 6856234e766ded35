import { type Instruction, instruction } from "../instruction.ts";
import { imm64, v, x } from "../operands.ts";
import { expandFloatImmediate } from "../pseudocode/float-immediate.ts";
import { DOUBLE, SINGLE } from "../softfloat/format.ts";

/** FMOV: immediates, scalar and vector, and moves to and from general-purpose registers. */

const general = "C7.2 FMOV (general)";

export const rows: readonly Instruction[] = [
  instruction({
    name: "FMOV_floatimm",
    encoding: "00011110 0 sz:1 1 imm8:8 100 00000 Rd:5",
    assembly: "fmov <SD Rd sz>, #<fpimm imm8>",
    manual: "C7.2 FMOV (scalar, immediate)",
    simd: true,
    operands: ({ sz, imm8, Rd }) => ({
      d: v(Rd),
      value: imm64(expandFloatImmediate(sz ? DOUBLE : SINGLE, imm8)),
    }),
    execute: ({ d, value }, s) => s.writeVLow(d, s.imm64(value)),
  }),
  instruction({
    name: "FMOV_H_floatimm",
    encoding: "00011110 11 1 imm8:8 100 00000 Rd:5",
    assembly: "fmov <H Rd>, #<fpimm imm8>",
    manual: "C7.2 FMOV (scalar, immediate)",
    simd: true,
    feature: "FEAT_FP16",
  }),
  instruction({
    name: "FMOV_asimdimm_S_s",
    encoding: "0 Q:1 0 0111100000 abc:3 1111 01 defgh:5 Rd:5",
    assembly: "fmov <Vs Rd Q>, #<fpimm53 abc defgh>",
    manual: "C7.2 FMOV (vector, immediate)",
    simd: true,
    operands: ({ Q, abc, defgh, Rd }) => {
      const single = expandFloatImmediate(SINGLE, (abc << 5) | defgh);
      return { whole: Q === 1, d: v(Rd), value: imm64((single << 32n) | single) };
    },
    execute: ({ whole, d, value }, s) => {
      if (whole) s.writeV(d, s.op("i64x2.splat", s.imm64(value)));
      else s.writeVLow(d, s.imm64(value));
    },
  }),
  instruction({
    name: "FMOV_asimdimm_D2_d",
    encoding: "0 1 1 0111100000 abc:3 1111 01 defgh:5 Rd:5",
    assembly: "fmov <Vd Rd 1>, #<fpimm53 abc defgh>",
    manual: "C7.2 FMOV (vector, immediate)",
    simd: true,
    operands: ({ abc, defgh, Rd }) => ({
      d: v(Rd),
      value: imm64(expandFloatImmediate(DOUBLE, (abc << 5) | defgh)),
    }),
    execute: ({ d, value }, s) => s.writeV(d, s.op("i64x2.splat", s.imm64(value))),
  }),
  instruction({
    name: "FMOV_asimdimm_H_h",
    encoding: "0 Q:1 0 0111100000 abc:3 1111 11 defgh:5 Rd:5",
    assembly: "fmov <Vh Rd Q>, #<fpimm53 abc defgh>",
    manual: "C7.2 FMOV (vector, immediate)",
    simd: true,
    feature: "FEAT_FP16",
  }),
  instruction({
    name: "FMOV_32S_float2int",
    encoding: "0 00 11110 00 1 00 110 000000 Rn:5 Rd:5",
    assembly: "fmov <W Rd>, <S Rn>",
    manual: general,
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: x(Rd), n: v(Rn) }),
    execute: ({ d, n }, s) => s.writeW(d, s.op("i32.wrap_i64", s.readVLow(n))),
  }),
  instruction({
    name: "FMOV_S32_float2int",
    encoding: "0 00 11110 00 1 00 111 000000 Rn:5 Rd:5",
    assembly: "fmov <S Rd>, <W Rn>",
    manual: general,
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: v(Rd), n: x(Rn) }),
    execute: ({ d, n }, s) => s.writeVLow(d, s.op("i64.extend_i32_u", s.readW(n))),
  }),
  instruction({
    name: "FMOV_64D_float2int",
    encoding: "1 00 11110 01 1 00 110 000000 Rn:5 Rd:5",
    assembly: "fmov <X Rd>, <D Rn>",
    manual: general,
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: x(Rd), n: v(Rn) }),
    execute: ({ d, n }, s) => s.writeX(d, s.readVLow(n)),
  }),
  instruction({
    name: "FMOV_D64_float2int",
    encoding: "1 00 11110 01 1 00 111 000000 Rn:5 Rd:5",
    assembly: "fmov <D Rd>, <X Rn>",
    manual: general,
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: v(Rd), n: x(Rn) }),
    execute: ({ d, n }, s) => s.writeVLow(d, s.readX(n)),
  }),
  instruction({
    name: "FMOV_64VX_float2int",
    encoding: "1 00 11110 10 1 01 110 000000 Rn:5 Rd:5",
    assembly: "fmov <X Rd>, <Vd1 Rn>",
    manual: general,
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: x(Rd), n: v(Rn) }),
    execute: ({ d, n }, s) => s.writeX(d, s.lane("i64x2.extract_lane", 1, s.readV(n))),
  }),
  instruction({
    name: "FMOV_V64I_float2int",
    encoding: "1 00 11110 10 1 01 111 000000 Rn:5 Rd:5",
    assembly: "fmov <Vd1 Rd>, <X Rn>",
    manual: general,
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: v(Rd), n: x(Rn) }),
    execute: ({ d, n }, s) => s.writeV(d, s.lane("i64x2.replace_lane", 1, s.readV(d), s.readX(n))),
  }),
  instruction({
    name: "FMOV_H_to_general_float2int",
    encoding: "sf:1 00 11110 11 1 00 110 000000 Rn:5 Rd:5",
    assembly: "fmov <R Rd sf>, <H Rn>",
    manual: general,
    simd: true,
    feature: "FEAT_FP16",
  }),
  instruction({
    name: "FMOV_general_to_H_float2int",
    encoding: "sf:1 00 11110 11 1 00 111 000000 Rn:5 Rd:5",
    assembly: "fmov <H Rd>, <R Rn sf>",
    manual: general,
    simd: true,
    feature: "FEAT_FP16",
  }),
];
