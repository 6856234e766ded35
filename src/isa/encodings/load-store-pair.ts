import { signExtend } from "../../base/bits.ts";
import { instruction } from "../instruction.ts";
import { base, imm32, v, x } from "../operands.ts";
import { addressOf, signExtendLoaded } from "../pseudocode/load-store.ts";

/** The four addressing modes. */
const FORMS = [
  {
    mode: "offset",
    suffix: "ldstnapair_offs",
    integer: "opc:2 101 0 000 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    vector: "opc:2 101 1 000 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    mnemonics: "{opc,L:stnp/ldnp/-/-/stnp/ldnp/-/-}",
    vectorMnemonics: "{opc,L:stnp/ldnp/stnp/ldnp/stnp/ldnp/-/-}",
    before: "[<XS Rn><soffset7 imm7",
    after: ">]",
  },
  {
    mode: "postIndex",
    suffix: "ldstpair_post",
    integer: "opc:2 101 0 001 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    vector: "opc:2 101 1 001 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    mnemonics: "{opc,L:stp/ldp/-/ldpsw/stp/ldp/-/-}",
    vectorMnemonics: "{opc,L:stp/ldp/stp/ldp/stp/ldp/-/-}",
    before: "[<XS Rn>]<woffset7 imm7",
    after: ">",
  },
  {
    mode: "offset",
    suffix: "ldstpair_off",
    integer: "opc:2 101 0 010 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    vector: "opc:2 101 1 010 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    mnemonics: "{opc,L:stp/ldp/-/ldpsw/stp/ldp/-/-}",
    vectorMnemonics: "{opc,L:stp/ldp/stp/ldp/stp/ldp/-/-}",
    before: "[<XS Rn><soffset7 imm7",
    after: ">]",
  },
  {
    mode: "preIndex",
    suffix: "ldstpair_pre",
    integer: "opc:2 101 0 011 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    vector: "opc:2 101 1 011 L:1 imm7:7 Rt2:5 Rn:5 Rt:5",
    mnemonics: "{opc,L:stp/ldp/-/ldpsw/stp/ldp/-/-}",
    vectorMnemonics: "{opc,L:stp/ldp/stp/ldp/stp/ldp/-/-}",
    before: "[<XS Rn><woffset7 imm7",
    after: ">]!",
  },
] as const;

/** Loads and stores of register pairs (C4.1). A pair is one access: a fault leaves everything as it was. */
export const rows = FORMS.flatMap((form) => [
  instruction({
    name: `LDP_STP_${form.suffix}`,
    encoding: form.integer,
    // The offset is scaled by 8 for X, else by 4.
    assembly: [
      {
        when: ({ opc }) => opc === 2,
        template: `${form.mnemonics} <Rpair Rt opc>, <Rpair Rt2 opc>, ${form.before} 3${form.after}`,
      },
      {
        when: ({ opc }) => opc !== 2,
        template: `${form.mnemonics} <Rpair Rt opc>, <Rpair Rt2 opc>, ${form.before} 2${form.after}`,
      },
    ],
    manual: "C6.2 LDP, STP and siblings",
    operands: ({ opc, L, imm7, Rt2, Rn, Rt }) => {
      const signed = opc === 1;
      if (opc === 3 || (signed && (!L || form.suffix === "ldstnapair_offs"))) return undefined;
      const bytes = opc === 2 ? (8 as const) : (4 as const);
      return {
        load: L === 1,
        signed,
        bytes,
        mode: form.mode,
        t: x(Rt),
        t2: x(Rt2),
        base: base(Rn),
        offset: imm32(signExtend(imm7, 7) * bytes),
      };
    },
    execute: (o, s) =>
      addressOf(s, o, (address) => {
        if (!o.load) {
          s.storeBytes(
            address,
            2 * o.bytes,
            [
              { offset: 0, bytes: o.bytes, value: s.readX(o.t) },
              { offset: o.bytes, bytes: o.bytes, value: s.readX(o.t2) },
            ],
            { element: o.bytes },
          );
          return;
        }
        const loaded = s.loadBytes(address, 2 * o.bytes, { element: o.bytes });
        const first = loaded.i64(0, o.bytes);
        const second = loaded.i64(o.bytes, o.bytes);
        // When both are one register (CONSTRAINED UNPREDICTABLE), the first value stays.
        s.writeX(o.t2, o.signed ? signExtendLoaded(s, second, o.bytes) : second);
        s.writeX(o.t, o.signed ? signExtendLoaded(s, first, o.bytes) : first);
      }),
  }),
  instruction({
    name: `LDP_STP_V_${form.suffix}`,
    encoding: form.vector,
    assembly: [0, 1, 2].map((size) => ({
      when: ({ opc }: { readonly opc: number }) => opc === size,
      template: `${form.vectorMnemonics} <Vpair Rt opc>, <Vpair Rt2 opc>, ${form.before} ${size + 2}${form.after}`,
    })),
    manual: "C7.2 LDP (SIMD&FP), STP (SIMD&FP) and siblings",
    simd: true,
    operands: ({ opc, L, imm7, Rt2, Rn, Rt }) => {
      if (opc === 3) return undefined;
      const bytes = ([4, 8, 16] as const)[opc]!;
      return {
        load: L === 1,
        bytes,
        mode: form.mode,
        t: v(Rt),
        t2: v(Rt2),
        base: base(Rn),
        offset: imm32(signExtend(imm7, 7) * bytes),
      };
    },
    execute: (o, s) =>
      addressOf(s, o, (address) => {
        const { bytes } = o;
        if (o.load) {
          const loaded = s.loadBytes(address, 2 * bytes, { element: bytes });
          for (const [register, offset] of [
            [o.t, 0],
            [o.t2, bytes],
          ] as const) {
            if (bytes === 16) s.writeV(register, loaded.v128(offset));
            else s.writeVLow(register, loaded.i64(offset, bytes));
          }
          return;
        }
        s.storeBytes(
          address,
          2 * bytes,
          ([o.t, o.t2] as const).map((register, index) =>
            bytes === 16
              ? { offset: index * bytes, bytes, value: s.readV(register) }
              : { offset: index * bytes, bytes, value: s.readVLow(register) },
          ),
          { element: bytes },
        );
      }),
  }),
]);
