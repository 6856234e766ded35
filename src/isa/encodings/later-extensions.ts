import { instruction } from "../instruction.ts";

const pointerAuthentication = [
  instruction({
    name: "PAC_AUT_dp_1src",
    encoding: "1 1 0 11010110 00001 000 op:1 data:1 key:1 Rn:5 Rd:5",
    assembly: "{op:pac/aut}{data:i/d}{key:a/b} <X Rd>, <XS Rn>",
    manual: "C6.2 PACIA and siblings",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "PACZ_AUTZ_dp_1src",
    encoding: "1 1 0 11010110 00001 001 op:1 data:1 key:1 11111 Rd:5",
    assembly: "{op:pac/aut}{data:i/d}z{key:a/b} <X Rd>",
    manual: "C6.2 PACIA and siblings",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "XPAC_dp_1src",
    encoding: "1 1 0 11010110 00001 01000 D:1 11111 Rd:5",
    assembly: "{D:xpaci/xpacd} <X Rd>",
    manual: "C6.2 XPACD, XPACI, XPACLRI",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "PACGA_dp_2src",
    encoding: "1 0 0 11010110 Rm:5 001100 Rn:5 Rd:5",
    assembly: "pacga <X Rd>, <X Rn>, <XS Rm>",
    manual: "C6.2 PACGA",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "BRA_BLRA_branch_reg",
    encoding: "1101011 1 00 op:1 11111 00001 M:1 Rn:5 Rm:5",
    assembly: "{op:br/blr}{M:aa/ab} <X Rn>, <XS Rm>",
    manual: "C6.2 BRAA, BLRAA",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "BRAZ_BLRAZ_branch_reg",
    encoding: "1101011 0 00 op:1 11111 00001 M:1 Rn:5 11111",
    assembly: "{op:br/blr}{M:aaz/abz} <X Rn>",
    manual: "C6.2 BRAA, BLRAA",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "RETA_branch_reg",
    encoding: "1101011 0 010 11111 00001 M:1 11111 11111",
    assembly: "{M:retaa/retab}",
    manual: "C6.2 RETAA",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "ERETA_branch_reg",
    encoding: "1101011 0 100 11111 00001 M:1 11111 11111",
    assembly: "{M:eretaa/eretab}",
    manual: "C6.2 ERETAA",
    feature: "FEAT_PAuth",
  }),
  instruction({
    name: "LDRA_ldst_pac",
    encoding: "11 111 0 00 M:1 S:1 1 imm9:9 W:1 1 Rn:5 Rt:5",
    assembly: [
      { when: ({ W }) => W === 0, template: "{M:ldraa/ldrab} <X Rt>, [<XS Rn><soffset10 S imm9>]" },
      { when: () => true, template: "{M:ldraa/ldrab} <X Rt>, [<XS Rn><soffset10 S imm9>]!<same W 1>" },
    ],
    manual: "C6.2 LDRAA",
    feature: "FEAT_PAuth",
  }),
];

const flagManipulation = [
  instruction({
    name: "CFINV_pstate",
    encoding: "1101010100 0 00 000 0100 0000 000 11111",
    assembly: "cfinv",
    manual: "C6.2 CFINV",
    feature: "FEAT_FlagM",
  }),
  instruction({
    name: "XAFLAG_AXFLAG_pstate",
    encoding: "1101010100 0 00 000 0100 0000 0 op:2 11111",
    assembly: "{op:-/xaflag/axflag/-}",
    manual: "C6.2 AXFLAG, XAFLAG",
    feature: "FEAT_FlagM2",
    where: ({ op }) => op === 1 || op === 2,
  }),
  instruction({
    name: "RMIF_rmif",
    encoding: "1 0 1 11010000 imm6:6 00001 Rn:5 0 mask:4",
    assembly: "rmif <X Rn>, #<dec imm6>, #<dec mask>",
    manual: "C6.2 RMIF",
    feature: "FEAT_FlagM",
  }),
  instruction({
    name: "SETF_setf",
    encoding: "0 0 1 11010000 000000 sz:1 0010 Rn:5 0 1101",
    assembly: "{sz:setf8/setf16} <W Rn>",
    manual: "C6.2 SETF8, SETF16",
    feature: "FEAT_FlagM",
  }),
];

const memoryTagging = [
  instruction({
    name: "ADDG_SUBG_addsub_immtags",
    encoding: "1 op:1 0 100011 0 uimm6:6 00 uimm4:4 Xn:5 Xd:5",
    assembly: "{op:addg/subg} <XS Xd>, <XS Xn>, #<hex16 uimm6>, #<hex uimm4>",
    manual: "C6.2 ADDG, SUBG",
    feature: "FEAT_MTE",
  }),
  instruction({
    name: "IRG_dp_2src",
    encoding: "1 0 0 11010110 Xm:5 000100 Xn:5 Xd:5",
    assembly: [
      { when: ({ Xm }) => Xm === 31, template: "irg <XS Xd>, <XS Xn><same Xm 31>" },
      { when: () => true, template: "irg <XS Xd>, <XS Xn>, <X Xm>" },
    ],
    manual: "C6.2 IRG",
    feature: "FEAT_MTE",
  }),
  instruction({
    name: "GMI_dp_2src",
    encoding: "1 0 0 11010110 Xm:5 000101 Xn:5 Xd:5",
    assembly: "gmi <X Xd>, <XS Xn>, <X Xm>",
    manual: "C6.2 GMI",
    feature: "FEAT_MTE",
  }),
  instruction({
    name: "SUBP_dp_2src",
    encoding: "1 0 S:1 11010110 Xm:5 000000 Xn:5 Xd:5",
    assembly: "{S:subp/subps} <X Xd>, <XS Xn>, <XS Xm>",
    manual: "C6.2 SUBP, SUBPS",
    feature: "FEAT_MTE",
  }),
  instruction({
    name: "LDG_ldsttags",
    encoding: "11011001 01 1 imm9:9 00 Xn:5 Xt:5",
    assembly: "ldg <X Xt>, [<XS Xn><tagOffset imm9>]",
    manual: "C6.2 LDG",
    feature: "FEAT_MTE",
  }),
  instruction({
    name: "STG_ldsttags",
    encoding: "11011001 opc:2 1 imm9:9 op2:2 Xn:5 Xt:5",
    assembly: [
      {
        when: ({ op2 }) => op2 === 1,
        template: "{opc:stg/stzg/st2g/stz2g} <XS Xt>, [<XS Xn>]<wtagOffset imm9><same op2 1>",
      },
      {
        when: ({ op2 }) => op2 === 2,
        template: "{opc:stg/stzg/st2g/stz2g} <XS Xt>, [<XS Xn><tagOffset imm9>]<same op2 2>",
      },
      {
        when: () => true,
        template: "{opc:stg/stzg/st2g/stz2g} <XS Xt>, [<XS Xn><wtagOffset imm9>]!<same op2 3>",
      },
    ],
    manual: "C6.2 STG, STZG, ST2G, STZ2G",
    feature: "FEAT_MTE",
    where: ({ op2 }) => op2 !== 0,
  }),
  instruction({
    name: "LDGM_STGM_ldsttags",
    encoding: "11011001 opc:2 1 000000000 00 Xn:5 Xt:5",
    assembly: "{opc:stzgm/-/stgm/ldgm} <X Xt>, [<XS Xn>]",
    manual: "C6.2 LDGM, STGM, STZGM",
    feature: "FEAT_MTE2",
    where: ({ opc }) => opc !== 1,
  }),
  ...(
    [
      ["post", "0110100 01 0 imm7:7 Xt2:5 Xn:5 Xt:5", "[<XS Xn>]<wtagOffset7 imm7>"],
      ["off", "0110100 10 0 imm7:7 Xt2:5 Xn:5 Xt:5", "[<XS Xn><tagOffset7 imm7>]"],
      ["pre", "0110100 11 0 imm7:7 Xt2:5 Xn:5 Xt:5", "[<XS Xn><wtagOffset7 imm7>]!"],
    ] as const
  ).map(([suffix, encoding, address]) =>
    instruction({
      name: `STGP_ldstpair_${suffix}`,
      encoding,
      assembly: `stgp <X Xt>, <X Xt2>, ${address}`,
      manual: "C6.2 STGP",
      feature: "FEAT_MTE",
    }),
  ),
];

const loadAcquireUnscaled = [
  instruction({
    name: "LDAPUR_STLUR_ldapstl_unscaled",
    encoding: "size:2 011001 opc:2 0 imm9:9 00 Rn:5 Rt:5",
    assembly:
      "{size,opc:stlurb/ldapurb/ldapursb/ldapursb/stlurh/ldapurh/ldapursh/ldapursh/stlur/ldapur/ldapursw/-/stlur/ldapur/-/-} <Rt Rt size opc>, [<XS Rn><soffset9 imm9>]",
    manual: "C6.2 LDAPUR, STLUR and siblings",
    feature: "FEAT_LRCPC2",
    where: ({ size, opc }) => opc < 2 || size + (opc & 1) < 3,
  }),
];

const various = [
  instruction({
    name: "SB_barriers",
    encoding: "11010101000000110011 0000 111 11111",
    assembly: "sb",
    manual: "C6.2 SB",
    feature: "FEAT_SB",
  }),
  instruction({
    name: "DSB_nXS_barriers",
    encoding: "11010101000000110011 domain:2 10 001 11111",
    assembly: ["osh", "nsh", "ish", "sy"].map((text, value) => ({
      when: ({ domain }: { readonly domain: number }) => domain === value,
      template: `dsb ${text}nxs<same domain ${value}>`,
    })),
    manual: "C6.2 DSB",
    feature: "FEAT_XS",
  }),
  ...(
    [
      ["MSR_imm_dit", "FEAT_DIT", 2],
      ["MSR_imm_tco", "FEAT_MTE", 4],
    ] as const
  ).map(([name, feature, field]) =>
    instruction({
      name,
      encoding: "1101010100 0 00 op1:3 0100 CRm:4 op2:3 11111",
      assembly: "msr <pstate op1 op2>, #<hex CRm>",
      manual: "C6.2 MSR (immediate)",
      feature,
      where: ({ op1, op2 }) => op1 === 3 && op2 === field,
    }),
  ),
  instruction({
    name: "WFET_WFIT_systeminstrswithreg",
    encoding: "11010101000000110001 0000 00 op:1 Rd:5",
    assembly: "{op:wfet/wfit} <X Rd>",
    manual: "C6.2 WFET, WFIT",
    feature: "FEAT_WFxT",
  }),
  instruction({
    name: "BC_only_condbranch",
    encoding: "01010100 imm19:19 1 cond:4",
    assembly: "bc.{cond:eq/ne/cs/cc/mi/pl/vs/vc/hi/ls/ge/lt/gt/le/al/nv} <label imm19 19>",
    manual: "C6.2 BC.cond",
    feature: "FEAT_HBC",
  }),
  instruction({
    name: "LD64B_memop",
    encoding: "11 111 0 00 0 0 1 11111 1 101 00 Rn:5 Rt:5",
    assembly: "ld64b <X Rt>, [<XS Rn>]",
    manual: "C6.2 LD64B",
    feature: "FEAT_LS64",
    where: ({ Rt }) => Rt < 24 && (Rt & 1) === 0,
  }),
  instruction({
    name: "ST64B_memop",
    encoding: "11 111 0 00 0 0 1 11111 1 001 00 Rn:5 Rt:5",
    assembly: "st64b <X Rt>, [<XS Rn>]",
    manual: "C6.2 ST64B",
    feature: "FEAT_LS64",
    where: ({ Rt }) => Rt < 24 && (Rt & 1) === 0,
  }),
  instruction({
    name: "ST64BV_memop",
    encoding: "11 111 0 00 0 0 1 Rs:5 1 01 op:1 00 Rn:5 Rt:5",
    assembly: "{op:st64bv0/st64bv} <X Rs>, <X Rt>, [<XS Rn>]",
    manual: "C6.2 ST64BV, ST64BV0",
    feature: "FEAT_LS64_V",
    where: ({ Rt }) => Rt < 24 && (Rt & 1) === 0,
  }),
  instruction({
    name: "TSTART_TTEST_systemresult",
    encoding: "1101010100 1 00 011 0011 000 op:1 011 Rt:5",
    assembly: "{op:tstart/ttest} <X Rt>",
    manual: "C6.2 TSTART, TTEST",
    feature: "FEAT_TME",
  }),
  instruction({
    name: "TCOMMIT_barriers",
    encoding: "11010101000000110011 0000 011 11111",
    assembly: "tcommit",
    manual: "C6.2 TCOMMIT",
    feature: "FEAT_TME",
  }),
  instruction({
    name: "TCANCEL_exception",
    encoding: "11010100 011 imm16:16 000 00",
    assembly: "tcancel #<dec imm16>",
    manual: "C6.2 TCANCEL",
    feature: "FEAT_TME",
  }),
];

const commonShortSequences = [
  instruction({
    name: "ABS_CNT_CTZ_dp_1src",
    encoding: "sf:1 1 0 11010110 00000 opcode:6 Rn:5 Rd:5",
    assembly: ["ctz", "cnt", "abs"].map((mnemonic, index) => ({
      when: ({ opcode }: { readonly opcode: number }) => opcode === 6 + index,
      template: `${mnemonic} <R Rd sf>, <R Rn sf><same opcode ${6 + index}>`,
    })),
    manual: "C6.2 ABS, CNT, CTZ",
    feature: "FEAT_CSSC",
    where: ({ opcode }) => opcode >= 6 && opcode <= 8,
  }),
  instruction({
    name: "MAX_MIN_dp_2src",
    encoding: "sf:1 0 0 11010110 Rm:5 0110 min:1 U:1 Rn:5 Rd:5",
    assembly: "{U:s/u}{min:max/min} <R Rd sf>, <R Rn sf>, <R Rm sf>",
    manual: "C6.2 SMAX (register) and siblings",
    feature: "FEAT_CSSC",
  }),
  ...([0, 1] as const).map((unsigned) =>
    instruction({
      name: unsigned ? "UMAX_UMIN_minmax_imm" : "SMAX_SMIN_minmax_imm",
      encoding: unsigned
        ? "sf:1 0 0 100011 1 00 min:1 1 imm8:8 Rn:5 Rd:5"
        : "sf:1 0 0 100011 1 00 min:1 0 imm8:8 Rn:5 Rd:5",
      assembly: unsigned
        ? "{min:umax/umin} <R Rd sf>, <R Rn sf>, #<dec imm8>"
        : "{min:smax/smin} <R Rd sf>, <R Rn sf>, #<sdec imm8 8>",
      manual: "C6.2 SMAX (immediate) and siblings",
      feature: "FEAT_CSSC",
    }),
  ),
];

const differ = (...registers: number[]): boolean => new Set(registers).size === registers.length;

const memoryOperations = [
  instruction({
    name: "CPY_memcms",
    encoding: "00 011 o0:1 01 op1:2 0 Rs:5 op2:4 01 Rn:5 Rd:5",
    assembly:
      "{o0:cpyf/cpy}{op1:p/m/e/-}{op2:/wt/rt/t/wn/wtwn/rtwn/twn/rn/wtrn/rtrn/trn/n/wtn/rtn/tn} [<X Rd>]!, [<X Rs>]!, <X Rn>!",
    manual: "C6.2 CPYFP, CPYP and siblings",
    feature: "FEAT_MOPS",
    where: ({ op1, Rs, Rn, Rd }) => op1 !== 3 && differ(Rs, Rn, Rd, 31),
  }),
  instruction({
    name: "SET_memcms",
    encoding: "00 011 o0:1 01 11 0 Rs:5 stage:2 options:2 01 Rn:5 Rd:5",
    assembly: "{o0:set/setg}{stage:p/m/e/-}{options:/t/n/tn} [<X Rd>]!, <X Rn>!, <X Rs>",
    manual: "C6.2 SETGP, SETP and siblings",
    feature: "FEAT_MOPS",
    where: ({ stage, Rs, Rn, Rd }) => stage !== 3 && differ(Rn, Rd, 31) && Rs !== Rn && Rs !== Rd,
  }),
];

/**
 * Base instructions of extensions that are not implemented: known to the disassembler, UNDEFINED to the
 * processor. Implementing one means giving its row operands and a meaning.
 */
export const rows = [
  ...pointerAuthentication,
  ...flagManipulation,
  ...memoryTagging,
  ...loadAcquireUnscaled,
  ...various,
  ...commonShortSequences,
  ...memoryOperations,
] as const;
