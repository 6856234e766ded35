import { instruction } from "../instruction.ts";
import { x } from "../operands.ts";
import { countLeadingSignBits, multiplyHigh, reverseBits, reverseBytes } from "../pseudocode/bits.ts";
import { Integers, sizeOf } from "../pseudocode/integers.ts";
import type { I64 } from "../semantics.ts";

const SHIFTS = ["shl", "shr_u", "shr_s", "rotr"] as const;
const REVERSED_BYTES = [undefined, 2, 4, 8] as const;

/** Data processing with one, two and three source registers (C4.1). */
export const rows = [
  instruction({
    name: "UDIV_dp_2src",
    encoding: "sf:1 0 0 11010110 Rm:5 000010 Rn:5 Rd:5",
    assembly: "udiv <R Rd sf>, <R Rn sf>, <R Rm sf>",
    manual: "C6.2 UDIV",
    operands: ({ sf, Rm, Rn, Rd }) => ({ size: sizeOf(sf), d: x(Rd), n: x(Rn), m: x(Rm) }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const divisor = w.read(o.m);
      w.write(
        o.d,
        w.choose(
          w.isZero(divisor),
          () => w.constant(0),
          () => w.op("div_u", w.read(o.n), divisor),
        ),
      );
    },
  }),
  instruction({
    name: "SDIV_dp_2src",
    encoding: "sf:1 0 0 11010110 Rm:5 000011 Rn:5 Rd:5",
    assembly: "sdiv <R Rd sf>, <R Rn sf>, <R Rm sf>",
    manual: "C6.2 SDIV",
    operands: ({ sf, Rm, Rn, Rd }) => ({ size: sizeOf(sf), d: x(Rd), n: x(Rn), m: x(Rm) }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const dividend = w.read(o.n);
      const divisor = w.read(o.m);
      // By 0 and -1 without dividing: 0, and the negative (which wraps for the smallest number).
      const small = w.compare("le_u", w.op("add", divisor, w.constant(1)), w.constant(1));
      w.write(
        o.d,
        w.choose(
          small,
          () => w.op("mul", dividend, divisor),
          () => w.op("div_s", dividend, divisor),
        ),
      );
    },
  }),
  instruction({
    name: "LSLV_dp_2src",
    encoding: "sf:1 0 0 11010110 Rm:5 0010 op2:2 Rn:5 Rd:5",
    assembly: "{op2:lsl/lsr/asr/ror} <R Rd sf>, <R Rn sf>, <R Rm sf>",
    manual: "C6.2 LSLV, LSRV, ASRV, RORV",
    operands: ({ sf, Rm, op2, Rn, Rd }) => ({
      size: sizeOf(sf),
      op: SHIFTS[op2]!,
      d: x(Rd),
      n: x(Rn),
      m: x(Rm),
    }),
    // WebAssembly takes shift amounts modulo the width, too.
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      w.write(o.d, w.op(o.op, w.read(o.n), w.read(o.m)));
    },
  }),
  instruction({
    name: "CRC32_dp_2src",
    encoding: "sf:1 0 0 11010110 Rm:5 010 C:1 sz:2 Rn:5 Rd:5",
    assembly: "{C,sz:crc32b/crc32h/crc32w/crc32x/crc32cb/crc32ch/crc32cw/crc32cx} <W Rd>, <W Rn>, <R Rm sf>",
    manual: "C6.2 CRC32, CRC32C",
    feature: "FEAT_CRC32",
    operands: ({ sf, Rm, C, sz, Rn, Rd }) =>
      sf === (sz === 3 ? 1 : 0)
        ? {
            function: C ? ("crc32c" as const) : ("crc32" as const),
            bytes: 1 << sz,
            d: x(Rd),
            n: x(Rn),
            m: x(Rm),
          }
        : undefined,
    execute: (o, s) => {
      const count = s.i32(Math.min(o.bytes, 4));
      let result = s.call(o.function, s.readW(o.n), s.readW(o.m), count);
      if (o.bytes === 8) {
        const upper = s.op("i32.wrap_i64", s.op("i64.shr_u", s.readX(o.m), s.i64(32)));
        result = s.call(o.function, result, upper, count);
      }
      s.writeW(o.d, result);
    },
  }),
  instruction({
    name: "RBIT_dp_1src",
    encoding: "sf:1 1 0 11010110 00000 000000 Rn:5 Rd:5",
    assembly: "rbit <R Rd sf>, <R Rn sf>",
    manual: "C6.2 RBIT",
    operands: ({ sf, Rn, Rd }) => ({ size: sizeOf(sf), d: x(Rd), n: x(Rn) }),
    execute: (o, s) => {
      const reversed = reverseBits(s, s.readX(o.n));
      s.writeX(o.d, o.size === 64 ? reversed : s.op("i64.shr_u", reversed, s.i64(32)));
    },
  }),
  instruction({
    name: "REV_dp_1src",
    encoding: "sf:1 1 0 11010110 00000 0000 opc:2 Rn:5 Rd:5",
    assembly: [
      {
        when: ({ sf, opc }) => sf === 1 || opc < 3,
        template: "{sf,opc:-/rev16/rev/-/-/rev16/rev32/rev} <R Rd sf>, <R Rn sf>",
      },
    ],
    manual: "C6.2 REV, REV16, REV32",
    where: ({ opc }) => opc !== 0,
    operands: ({ sf, opc, Rn, Rd }) =>
      !sf && opc === 3 ? undefined : { size: sizeOf(sf), bytes: REVERSED_BYTES[opc]!, d: x(Rd), n: x(Rn) },
    execute: (o, s) => {
      if (o.size === 64) s.writeX(o.d, reverseBytes(s, s.readX(o.n), o.bytes));
      else s.writeW(o.d, s.op("i32.wrap_i64", reverseBytes(s, s.readX(o.n), o.bytes)));
    },
  }),
  instruction({
    name: "CLZ_CLS_dp_1src",
    encoding: "sf:1 1 0 11010110 00000 00010 op:1 Rn:5 Rd:5",
    assembly: "{op:clz/cls} <R Rd sf>, <R Rn sf>",
    manual: "C6.2 CLZ, CLS",
    operands: ({ sf, op, Rn, Rd }) => ({ size: sizeOf(sf), sign: op === 1, d: x(Rd), n: x(Rn) }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const value = w.read(o.n);
      w.write(o.d, o.sign ? countLeadingSignBits(w, value) : w.unary("clz", value));
    },
  }),
  instruction({
    name: "MADD_MSUB_dp_3src",
    encoding: "sf:1 00 11011 000 Rm:5 o0:1 Ra:5 Rn:5 Rd:5",
    assembly: "{o0:madd/msub} <R Rd sf>, <R Rn sf>, <R Rm sf>, <R Ra sf>",
    manual: "C6.2 MADD, MSUB",
    operands: ({ sf, Rm, o0, Ra, Rn, Rd }) => ({
      size: sizeOf(sf),
      // MUL adds nothing.
      op: Ra === 31 && !o0 ? ("none" as const) : o0 ? ("sub" as const) : ("add" as const),
      d: x(Rd),
      n: x(Rn),
      m: x(Rm),
      a: x(Ra),
    }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const product = w.op("mul", w.read(o.n), w.read(o.m));
      w.write(o.d, o.op === "none" ? product : w.op(o.op, w.read(o.a), product));
    },
  }),
  instruction({
    name: "SMADDL_UMADDL_dp_3src",
    encoding: "1 00 11011 U:1 01 Rm:5 o0:1 Ra:5 Rn:5 Rd:5",
    assembly: "{U,o0:smaddl/smsubl/umaddl/umsubl} <X Rd>, <W Rn>, <W Rm>, <X Ra>",
    manual: "C6.2 SMADDL, SMSUBL, UMADDL, UMSUBL",
    operands: ({ U, Rm, o0, Ra, Rn, Rd }) => ({
      extend: U ? ("i64.extend_i32_u" as const) : ("i64.extend_i32_s" as const),
      op: Ra === 31 && !o0 ? ("none" as const) : o0 ? ("i64.sub" as const) : ("i64.add" as const),
      d: x(Rd),
      n: x(Rn),
      m: x(Rm),
      a: x(Ra),
    }),
    execute: (o, s) => {
      const product: I64 = s.op("i64.mul", s.op(o.extend, s.readW(o.n)), s.op(o.extend, s.readW(o.m)));
      s.writeX(o.d, o.op === "none" ? product : s.op(o.op, s.readX(o.a), product));
    },
  }),
  instruction({
    name: "SMULH_UMULH_dp_3src",
    encoding: "1 00 11011 U:1 10 Rm:5 0 sboRa:5 Rn:5 Rd:5",
    assembly: "{U:smulh/umulh} <X Rd>, <X Rn>, <X Rm>",
    manual: "C6.2 SMULH, UMULH",
    operands: ({ U, Rm, Rn, Rd }) => ({ signed: U === 0, d: x(Rd), n: x(Rn), m: x(Rm) }),
    execute: (o, s) => s.writeX(o.d, multiplyHigh(s, o.signed, s.readX(o.n), s.readX(o.m))),
  }),
] as const;
