import { elementSizeOfImm5 } from "../assembly-kinds/vector.ts";
import { type Instruction, instruction } from "../instruction.ts";
import { imm32, imm64, v, x } from "../operands.ts";
import {
  bitselect,
  duplicateElement,
  duplicateElementAt,
  ELEMENT_BITS,
  elementIndices,
  elementMask,
  extract,
  scalarShape,
  splatValue,
  vectorShape,
  writeShape,
} from "../pseudocode/vector.ts";

/** The element that imm5 names: size and, above the size's bit, index. */
function element(imm5: number) {
  const sizeField = elementSizeOfImm5(imm5);
  const size = sizeField === undefined ? undefined : ELEMENT_BITS[sizeField];
  return sizeField === undefined || size === undefined
    ? undefined
    : { sizeField, size, index: imm5 >> (sizeField + 1) };
}

/** DUP, INS, SMOV, UMOV. Indices are immediates, not static: one meaning serves all elements of a size. */
export const rows: readonly Instruction[] = [
  instruction({
    name: "DUP_asimdins_DV_v",
    encoding: "0 Q:1 0 01110000 imm5:5 0 0000 1 Rn:5 Rd:5",
    assembly: "dup <VdupElement Rd imm5 Q>, <Ve Rn imm5>",
    manual: "C7.2 DUP (element)",
    simd: true,
    operands: ({ Q, imm5, Rn, Rd }) => {
      const from = element(imm5);
      const shape = from && vectorShape(from.sizeField, Q);
      if (!shape) return undefined;
      return { ...shape, indices: imm64(elementIndices(shape.size, from.index)), d: v(Rd), n: v(Rn) };
    },
    execute: (o, s) => writeShape(s, o, o.d, duplicateElement(s, s.readV(o.n), s.imm64(o.indices))),
  }),
  instruction({
    name: "DUP_asisdone_only",
    encoding: "01 0 11110000 imm5:5 0 0000 1 Rn:5 Rd:5",
    assembly: "dup <scalarOfElement Rd imm5>, <Ve Rn imm5>",
    manual: "C7.2 DUP (element)",
    simd: true,
    operands: ({ imm5, Rn, Rd }) => {
      const from = element(imm5);
      const shape = from && scalarShape(from.sizeField);
      if (!shape) return undefined;
      return { ...shape, indices: imm64(elementIndices(shape.size, from.index)), d: v(Rd), n: v(Rn) };
    },
    execute: (o, s) => writeShape(s, o, o.d, duplicateElement(s, s.readV(o.n), s.imm64(o.indices))),
  }),
  instruction({
    name: "DUP_asimdins_DR_r",
    encoding: "0 Q:1 0 01110000 imm5:5 0 0001 1 Rn:5 Rd:5",
    assembly: "dup <Vdup Rd imm5 Q>, <RofElement Rn imm5>",
    manual: "C7.2 DUP (general)",
    simd: true,
    operands: ({ Q, imm5, Rn, Rd }) => {
      const from = element(imm5);
      const shape = from && vectorShape(from.sizeField, Q);
      return shape && { ...shape, d: v(Rd), n: x(Rn) };
    },
    execute: (o, s) => writeShape(s, o, o.d, splatValue(s, o.size, s.readX(o.n))),
  }),
  instruction({
    name: "SMOV_asimdins",
    encoding: "0 Q:1 0 01110000 imm5:5 0 0101 1 Rn:5 Rd:5",
    assembly: "smov <R Rd Q>, <Ve Rn imm5>",
    manual: "C7.2 SMOV",
    simd: true,
    operands: ({ Q, imm5, Rn, Rd }) => {
      const from = element(imm5);
      if (!from || from.sizeField > 1 + Q) return undefined;
      const indices = imm64(elementIndices(from.size, from.index));
      return { size: from.size, toX: Q === 1, indices, d: x(Rd), n: v(Rn) };
    },
    execute: (o, s) => {
      const value = extract(s, o.size, false, 0, duplicateElement(s, s.readV(o.n), s.imm64(o.indices)));
      if (o.toX) s.writeX(o.d, value);
      else s.writeW(o.d, s.op("i32.wrap_i64", value));
    },
  }),
  instruction({
    name: "UMOV_asimdins",
    encoding: "0 Q:1 0 01110000 imm5:5 0 0111 1 Rn:5 Rd:5",
    assembly: "umov <R Rd Q>, <Ve Rn imm5>",
    manual: "C7.2 UMOV",
    simd: true,
    operands: ({ Q, imm5, Rn, Rd }) => {
      const from = element(imm5);
      if (!from || (from.sizeField === 3) !== (Q === 1)) return undefined;
      return {
        size: from.size,
        indices: imm64(elementIndices(from.size, from.index)),
        d: x(Rd),
        n: v(Rn),
      };
    },
    execute: (o, s) =>
      s.writeX(o.d, extract(s, o.size, true, 0, duplicateElement(s, s.readV(o.n), s.imm64(o.indices)))),
  }),
  instruction({
    name: "INS_asimdins_IR_r",
    encoding: "0 1 0 01110000 imm5:5 0 0011 1 Rn:5 Rd:5",
    assembly: "ins <Ve Rd imm5>, <RofElement Rn imm5>",
    manual: "C7.2 INS (general)",
    simd: true,
    operands: ({ imm5, Rn, Rd }) => {
      const to = element(imm5);
      return to && { size: to.size, index: imm32(to.index), d: v(Rd), n: x(Rn) };
    },
    execute: (o, s) => {
      const mask = elementMask(s, o.size, s.imm32(o.index));
      s.writeV(o.d, bitselect(s, mask, splatValue(s, o.size, s.readX(o.n)), s.readV(o.d)));
    },
  }),
  instruction({
    name: "INS_asimdins_IV_v",
    encoding: "0 1 1 01110000 imm5:5 0 imm4:4 1 Rn:5 Rd:5",
    assembly: "ins <Ve Rd imm5>, <Ve4 Rn imm5 imm4>",
    manual: "C7.2 INS (element)",
    simd: true,
    operands: ({ imm5, imm4, Rn, Rd }) => {
      const to = element(imm5);
      if (!to) return undefined;
      const first = imm32((imm4 >> to.sizeField) << to.sizeField);
      return { size: to.size, index: imm32(to.index), first, d: v(Rd), n: v(Rn) };
    },
    execute: (o, s) => {
      const mask = elementMask(s, o.size, s.imm32(o.index));
      const value = duplicateElementAt(s, o.size, s.readV(o.n), s.imm32(o.first));
      s.writeV(o.d, bitselect(s, mask, value, s.readV(o.d)));
    },
  }),
];
