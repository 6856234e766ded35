import { instruction } from "../instruction.ts";
import { base, x } from "../operands.ts";
import { signExtendLoaded } from "../pseudocode/load-store.ts";
import type { I32, I64, Semantics } from "../semantics.ts";

const bytesOf = (size: number): 1 | 2 | 4 | 8 => (1 << size) as 1 | 2 | 4 | 8;

type Bytes = 1 | 2 | 4 | 8;

/** The low `bytes` of a register value, zero-extended, to compare with what an atomic access returns. */
function truncate(s: Semantics, value: I64, bytes: Bytes): I64 {
  switch (bytes) {
    case 1:
      return s.op("i64.and", value, s.i64(0xff));
    case 2:
      return s.op("i64.and", value, s.i64(0xffff));
    case 4:
      return s.op("i64.and", value, s.i64(0xffff_ffff));
    case 8:
      return value;
  }
}

type Operation = "add" | "clr" | "eor" | "set" | "smax" | "smin" | "umax" | "umin";
const OPERATIONS: readonly Operation[] = ["add", "clr", "eor", "set", "smax", "smin", "umax", "umin"];

/** What LD<op> stores; only the low bytes of the result count. `operand` is the whole register. */
function updated(s: Semantics, operation: Operation, bytes: Bytes, old: I64, operand: I64): I64 {
  const keepOld = (comparison: I32): I64 => s.select(comparison, old, operand);
  const signed = (value: I64): I64 => signExtendLoaded(s, value, bytes);
  switch (operation) {
    case "add":
      return s.op("i64.add", old, operand);
    case "clr":
      return s.op("i64.and", old, s.op("i64.xor", operand, s.i64(-1)));
    case "eor":
      return s.op("i64.xor", old, operand);
    case "set":
      return s.op("i64.or", old, operand);
    case "smax":
      return keepOld(s.op("i64.gt_s", signed(old), signed(operand)));
    case "smin":
      return keepOld(s.op("i64.lt_s", signed(old), signed(operand)));
    case "umax":
      return keepOld(s.op("i64.gt_u", old, truncate(s, operand, bytes)));
    case "umin":
      return keepOld(s.op("i64.lt_u", old, truncate(s, operand, bytes)));
  }
}

/** Mnemonics by acquire, release and size: "ldaddalb" and so on. */
function orderedMnemonics(stem: string): string {
  const orders = ["", "l", "a", "al"];
  return orders.flatMap((order) => ["b", "h", "", ""].map((suffix) => stem + order + suffix)).join("/");
}

const arithmeticRows = OPERATIONS.map((operation, opc) =>
  instruction({
    name: `LD${operation.toUpperCase()}_memop`,
    encoding:
      `size:2 111000 A:1 R:1 1 Rs:5 0 ${opc.toString(2).padStart(3, "0")} 00 Rn:5 Rt:5` as const as "size:2 111000 A:1 R:1 1 Rs:5 0 000 00 Rn:5 Rt:5",
    assembly: `{A,R,size:${orderedMnemonics(`ld${operation}`)}} <Rsize Rs size>, <Rsize Rt size>, [<XS Rn>]`,
    manual: `C6.2 LD${operation.toUpperCase()} and siblings`,
    feature: "FEAT_LSE",
    operands: ({ size, Rs, Rn, Rt }) => ({
      bytes: bytesOf(size),
      s: x(Rs),
      t: x(Rt),
      base: base(Rn),
    }),
    execute: (o, s) => {
      const operand = s.readX(o.s);
      const address = s.address(o.base);
      s.writeX(
        o.t,
        s.atomic(address, o.bytes, (old) => updated(s, operation, o.bytes, old, operand)),
      );
    },
  }),
);

/** FEAT_LSE: compare and swap, swap, atomic arithmetic (C4.1). Every order is at least as strong as asked. */
export const rows = [
  ...arithmeticRows,
  instruction({
    name: "SWP_memop",
    encoding: "size:2 111000 A:1 R:1 1 Rs:5 1 000 00 Rn:5 Rt:5",
    assembly: `{A,R,size:${orderedMnemonics("swp")}} <Rsize Rs size>, <Rsize Rt size>, [<XS Rn>]`,
    manual: "C6.2 SWP and siblings",
    feature: "FEAT_LSE",
    operands: ({ size, Rs, Rn, Rt }) => ({ bytes: bytesOf(size), s: x(Rs), t: x(Rt), base: base(Rn) }),
    execute: (o, s) => {
      const value = s.readX(o.s);
      s.writeX(
        o.t,
        s.atomic(s.address(o.base), o.bytes, () => value),
      );
    },
  }),
  instruction({
    name: "CAS_comswap",
    encoding: "size:2 001000 1 L:1 1 Rs:5 o0:1 11111 Rn:5 Rt:5",
    assembly: `{L,o0,size:${orderedMnemonics("cas")}} <Rsize Rs size>, <Rsize Rt size>, [<XS Rn>]`,
    manual: "C6.2 CAS and siblings",
    feature: "FEAT_LSE",
    operands: ({ size, Rs, Rn, Rt }) => ({ bytes: bytesOf(size), s: x(Rs), t: x(Rt), base: base(Rn) }),
    execute: (o, s) => {
      const expected = truncate(s, s.readX(o.s), o.bytes);
      const value = s.readX(o.t);
      const replace = (old: I64): I64 => s.select(s.op("i64.eq", old, expected), value, old);
      s.writeX(o.s, s.atomic(s.address(o.base), o.bytes, replace));
    },
  }),
  instruction({
    name: "CASP_comswappr",
    encoding: "0 sz:1 001000 0 L:1 1 Rs:5 o0:1 11111 Rn:5 Rt:5",
    assembly:
      "{L,o0:casp/caspl/caspa/caspal} <Reven Rs sz>, <Rodd Rs sz>, <Reven Rt sz>, <Rodd Rt sz>, [<XS Rn>]",
    manual: "C6.2 CASP and siblings",
    feature: "FEAT_LSE",
    operands: ({ sz, Rs, Rn, Rt }) =>
      (Rs | Rt) & 1
        ? undefined
        : {
            bytes: sz ? (8 as const) : (4 as const),
            s: x(Rs),
            s2: x(Rs + 1),
            t: x(Rt),
            t2: x(Rt + 1),
            base: base(Rn),
          },
    execute: (o, s) => {
      const expected = [truncate(s, s.readX(o.s), o.bytes), truncate(s, s.readX(o.s2), o.bytes)] as const;
      const values = [s.readX(o.t), s.readX(o.t2)] as const;
      const [first, second] = s.atomicPair(s.address(o.base), o.bytes, (old) => {
        const equal = s.op(
          "i32.and",
          s.op("i64.eq", old[0], expected[0]),
          s.op("i64.eq", old[1], expected[1]),
        );
        return [s.select(equal, values[0], old[0]), s.select(equal, values[1], old[1])];
      });
      s.writeX(o.s, first);
      s.writeX(o.s2, second);
    },
  }),
] as const;
