import { signExtend } from "../../base/bits.ts";
import { instruction } from "../instruction.ts";
import { base, imm32, v, x } from "../operands.ts";
import {
  addressOf,
  type IndexExtend,
  indexedAddress,
  integerTransfer,
  transferInteger,
  transferVector,
  vectorSize,
} from "../pseudocode/load-store.ts";

/** Mnemonics by size and opc, for scaled, unscaled and unprivileged forms. */
const PLAIN = "{size,opc:strb/ldrb/ldrsb/ldrsb/strh/ldrh/ldrsh/ldrsh/str/ldr/ldrsw/-/str/ldr/-/-}";
const UNSCALED =
  "{size,opc:sturb/ldurb/ldursb/ldursb/sturh/ldurh/ldursh/ldursh/stur/ldur/ldursw/-/stur/ldur/-/-}";
const UNPRIVILEGED =
  "{size,opc:sttrb/ldtrb/ldtrsb/ldtrsb/sttrh/ldtrh/ldtrsh/ldtrsh/sttr/ldtr/ldtrsw/-/sttr/ldtr/-/-}";
const INTEGER_REGISTER = "<Rt Rt size opc>";
const VECTOR_REGISTER = "<Vt Rt opc size>";
const VECTOR_PLAIN = "{opc:str/ldr/str/ldr}";
const VECTOR_UNSCALED = "{opc:stur/ldur/stur/ldur}";

/** The three forms with a signed 9-bit offset that write in place or back. */
const IMMEDIATE_FORMS = [
  {
    mode: "offset",
    suffix: "ldst_unscaled",
    integer: "size:2 111 0 00 opc:2 0 imm9:9 00 Rn:5 Rt:5",
    vector: "size:2 111 1 00 opc:2 0 imm9:9 00 Rn:5 Rt:5",
    mnemonic: UNSCALED,
    vectorMnemonic: VECTOR_UNSCALED,
    address: "[<XS Rn><soffset9 imm9>]",
  },
  {
    mode: "postIndex",
    suffix: "ldst_immpost",
    integer: "size:2 111 0 00 opc:2 0 imm9:9 01 Rn:5 Rt:5",
    vector: "size:2 111 1 00 opc:2 0 imm9:9 01 Rn:5 Rt:5",
    mnemonic: PLAIN,
    vectorMnemonic: VECTOR_PLAIN,
    address: "[<XS Rn>]<woffset9 imm9>",
  },
  {
    mode: "preIndex",
    suffix: "ldst_immpre",
    integer: "size:2 111 0 00 opc:2 0 imm9:9 11 Rn:5 Rt:5",
    vector: "size:2 111 1 00 opc:2 0 imm9:9 11 Rn:5 Rt:5",
    mnemonic: PLAIN,
    vectorMnemonic: VECTOR_PLAIN,
    address: "[<XS Rn><woffset9 imm9>]!",
  },
] as const;

const immediateRows = IMMEDIATE_FORMS.flatMap((form) => [
  instruction({
    name: `LDR_STR_${form.suffix}`,
    encoding: form.integer,
    assembly: `${form.mnemonic} ${INTEGER_REGISTER}, ${form.address}`,
    manual: "C6.2 LDR (immediate) and siblings",
    operands: ({ size, opc, imm9, Rn, Rt }) => {
      const transfer = integerTransfer(size, opc);
      return (
        transfer && {
          ...transfer,
          mode: form.mode,
          t: x(Rt),
          base: base(Rn),
          offset: imm32(signExtend(imm9, 9)),
        }
      );
    },
    execute: (o, s) => addressOf(s, o, (address) => transferInteger(s, o, address)),
  }),
  instruction({
    name: `LDR_STR_V_${form.suffix}`,
    encoding: form.vector,
    assembly: `${form.vectorMnemonic} ${VECTOR_REGISTER}, ${form.address}`,
    manual: "C7.2 LDR (immediate, SIMD&FP) and siblings",
    simd: true,
    operands: ({ size, opc, imm9, Rn, Rt }) => {
      const bytes = vectorSize(size, opc);
      return (
        bytes && {
          load: (opc & 1) === 1,
          bytes,
          mode: form.mode,
          t: v(Rt),
          base: base(Rn),
          offset: imm32(signExtend(imm9, 9)),
        }
      );
    },
    execute: (o, s) => addressOf(s, o, (address) => transferVector(s, o, address)),
  }),
]);

const INDEX_EXTENDS: Readonly<Record<number, IndexExtend>> = { 2: "uxtw", 3: "none", 6: "sxtw", 7: "none" };

/** Loads and stores of one register (C4.1), all addressing modes; literals and prefetches too. */
export const rows = [
  ...immediateRows,
  instruction({
    name: "LDTR_STTR_ldst_unpriv",
    encoding: "size:2 111 0 00 opc:2 0 imm9:9 10 Rn:5 Rt:5",
    assembly: `${UNPRIVILEGED} ${INTEGER_REGISTER}, [<XS Rn><soffset9 imm9>]`,
    manual: "C6.2 LDTR and siblings",
    operands: ({ size, opc, imm9, Rn, Rt }) => {
      const transfer = integerTransfer(size, opc);
      return (
        transfer && {
          ...transfer,
          mode: "offset" as const,
          t: x(Rt),
          base: base(Rn),
          offset: imm32(signExtend(imm9, 9)),
        }
      );
    },
    execute: (o, s) => addressOf(s, o, (address) => transferInteger(s, o, address, { unprivileged: true })),
  }),
  instruction({
    name: "LDR_STR_ldst_pos",
    encoding: "size:2 111 0 01 opc:2 imm12:12 Rn:5 Rt:5",
    assembly: `${PLAIN} ${INTEGER_REGISTER}, [<XS Rn><uoffset imm12 size>]`,
    manual: "C6.2 LDR (immediate) and siblings",
    operands: ({ size, opc, imm12, Rn, Rt }) => {
      const transfer = integerTransfer(size, opc);
      return (
        transfer && {
          ...transfer,
          mode: "offset" as const,
          t: x(Rt),
          base: base(Rn),
          offset: imm32(imm12 << size),
        }
      );
    },
    execute: (o, s) => addressOf(s, o, (address) => transferInteger(s, o, address)),
  }),
  instruction({
    name: "LDR_STR_V_ldst_pos",
    encoding: "size:2 111 1 01 opc:2 imm12:12 Rn:5 Rt:5",
    assembly: `${VECTOR_PLAIN} ${VECTOR_REGISTER}, [<XS Rn><vuoffset imm12 opc size>]`,
    manual: "C7.2 LDR (immediate, SIMD&FP) and siblings",
    simd: true,
    operands: ({ size, opc, imm12, Rn, Rt }) => {
      const bytes = vectorSize(size, opc);
      return (
        bytes && {
          load: (opc & 1) === 1,
          bytes,
          mode: "offset" as const,
          t: v(Rt),
          base: base(Rn),
          offset: imm32(imm12 * bytes),
        }
      );
    },
    execute: (o, s) => addressOf(s, o, (address) => transferVector(s, o, address)),
  }),
  instruction({
    name: "LDR_STR_ldst_regoff",
    encoding: "size:2 111 0 00 opc:2 1 Rm:5 option:3 S:1 10 Rn:5 Rt:5",
    assembly: `${PLAIN} ${INTEGER_REGISTER}, [<XS Rn><index Rm option S size>]`,
    manual: "C6.2 LDR (register) and siblings",
    operands: ({ size, opc, Rm, option, S, Rn, Rt }) => {
      const transfer = integerTransfer(size, opc);
      const extend = INDEX_EXTENDS[option];
      if (!transfer || !extend) return undefined;
      return { ...transfer, t: x(Rt), base: base(Rn), m: x(Rm), extend, shift: S ? size : 0 };
    },
    execute: (o, s) => transferInteger(s, o, indexedAddress(s, o)),
  }),
  instruction({
    name: "LDR_STR_V_ldst_regoff",
    encoding: "size:2 111 1 00 opc:2 1 Rm:5 option:3 S:1 10 Rn:5 Rt:5",
    assembly: `${VECTOR_PLAIN} ${VECTOR_REGISTER}, [<XS Rn><vindex Rm option S opc size>]`,
    manual: "C7.2 LDR (register, SIMD&FP), STR (register, SIMD&FP)",
    simd: true,
    operands: ({ size, opc, Rm, option, S, Rn, Rt }) => {
      const bytes = vectorSize(size, opc);
      const extend = INDEX_EXTENDS[option];
      if (!bytes || !extend) return undefined;
      const shift = S ? Math.log2(bytes) : 0;
      return { load: (opc & 1) === 1, bytes, t: v(Rt), base: base(Rn), m: x(Rm), extend, shift };
    },
    execute: (o, s) => transferVector(s, o, indexedAddress(s, o)),
  }),
  instruction({
    name: "PRFM_ldst_pos",
    encoding: "11 111 0 01 10 imm12:12 Rn:5 Rt:5",
    assembly: "prfm <prefetch Rt>, [<XS Rn><uoffset imm12 3>]",
    manual: "C6.2 PRFM (immediate)",
    execute: () => {},
  }),
  instruction({
    name: "PRFUM_ldst_unscaled",
    encoding: "11 111 0 00 10 0 imm9:9 00 Rn:5 Rt:5",
    assembly: "prfum <prefetch Rt>, [<XS Rn><soffset9 imm9>]",
    manual: "C6.2 PRFUM",
    execute: () => {},
  }),
  instruction({
    name: "PRFM_ldst_regoff",
    encoding: "11 111 0 00 10 1 Rm:5 option:3 S:1 10 Rn:5 Rt:5",
    assembly: "prfm <prefetch Rt>, [<XS Rn><index Rm option S 3>]",
    manual: "C6.2 PRFM (register)",
    operands: ({ option }) => (INDEX_EXTENDS[option] ? {} : undefined),
    execute: () => {},
  }),
  instruction({
    name: "PRFM_loadlit",
    encoding: "11 011 0 00 imm19:19 Rt:5",
    assembly: "prfm <prefetch Rt>, <label imm19 19>",
    manual: "C6.2 PRFM (literal)",
    execute: () => {},
  }),
  instruction({
    name: "LDR_loadlit",
    encoding: "opc:2 011 0 00 imm19:19 Rt:5",
    assembly: "{opc:ldr/ldr/ldrsw/-} <Rliteral Rt opc>, <label imm19 19>",
    manual: "C6.2 LDR (literal), LDRSW (literal)",
    where: ({ opc }) => opc !== 3,
    operands: ({ opc, imm19, Rt }) => ({
      bytes: opc === 1 ? (8 as const) : (4 as const),
      kind: opc === 2 ? ("loadSigned64" as const) : ("load" as const),
      t: x(Rt),
      offset: imm32(signExtend(imm19, 19) * 4),
    }),
    execute: (o, s) => transferInteger(s, o, s.op("i64.add", s.pc(), s.imm64(o.offset))),
  }),
  instruction({
    name: "LDR_V_loadlit",
    encoding: "opc:2 011 1 00 imm19:19 Rt:5",
    assembly: "{opc:ldr/ldr/ldr/-} <Vpair Rt opc>, <label imm19 19>",
    manual: "C7.2 LDR (literal, SIMD&FP)",
    simd: true,
    operands: ({ opc, imm19, Rt }) =>
      opc === 3
        ? undefined
        : {
            load: true,
            bytes: ([4, 8, 16] as const)[opc]!,
            t: v(Rt),
            offset: imm32(signExtend(imm19, 19) * 4),
          },
    execute: (o, s) => transferVector(s, o, s.op("i64.add", s.pc(), s.imm64(o.offset))),
  }),
] as const;
