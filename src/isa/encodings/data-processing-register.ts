import { instruction } from "../instruction.ts";
import { imm32, x, xsp } from "../operands.ts";
import { addSubtract, addWithCarry, setLogicalFlags } from "../pseudocode/arithmetic.ts";
import { Integers, sizeOf } from "../pseudocode/integers.ts";
import { extendType, extendValue, shiftOperands, shiftValue } from "../pseudocode/shifts.ts";

const LOGICAL_OPERATORS = ["and", "or", "xor", "and"] as const;

/** AL and NV are the same. */
const condition = (cond: number): number => (cond === 15 ? 14 : cond);

/** Data processing with register operands (C4.1): logical, add and subtract, conditional. */
export const rows = [
  instruction({
    name: "AND_ORR_EOR_log_shift",
    encoding: "sf:1 opc:2 01010 shift:2 N:1 Rm:5 imm6:6 Rn:5 Rd:5",
    assembly: "{opc,N:and/bic/orr/orn/eor/eon/ands/bics} <R Rd sf>, <R Rn sf>, <R Rm sf><shift shift imm6>",
    manual: "C6.2 AND (shifted register) and siblings",
    operands: ({ sf, opc, shift, N, Rm, imm6, Rn, Rd }) => {
      if (!sf && imm6 >= 32) return undefined;
      // MOV and MVN (register) read no first operand.
      const move = opc === 1 && Rn === 31;
      return {
        size: sizeOf(sf),
        op: move ? ("move" as const) : LOGICAL_OPERATORS[opc]!,
        setFlags: opc === 3,
        discard: opc === 3 && Rd === 31,
        invert: N === 1,
        d: x(Rd),
        n: x(Rn),
        m: x(Rm),
        ...shiftOperands(shift, imm6),
      };
    },
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const shifted = shiftValue(w, w.read(o.m), o.shift, o.amount);
      const second = o.invert ? w.not(shifted) : shifted;
      const result = o.op === "move" ? second : w.op(o.op, w.read(o.n), second);
      if (o.setFlags) setLogicalFlags(s, w, result);
      if (!o.discard) w.write(o.d, result);
    },
  }),
  instruction({
    name: "ADD_SUB_addsub_shift",
    encoding: "sf:1 op:1 S:1 01011 shift:2 0 Rm:5 imm6:6 Rn:5 Rd:5",
    assembly: "{op,S:add/adds/sub/subs} <R Rd sf>, <R Rn sf>, <R Rm sf><shift shift imm6>",
    manual: "C6.2 ADD (shifted register) and siblings",
    operands: ({ sf, op, S, shift, Rm, imm6, Rn, Rd }) => {
      if (shift === 3 || (!sf && imm6 >= 32)) return undefined;
      return {
        size: sizeOf(sf),
        subtract: op === 1,
        setFlags: S === 1,
        discard: S === 1 && Rd === 31,
        d: x(Rd),
        n: x(Rn),
        m: x(Rm),
        ...shiftOperands(shift, imm6),
      };
    },
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const second = shiftValue(w, w.read(o.m), o.shift, o.amount);
      const result = addSubtract(s, w, o, w.read(o.n), second);
      if (!o.discard) w.write(o.d, result);
    },
  }),
  ...([0, 1] as const).map((S) =>
    instruction({
      name: S ? "ADDS_SUBS_addsub_ext" : "ADD_SUB_addsub_ext",
      encoding: S
        ? "sf:1 op:1 1 01011 00 1 Rm:5 option:3 imm3:3 Rn:5 Rd:5"
        : "sf:1 op:1 0 01011 00 1 Rm:5 option:3 imm3:3 Rn:5 Rd:5",
      assembly: S
        ? "{op:adds/subs} <R Rd sf>, <RS Rn sf>, <Rext Rm sf option><extend option imm3 sf Rn 0>"
        : "{op:add/sub} <RS Rd sf>, <RS Rn sf>, <Rext Rm sf option><extend option imm3 sf Rn Rd>",
      manual: S ? "C6.2 ADDS (extended register)" : "C6.2 ADD (extended register)",
      operands: ({ sf, op, Rm, option, imm3, Rn, Rd }) => {
        if (imm3 > 4) return undefined;
        return {
          size: sizeOf(sf),
          subtract: op === 1,
          setFlags: S === 1,
          discard: S === 1 && Rd === 31,
          d: S ? x(Rd) : xsp(Rd),
          n: xsp(Rn),
          m: x(Rm),
          extend: extendType(option, sizeOf(sf)),
          amount: imm32(imm3),
        };
      },
      execute: (o, s) => {
        const w = new Integers(s, o.size);
        const extended = extendValue(s, w, w.read(o.m), o.extend);
        const result = addSubtract(s, w, o, w.read(o.n), w.op("shl", extended, w.immediate(o.amount)));
        if (!o.discard) w.write(o.d, result);
      },
    }),
  ),
  instruction({
    name: "ADC_SBC_addsub_carry",
    encoding: "sf:1 op:1 S:1 11010000 Rm:5 000000 Rn:5 Rd:5",
    assembly: "{op,S:adc/adcs/sbc/sbcs} <R Rd sf>, <R Rn sf>, <R Rm sf>",
    manual: "C6.2 ADC, SBC and siblings",
    operands: ({ sf, op, S, Rm, Rn, Rd }) => ({
      size: sizeOf(sf),
      subtract: op === 1,
      setFlags: S === 1,
      d: x(Rd),
      n: x(Rn),
      m: x(Rm),
    }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      const second = w.read(o.m);
      w.write(o.d, addWithCarry(s, w, o.setFlags, w.read(o.n), o.subtract ? w.not(second) : second));
    },
  }),
  ...([0, 1] as const).map((immediate) =>
    instruction({
      name: immediate ? "CCMP_condcmp_imm" : "CCMP_condcmp_reg",
      encoding: immediate
        ? "sf:1 op:1 1 11010010 Rm:5 cond:4 10 Rn:5 0 nzcv:4"
        : "sf:1 op:1 1 11010010 Rm:5 cond:4 00 Rn:5 0 nzcv:4",
      assembly: immediate
        ? "{op:ccmn/ccmp} <R Rn sf>, #<hex Rm>, #<hex nzcv>, <cond cond>"
        : "{op:ccmn/ccmp} <R Rn sf>, <R Rm sf>, #<hex nzcv>, <cond cond>",
      manual: immediate ? "C6.2 CCMP (immediate)" : "C6.2 CCMP (register)",
      operands: ({ sf, op, Rm, cond, Rn, nzcv }) => ({
        size: sizeOf(sf),
        subtract: op === 1,
        condition: condition(cond),
        n: x(Rn),
        m: immediate ? imm32(Rm) : x(Rm),
        nzcv: imm32(nzcv << 28),
      }),
      execute: (o, s) => {
        const w = new Integers(s, o.size);
        const compare = (): void => {
          const second = o.m.kind === "register" ? w.read(o.m) : w.immediate(o.m);
          addSubtract(s, w, { subtract: o.subtract, setFlags: true }, w.read(o.n), second);
        };
        s.when(s.condition(o.condition), compare, () => s.setFlagsFromBits(s.imm64(o.nzcv)));
      },
    }),
  ),
  instruction({
    name: "CSEL_condsel",
    encoding: "sf:1 op:1 0 11010100 Rm:5 cond:4 0 o2:1 Rn:5 Rd:5",
    assembly: "{op,o2:csel/csinc/csinv/csneg} <R Rd sf>, <R Rn sf>, <R Rm sf>, <cond cond>",
    manual: "C6.2 CSEL, CSINC, CSINV, CSNEG",
    operands: ({ sf, op, Rm, cond, o2, Rn, Rd }) => ({
      size: sizeOf(sf),
      increment: o2 === 1,
      invert: op === 1,
      condition: condition(cond),
      d: x(Rd),
      n: x(Rn),
      m: x(Rm),
    }),
    execute: (o, s) => {
      const w = new Integers(s, o.size);
      let otherwise = w.read(o.m);
      if (o.invert) {
        otherwise = o.increment ? w.op("sub", w.constant(0), otherwise) : w.not(otherwise);
      } else if (o.increment) {
        otherwise = w.op("add", otherwise, w.constant(1));
      }
      w.write(o.d, w.select(s.condition(o.condition), w.read(o.n), otherwise));
    },
  }),
] as const;
