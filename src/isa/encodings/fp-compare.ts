import { type Instruction, instruction } from "../instruction.ts";
import { imm64, v } from "../operands.ts";
import { fpCompare } from "../pseudocode/floating-point.ts";
import { type FloatSize, Floats } from "../pseudocode/floats.ts";

/** Scalar comparison, conditional comparison and selection. */

const sizeOf = (sz: number): FloatSize => (sz ? 64 : 32);
const manual = {
  compare: "C7.2 FCMP, FCMPE",
  conditional: "C7.2 FCCMP, FCCMPE",
  select: "C7.2 FCSEL",
} as const;

export const rows: readonly Instruction[] = [
  instruction({
    name: "FCMP_floatcmp",
    encoding: "00011110 0 sz:1 1 Rm:5 00 1000 Rn:5 signal:1 0 000",
    assembly: "fcmp{signal:/e} <SD Rn sz>, <SD Rm sz>",
    manual: manual.compare,
    simd: true,
    operands: ({ sz, Rm, Rn, signal }) => ({ size: sizeOf(sz), n: v(Rn), m: v(Rm), signal: signal === 1 }),
    execute: ({ size, n, m, signal }, s) => {
      const f = Floats.scalar(s, size);
      fpCompare(f, f.read(n), f.read(m), signal);
    },
  }),
  instruction({
    name: "FCMP_zero_floatcmp",
    encoding: "00011110 0 sz:1 1 xxxxx 00 1000 Rn:5 signal:1 1 000",
    assembly: "fcmp{signal:/e} <SD Rn sz>, #0.0",
    manual: manual.compare,
    simd: true,
    operands: ({ sz, Rn, signal }) => ({ size: sizeOf(sz), n: v(Rn), signal: signal === 1 }),
    execute: ({ size, n, signal }, s) => {
      const f = Floats.scalar(s, size);
      fpCompare(f, f.read(n), f.constant(0), signal);
    },
  }),
  instruction({
    name: "FCMP_H_floatcmp",
    encoding: "00011110 11 1 Rm:5 00 1000 Rn:5 signal:1 0 000",
    assembly: "fcmp{signal:/e} <H Rn>, <H Rm>",
    manual: manual.compare,
    simd: true,
    feature: "FEAT_FP16",
  }),
  instruction({
    name: "FCMP_H_zero_floatcmp",
    encoding: "00011110 11 1 xxxxx 00 1000 Rn:5 signal:1 1 000",
    assembly: "fcmp{signal:/e} <H Rn>, #0.0",
    manual: manual.compare,
    simd: true,
    feature: "FEAT_FP16",
  }),
  instruction({
    name: "FCCMP_floatccmp",
    encoding: "00011110 0 sz:1 1 Rm:5 cond:4 01 Rn:5 signal:1 nzcv:4",
    assembly: "fccmp{signal:/e} <SD Rn sz>, <SD Rm sz>, #<hex nzcv>, <cond cond>",
    manual: manual.conditional,
    simd: true,
    operands: ({ sz, Rm, cond, Rn, signal, nzcv }) => ({
      size: sizeOf(sz),
      n: v(Rn),
      m: v(Rm),
      condition: cond,
      signal: signal === 1,
      otherwise: imm64(nzcv << 28),
    }),
    execute: (o, s) => {
      const f = Floats.scalar(s, o.size);
      s.when(
        s.condition(o.condition),
        () => fpCompare(f, f.read(o.n), f.read(o.m), o.signal),
        () => s.setFlagsFromBits(s.imm64(o.otherwise)),
      );
    },
  }),
  instruction({
    name: "FCCMP_H_floatccmp",
    encoding: "00011110 11 1 Rm:5 cond:4 01 Rn:5 signal:1 nzcv:4",
    assembly: "fccmp{signal:/e} <H Rn>, <H Rm>, #<hex nzcv>, <cond cond>",
    manual: manual.conditional,
    simd: true,
    feature: "FEAT_FP16",
  }),
  instruction({
    name: "FCSEL_floatsel",
    encoding: "00011110 0 sz:1 1 Rm:5 cond:4 11 Rn:5 Rd:5",
    assembly: "fcsel <SD Rd sz>, <SD Rn sz>, <SD Rm sz>, <cond cond>",
    manual: manual.select,
    simd: true,
    operands: ({ sz, Rm, cond, Rn, Rd }) => ({
      size: sizeOf(sz),
      d: v(Rd),
      n: v(Rn),
      m: v(Rm),
      condition: cond,
    }),
    execute: (o, s) => {
      const f = Floats.scalar(s, o.size);
      f.write(o.d, f.select(s.condition(o.condition), f.read(o.n), f.read(o.m)));
    },
  }),
  instruction({
    name: "FCSEL_H_floatsel",
    encoding: "00011110 11 1 Rm:5 cond:4 11 Rn:5 Rd:5",
    assembly: "fcsel <H Rd>, <H Rn>, <H Rm>, <cond cond>",
    manual: manual.select,
    simd: true,
    feature: "FEAT_FP16",
  }),
];
