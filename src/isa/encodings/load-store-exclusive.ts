import { instruction } from "../instruction.ts";
import { base, x } from "../operands.ts";

const bytesOf = (size: number): 1 | 2 | 4 | 8 => (1 << size) as 1 | 2 | 4 | 8;

/** Ordering needs nothing of its own: an access is always ordered with those before and after it. */
const ORDERED = [
  {
    name: "LDAR_ldstord",
    encoding: "size:2 001000 1 1 0 sboRs:5 1 sboRt2:5 Rn:5 Rt:5",
    mnemonics: "{size:ldarb/ldarh/ldar/ldar}",
    manual: "C6.2 LDAR",
    load: true,
    feature: undefined,
  },
  {
    name: "STLR_ldstord",
    encoding: "size:2 001000 1 0 0 sboRs:5 1 sboRt2:5 Rn:5 Rt:5",
    mnemonics: "{size:stlrb/stlrh/stlr/stlr}",
    manual: "C6.2 STLR",
    load: false,
    feature: undefined,
  },
  {
    name: "LDLAR_ldstord",
    encoding: "size:2 001000 1 1 0 sboRs:5 0 sboRt2:5 Rn:5 Rt:5",
    mnemonics: "{size:ldlarb/ldlarh/ldlar/ldlar}",
    manual: "C6.2 LDLAR",
    load: true,
    feature: "FEAT_LOR",
  },
  {
    name: "STLLR_ldstord",
    encoding: "size:2 001000 1 0 0 sboRs:5 0 sboRt2:5 Rn:5 Rt:5",
    mnemonics: "{size:stllrb/stllrh/stllr/stllr}",
    manual: "C6.2 STLLR",
    load: false,
    feature: "FEAT_LOR",
  },
  {
    name: "LDAPR_memop",
    encoding: "size:2 111000 1 0 1 11111 1 100 00 Rn:5 Rt:5",
    mnemonics: "{size:ldaprb/ldaprh/ldapr/ldapr}",
    manual: "C6.2 LDAPR",
    load: true,
    feature: "FEAT_LRCPC",
  },
] as const;

const orderedRows = ORDERED.map((form) =>
  instruction({
    name: form.name,
    encoding: form.encoding,
    assembly: `${form.mnemonics} <Rsize Rt size>, [<XS Rn>]`,
    manual: form.manual,
    ...(form.feature && { feature: form.feature }),
    operands: ({ size, Rn, Rt }) => ({ bytes: bytesOf(size), t: x(Rt), base: base(Rn) }),
    execute: (o, s) => {
      const address = s.address(o.base);
      if (form.load) s.writeX(o.t, s.load(address, o.bytes, { aligned: true }));
      else s.store(address, o.bytes, s.readX(o.t), { aligned: true });
    },
  }),
);

/** Exclusive accesses and single acquires and releases (C4.1), limited ordering regions included. */
export const rows = [
  ...orderedRows,
  instruction({
    name: "LDXR_ldstexclr",
    encoding: "size:2 001000 0 1 0 sboRs:5 o0:1 sboRt2:5 Rn:5 Rt:5",
    assembly: "{o0,size:ldxrb/ldxrh/ldxr/ldxr/ldaxrb/ldaxrh/ldaxr/ldaxr} <Rsize Rt size>, [<XS Rn>]",
    manual: "C6.2 LDXR, LDAXR and siblings",
    operands: ({ size, Rn, Rt }) => ({ bytes: bytesOf(size), t: x(Rt), base: base(Rn) }),
    execute: (o, s) => s.writeX(o.t, s.loadExclusive(s.address(o.base), o.bytes, false)[0]),
  }),
  instruction({
    name: "LDXP_ldstexclp",
    encoding: "1 sz:1 001000 0 1 1 sboRs:5 o0:1 Rt2:5 Rn:5 Rt:5",
    assembly: "{o0:ldxp/ldaxp} <R Rt sz>, <R Rt2 sz>, [<XS Rn>]",
    manual: "C6.2 LDXP, LDAXP",
    operands: ({ sz, Rn, Rt, Rt2 }) => ({
      bytes: sz ? (8 as const) : (4 as const),
      t: x(Rt),
      t2: x(Rt2),
      base: base(Rn),
    }),
    execute: (o, s) => {
      const [first, second] = s.loadExclusive(s.address(o.base), o.bytes, true);
      s.writeX(o.t, first);
      s.writeX(o.t2, second);
    },
  }),
  instruction({
    name: "STXR_ldstexclr",
    encoding: "size:2 001000 0 0 0 Rs:5 o0:1 sboRt2:5 Rn:5 Rt:5",
    assembly: "{o0,size:stxrb/stxrh/stxr/stxr/stlxrb/stlxrh/stlxr/stlxr} <W Rs>, <Rsize Rt size>, [<XS Rn>]",
    manual: "C6.2 STXR, STLXR and siblings",
    operands: ({ size, Rs, Rn, Rt }) => ({ bytes: bytesOf(size), status: x(Rs), t: x(Rt), base: base(Rn) }),
    execute: (o, s) => s.writeW(o.status, s.storeExclusive(s.address(o.base), o.bytes, s.readX(o.t))),
  }),
  instruction({
    name: "STXP_ldstexclp",
    encoding: "1 sz:1 001000 0 0 1 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5",
    assembly: "{o0:stxp/stlxp} <W Rs>, <R Rt sz>, <R Rt2 sz>, [<XS Rn>]",
    manual: "C6.2 STXP, STLXP",
    operands: ({ sz, Rs, Rn, Rt, Rt2 }) => ({
      bytes: sz ? (8 as const) : (4 as const),
      status: x(Rs),
      t: x(Rt),
      t2: x(Rt2),
      base: base(Rn),
    }),
    execute: (o, s) => {
      const address = s.address(o.base);
      s.writeW(o.status, s.storeExclusive(address, o.bytes, s.readX(o.t), s.readX(o.t2)));
    },
  }),
] as const;
