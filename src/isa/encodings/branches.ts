import { signExtend } from "../../base/bits.ts";
import { instruction } from "../instruction.ts";
import { imm32, x } from "../operands.ts";
import { Integers, sizeOf } from "../pseudocode/integers.ts";
import type { I64, Semantics } from "../semantics.ts";

const LINK_REGISTER = x(30);

const returnAddress = (s: Semantics): I64 => s.op("i64.add", s.pc(), s.i64(4));

/** Branches (C4.1). */
export const rows = [
  instruction({
    name: "B_only_condbranch",
    encoding: "01010100 imm19:19 0 cond:4",
    assembly: "b.{cond:eq/ne/cs/cc/mi/pl/vs/vc/hi/ls/ge/lt/gt/le/al/nv} <label imm19 19>",
    manual: "C6.2 B.cond",
    operands: ({ imm19, cond }) => ({
      condition: cond === 15 ? 14 : cond,
      offset: imm32(signExtend(imm19, 19) * 4),
    }),
    execute: (o, s) => s.branchRelativeIf(s.condition(o.condition), o.offset),
  }),
  instruction({
    name: "B_only_branch_imm",
    encoding: "0 00101 imm26:26",
    assembly: "b <label imm26 26>",
    manual: "C6.2 B",
    operands: ({ imm26 }) => ({ offset: imm32(signExtend(imm26, 26) * 4) }),
    execute: (o, s) => s.branchRelative(o.offset, "jump"),
  }),
  instruction({
    name: "BL_only_branch_imm",
    encoding: "1 00101 imm26:26",
    assembly: "bl <label imm26 26>",
    manual: "C6.2 BL",
    operands: ({ imm26 }) => ({ offset: imm32(signExtend(imm26, 26) * 4) }),
    execute: (o, s) => {
      s.writeX(LINK_REGISTER, returnAddress(s));
      s.branchRelative(o.offset, "call");
    },
  }),
  instruction({
    name: "CBZ_CBNZ_compbranch",
    encoding: "sf:1 011010 op:1 imm19:19 Rt:5",
    assembly: "{op:cbz/cbnz} <R Rt sf>, <label imm19 19>",
    manual: "C6.2 CBZ, CBNZ",
    operands: ({ sf, op, imm19, Rt }) => ({
      size: sizeOf(sf),
      whenZero: op === 0,
      t: x(Rt),
      offset: imm32(signExtend(imm19, 19) * 4),
    }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const value = w.read(o.t);
      const taken = o.whenZero ? w.isZero(value) : w.compare("ne", value, w.constant(0));
      s.branchRelativeIf(taken, o.offset);
    },
  }),
  instruction({
    name: "TBZ_TBNZ_only_testbranch",
    encoding: "b5:1 011011 op:1 b40:5 imm14:14 Rt:5",
    assembly: "{op:tbz/tbnz} <R Rt b5>, #<bitnumber b5 b40>, <label imm14 14>",
    manual: "C6.2 TBZ, TBNZ",
    operands: ({ b5, op, b40, imm14, Rt }) => ({
      size: sizeOf(b5),
      whenZero: op === 0,
      t: x(Rt),
      // The lower half, the usual case, takes a mask; the upper half is shifted down.
      select: imm32(b5 ? 32 + b40 : 1 << b40),
      offset: imm32(signExtend(imm14, 14) * 4),
    }),
    execute: (o, s) => {
      const bit =
        o.size === 32
          ? s.op("i32.and", s.readW(o.t), s.imm32(o.select))
          : s.op(
              "i32.and",
              s.op("i32.wrap_i64", s.op("i64.shr_u", s.readX(o.t), s.imm64(o.select))),
              s.i32(1),
            );
      s.branchRelativeIf(o.whenZero ? s.op("i32.eqz", bit) : bit, o.offset);
    },
  }),
  instruction({
    name: "BR_branch_reg",
    encoding: "1101011 0000 11111 000000 Rn:5 00000",
    assembly: "br <X Rn>",
    manual: "C6.2 BR",
    operands: ({ Rn }) => ({ n: x(Rn) }),
    execute: (o, s) => s.branch(s.readX(o.n), "jump"),
  }),
  instruction({
    name: "BLR_branch_reg",
    encoding: "1101011 0001 11111 000000 Rn:5 00000",
    assembly: "blr <X Rn>",
    manual: "C6.2 BLR",
    operands: ({ Rn }) => ({ n: x(Rn) }),
    execute: (o, s) => {
      const target = s.readX(o.n);
      s.writeX(LINK_REGISTER, returnAddress(s));
      s.branch(target, "call");
    },
  }),
  instruction({
    name: "RET_branch_reg",
    encoding: "1101011 0010 11111 000000 Rn:5 00000",
    assembly: [
      { when: ({ Rn }) => Rn === 30, template: "ret <same Rn 30>" },
      { when: () => true, template: "ret <X Rn>" },
    ],
    manual: "C6.2 RET",
    operands: ({ Rn }) => ({ n: x(Rn) }),
    execute: (o, s) => s.branch(s.readX(o.n), "return"),
  }),
  instruction({
    name: "ERET_branch_reg",
    encoding: "1101011 0100 11111 000000 11111 00000",
    assembly: "eret",
    manual: "C6.2 ERET",
    execute: (_, s) => s.processor("exceptionReturn"),
  }),
  instruction({
    name: "DRPS_branch_reg",
    encoding: "1101011 0101 11111 000000 11111 00000",
    assembly: "drps",
    manual: "C6.2 DRPS",
    execute: (_, s) => s.processor("debugRestore"),
  }),
] as const;
