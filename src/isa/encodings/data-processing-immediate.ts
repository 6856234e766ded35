import { signExtend } from "../../base/bits.ts";
import { instruction } from "../instruction.ts";
import { imm32, imm64, x, xsp } from "../operands.ts";
import { addSubtract, setLogicalFlags } from "../pseudocode/arithmetic.ts";
import { decodeBitMask } from "../pseudocode/bitmask-immediate.ts";
import { Integers, sizeOf } from "../pseudocode/integers.ts";

const LOGICAL_OPERATORS = ["and", "or", "xor"] as const;

/** A logical immediate at the width of the operation, or undefined when reserved. */
function logicalImmediate(sf: number, N: number, immr: number, imms: number) {
  if (!sf && N) return undefined;
  const mask = decodeBitMask(N, immr, imms);
  if (mask === undefined) return undefined;
  return sf ? imm64(mask) : imm32(Number(mask & 0xffff_ffffn));
}

/** Data processing with immediate operands (C4.1), bit fields aside. */
export const rows = [
  instruction({
    name: "ADR_only_pcreladdr",
    encoding: "0 immlo:2 10000 immhi:19 Rd:5",
    assembly: "adr <X Rd>, <adr immhi immlo>",
    manual: "C6.2 ADR",
    operands: ({ immlo, immhi, Rd }) => ({ d: x(Rd), offset: imm32(signExtend((immhi << 2) | immlo, 21)) }),
    execute: (o, s) => s.writeX(o.d, s.op("i64.add", s.pc(), s.imm64(o.offset))),
  }),
  instruction({
    name: "ADRP_only_pcreladdr",
    encoding: "1 immlo:2 10000 immhi:19 Rd:5",
    assembly: "adrp <X Rd>, <adrp immhi immlo>",
    manual: "C6.2 ADRP",
    operands: ({ immlo, immhi, Rd }) => ({
      d: x(Rd),
      offset: imm64(BigInt(signExtend((immhi << 2) | immlo, 21)) << 12n),
    }),
    execute: (o, s) =>
      s.writeX(o.d, s.op("i64.add", s.op("i64.and", s.pc(), s.i64(-4096)), s.imm64(o.offset))),
  }),
  instruction({
    name: "ADD_SUB_addsub_imm",
    encoding: "sf:1 op:1 0 100010 sh:1 imm12:12 Rn:5 Rd:5",
    assembly: "{op:add/sub} <RS Rd sf>, <RS Rn sf>, #<hex imm12><lsl12 sh>",
    manual: "C6.2 ADD (immediate), SUB (immediate)",
    operands: ({ sf, op, sh, imm12, Rn, Rd }) => ({
      size: sizeOf(sf),
      d: xsp(Rd),
      n: xsp(Rn),
      // Subtracting is adding the negative where no flags are wanted: one handler for both.
      imm: imm32((op ? -1 : 1) * (sh ? imm12 << 12 : imm12)),
    }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      w.write(o.d, w.op("add", w.read(o.n), w.immediate(o.imm)));
    },
  }),
  instruction({
    name: "ADDS_SUBS_addsub_imm",
    encoding: "sf:1 op:1 1 100010 sh:1 imm12:12 Rn:5 Rd:5",
    assembly: "{op:adds/subs} <R Rd sf>, <RS Rn sf>, #<hex imm12><lsl12 sh>",
    manual: "C6.2 ADDS (immediate), SUBS (immediate)",
    operands: ({ sf, op, sh, imm12, Rn, Rd }) => ({
      size: sizeOf(sf),
      subtract: op === 1,
      discard: Rd === 31,
      d: x(Rd),
      n: xsp(Rn),
      imm: imm32(sh ? imm12 << 12 : imm12),
    }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const kind = { subtract: o.subtract, setFlags: true };
      const result = addSubtract(s, w, kind, w.read(o.n), w.immediate(o.imm));
      if (!o.discard) w.write(o.d, result);
    },
  }),
  instruction({
    name: "AND_ORR_EOR_log_imm",
    encoding: "sf:1 opc:2 100100 N:1 immr:6 imms:6 Rn:5 Rd:5",
    assembly: "{opc:and/orr/eor/-} <RS Rd sf>, <R Rn sf>, #<bitmask N immr imms sf>",
    manual: "C6.2 AND (immediate), ORR (immediate), EOR (immediate)",
    operands: ({ sf, opc, N, immr, imms, Rn, Rd }) => {
      const imm = logicalImmediate(sf, N, immr, imms);
      if (imm === undefined) return undefined;
      const move = opc === 1 && Rn === 31;
      return {
        size: sizeOf(sf),
        op: move ? ("move" as const) : LOGICAL_OPERATORS[opc]!,
        d: xsp(Rd),
        n: x(Rn),
        imm,
      };
    },
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const imm = w.immediate(o.imm);
      w.write(o.d, o.op === "move" ? imm : w.op(o.op, w.read(o.n), imm));
    },
  }),
  instruction({
    name: "ANDS_log_imm",
    encoding: "sf:1 11 100100 N:1 immr:6 imms:6 Rn:5 Rd:5",
    assembly: "ands <R Rd sf>, <R Rn sf>, #<bitmask N immr imms sf>",
    manual: "C6.2 ANDS (immediate)",
    operands: ({ sf, N, immr, imms, Rn, Rd }) => {
      const imm = logicalImmediate(sf, N, immr, imms);
      return imm && { size: sizeOf(sf), discard: Rd === 31, d: x(Rd), n: x(Rn), imm };
    },
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const result = w.op("and", w.read(o.n), w.immediate(o.imm));
      setLogicalFlags(s, w, result);
      if (!o.discard) w.write(o.d, result);
    },
  }),
  ...(["movn", "movz"] as const).map((mnemonic, index) =>
    instruction({
      name: `${mnemonic.toUpperCase()}_movewide`,
      encoding: index ? "sf:1 10 100101 hw:2 imm16:16 Rd:5" : "sf:1 00 100101 hw:2 imm16:16 Rd:5",
      assembly: `${mnemonic} <R Rd sf>, #<hex imm16><lsl16 hw>`,
      manual: index ? "C6.2 MOVZ" : "C6.2 MOVN",
      operands: ({ sf, hw, imm16, Rd }) => {
        if (!sf && hw >= 2) return undefined;
        const value = BigInt(imm16) << BigInt(hw * 16);
        return { d: x(Rd), imm: imm64(BigInt.asUintN(sf ? 64 : 32, index ? value : ~value)) };
      },
      // Both widths and both instructions are the same thing: a 64-bit constant.
      execute: (o, s) => s.writeX(o.d, s.imm64(o.imm)),
    }),
  ),
  instruction({
    name: "MOVK_movewide",
    encoding: "sf:1 11 100101 hw:2 imm16:16 Rd:5",
    assembly: "movk <R Rd sf>, #<hex imm16><lsl16 hw>",
    manual: "C6.2 MOVK",
    operands: ({ sf, hw, imm16, Rd }) => {
      if (!sf && hw >= 2) return undefined;
      return { d: x(Rd), size: sf ? 64 : 32, shift: hw * 16, imm: imm32(imm16) };
    },
    execute: (o, s) => {
      const field = 0xffffn << BigInt(o.shift);
      const keep = (o.size === 64 ? -1n : 0xffff_ffffn) & ~field;
      const inserted = s.op("i64.shl", s.imm64(o.imm), s.i64(o.shift));
      s.writeX(o.d, s.op("i64.or", s.op("i64.and", s.readX(o.d), s.i64(keep)), inserted));
    },
  }),
] as const;
