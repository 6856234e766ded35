import { instruction } from "../instruction.ts";
import { imm32, imm64, x } from "../operands.ts";
import { Integers, type Size } from "../pseudocode/integers.ts";

type Shape = "left" | "right" | "both" | "zeroExtend" | "signExtend8" | "signExtend16" | "signExtend32";

function moveShape(signed: boolean, left: number, right: number, immr: number, imms: number): Shape {
  if (immr === 0) {
    if (!signed) return "zeroExtend";
    if (imms === 7) return "signExtend8";
    if (imms === 15) return "signExtend16";
    if (imms === 31 && left === 32) return "signExtend32";
  }
  if (left === 0) return "right";
  return right === 0 ? "left" : "both";
}

/** UBFM and SBFM: the static shape and dynamic amounts, or undefined for reserved values. */
function moveOperands(signed: boolean, sf: number, N: number, immr: number, imms: number) {
  if (N !== sf || (!sf && (immr >= 32 || imms >= 32))) return undefined;
  const size: Size = sf ? 64 : 32;
  const left = size - 1 - imms;
  const right = imms >= immr ? left + immr : immr - imms - 1;
  const shape = moveShape(signed, left, right, immr, imms);
  const mask = (1n << BigInt(imms + 1)) - 1n;
  if (shape === "zeroExtend")
    return { size, shape, left: sf ? imm64(mask) : imm32(Number(mask)), right: imm32(0) };
  return { size, shape, left: imm32(left), right: imm32(right) };
}

const ASSEMBLY = "<R Rd sf>, <R Rn sf>, #<dec immr>, #<dec imms><same N sf>";

/**
 * Bit fields and extract (C4.1). A field move is a shift left that puts the field's top bit uppermost and
 * a shift right to its place; either may be by nothing, and masks and extensions are frequent cases apart.
 */
export const rows = [
  ...(["sbfm", "ubfm"] as const).map((mnemonic) => {
    const signed = mnemonic === "sbfm";
    return instruction({
      name: `${mnemonic.toUpperCase()}_bitfield`,
      encoding: signed
        ? "sf:1 00 100110 N:1 immr:6 imms:6 Rn:5 Rd:5"
        : "sf:1 10 100110 N:1 immr:6 imms:6 Rn:5 Rd:5",
      assembly: `${mnemonic} ${ASSEMBLY}`,
      manual: signed ? "C6.2 SBFM" : "C6.2 UBFM",
      operands: ({ sf, N, immr, imms, Rn, Rd }) => {
        const move = moveOperands(signed, sf, N, immr, imms);
        // A pure left shift does not depend on the sign: one handler.
        return move && { ...move, signed: signed && move.shape !== "left", d: x(Rd), n: x(Rn) };
      },
      execute: (o, s) => {
        const w = new Integers(s, o.size);
        const value = w.read(o.n);
        const shiftRight = o.signed ? "shr_s" : "shr_u";
        switch (o.shape) {
          case "left":
            return w.write(o.d, w.op("shl", value, w.immediate(o.left)));
          case "right":
            return w.write(o.d, w.op(shiftRight, value, w.immediate(o.right)));
          case "both":
            return w.write(
              o.d,
              w.op(shiftRight, w.op("shl", value, w.immediate(o.left)), w.immediate(o.right)),
            );
          case "zeroExtend":
            return w.write(o.d, w.op("and", value, w.immediate(o.left)));
          case "signExtend8":
            if (o.size === 32) return s.writeW(o.d, s.op("i32.extend8_s", s.readW(o.n)));
            return s.writeX(o.d, s.op("i64.extend8_s", s.readX(o.n)));
          case "signExtend16":
            if (o.size === 32) return s.writeW(o.d, s.op("i32.extend16_s", s.readW(o.n)));
            return s.writeX(o.d, s.op("i64.extend16_s", s.readX(o.n)));
          case "signExtend32":
            return s.writeX(o.d, s.op("i64.extend32_s", s.readX(o.n)));
        }
      },
    });
  }),
  instruction({
    name: "BFM_bitfield",
    encoding: "sf:1 01 100110 N:1 immr:6 imms:6 Rn:5 Rd:5",
    assembly: `bfm ${ASSEMBLY}`,
    manual: "C6.2 BFM",
    operands: ({ sf, N, immr, imms, Rn, Rd }) => {
      if (N !== sf || (!sf && (immr >= 32 || imms >= 32))) return undefined;
      const size: Size = sf ? 64 : 32;
      const extract = imms >= immr;
      const ones = (1n << BigInt(extract ? imms - immr + 1 : imms + 1)) - 1n;
      const mask = extract ? ones : ones << BigInt(size - immr);
      return {
        size,
        extract,
        d: x(Rd),
        n: x(Rn),
        amount: imm32(extract ? immr : size - immr),
        mask: sf ? imm64(mask) : imm32(Number(BigInt.asIntN(32, mask))),
      };
    },
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const moved = w.op(o.extract ? "shr_u" : "shl", w.read(o.n), w.immediate(o.amount));
      const old = w.read(o.d);
      const changed = w.op("and", w.op("xor", old, moved), w.immediate(o.mask));
      w.write(o.d, w.op("xor", old, changed));
    },
  }),
  instruction({
    name: "EXTR_extract",
    encoding: "sf:1 00 100111 N:1 0 Rm:5 imms:6 Rn:5 Rd:5",
    assembly: "extr <R Rd sf>, <R Rn sf>, <R Rm sf>, #<dec imms><same N sf>",
    manual: "C6.2 EXTR",
    operands: ({ sf, N, Rm, imms, Rn, Rd }) => {
      if (N !== sf || (!sf && imms >= 32)) return undefined;
      const size: Size = sf ? 64 : 32;
      const shape = imms === 0 ? "low" : Rn === Rm ? "rotate" : "both";
      return { size, shape, d: x(Rd), n: x(Rn), m: x(Rm), right: imm32(imms), left: imm32(size - imms) };
    },
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const low = w.read(o.m);
      if (o.shape === "low") return w.write(o.d, low);
      if (o.shape === "rotate") return w.write(o.d, w.op("rotr", low, w.immediate(o.right)));
      const upper = w.op("shl", w.read(o.n), w.immediate(o.left));
      w.write(o.d, w.op("or", upper, w.op("shr_u", low, w.immediate(o.right))));
    },
  }),
] as const;
