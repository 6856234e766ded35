import { instruction } from "../instruction.ts";
import { imm32, x, xsp } from "../operands.ts";

export const rows = [
  instruction({
    name: "ADD_SUB_addsub_imm",
    encoding: "sf:1 op:1 S:1 100010 sh:1 imm12:12 Rn:5 Rd:5",
    assembly: "{op:add/sub}{S:/s} <RS|R Rd sf S>, <RS Rn sf>, #<u imm12><shift12 sh>",
    manual: "C6.2.4 ADD (immediate)",
    operands: ({ sf, op, S, sh, imm12, Rn, Rd }) => ({
      size: sf ? 64 : 32,
      subtract: op === 1,
      setFlags: S === 1,
      d: S ? x(Rd) : xsp(Rd),
      n: xsp(Rn),
      imm: imm32(sh ? imm12 << 12 : imm12),
    }),
    execute: (o, s) => {
      if (o.size === 64)
        s.writeX(o.d, s.op(o.subtract ? "i64.sub" : "i64.add", s.readX(o.n), s.imm64(o.imm)));
    },
  }),
] as const;
