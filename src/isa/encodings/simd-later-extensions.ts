import { type Feature, type Instruction, instruction } from "../instruction.ts";

/** A row of an extension that is not implemented: it disassembles, and is UNDEFINED. */
function later(feature: Feature, name: string, encoding: string, assembly: string): Instruction {
  return instruction({ name, encoding, assembly, manual: `C7.2 ${name.split("_")[0]}`, feature, simd: true });
}

const SHA512 = "<V2d Rd>, <V2d Rn>, <V2d Rm>";
const WORDS = "<V4s Rd>, <V4s Rn>, <V4s Rm>";
const FOUR_BYTES = "<V16b Rd>, <V16b Rn>, <V16b Rm>, <V16b Ra>";
const DOT = "<Vs Rd Q>, <Vb Rn Q>, <Vb Rm Q>";
const MATRIX = "<V4s Rd>, <V16b Rn>, <V16b Rm>";
const FHM = "<Vs Rd Q>, <V2hOr4h Rn Q>, <V2hOr4h Rm Q>";
const FHM_ELEMENT = "<Vs Rd Q>, <V2hOr4h Rn Q>, <Vi 1 L M Rm H>";
const BYTES_OF = "<V4bElement L M Rm H>";
const HALVES_OF = "<V2hElement L M Rm H>";

const elementRow = (U: string, size: string, opcode: string): string =>
  `0 Q:1 ${U} 01111 ${size} L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`;

/** Advanced SIMD instructions of later extensions. */
export const rows: readonly Instruction[] = [
  // Dot products and matrix multiplication of integers.
  later("FEAT_DotProd", "SDOT_asimdsame2_D", "0 Q:1 0 01110 10 0 Rm:5 1 0010 1 Rn:5 Rd:5", `sdot ${DOT}`),
  later("FEAT_DotProd", "UDOT_asimdsame2_D", "0 Q:1 1 01110 10 0 Rm:5 1 0010 1 Rn:5 Rd:5", `udot ${DOT}`),
  later("FEAT_I8MM", "USDOT_asimdsame2_D", "0 Q:1 0 01110 10 0 Rm:5 1 0011 1 Rn:5 Rd:5", `usdot ${DOT}`),
  later(
    "FEAT_DotProd",
    "SDOT_asimdelem_D",
    elementRow("0", "10", "1110"),
    `sdot <Vs Rd Q>, <Vb Rn Q>, ${BYTES_OF}`,
  ),
  later(
    "FEAT_DotProd",
    "UDOT_asimdelem_D",
    elementRow("1", "10", "1110"),
    `udot <Vs Rd Q>, <Vb Rn Q>, ${BYTES_OF}`,
  ),
  later(
    "FEAT_I8MM",
    "USDOT_asimdelem_D",
    elementRow("0", "10", "1111"),
    `usdot <Vs Rd Q>, <Vb Rn Q>, ${BYTES_OF}`,
  ),
  later(
    "FEAT_I8MM",
    "SUDOT_asimdelem_D",
    elementRow("0", "00", "1111"),
    `sudot <Vs Rd Q>, <Vb Rn Q>, ${BYTES_OF}`,
  ),
  later("FEAT_I8MM", "SMMLA_asimdsame2_G", "0 1 0 01110 10 0 Rm:5 1 0100 1 Rn:5 Rd:5", `smmla ${MATRIX}`),
  later("FEAT_I8MM", "UMMLA_asimdsame2_G", "0 1 1 01110 10 0 Rm:5 1 0100 1 Rn:5 Rd:5", `ummla ${MATRIX}`),
  later("FEAT_I8MM", "USMMLA_asimdsame2_G", "0 1 0 01110 10 0 Rm:5 1 0101 1 Rn:5 Rd:5", `usmmla ${MATRIX}`),

  // BFloat16.
  later(
    "FEAT_BF16",
    "BFDOT_asimdsame2_D",
    "0 Q:1 1 01110 01 0 Rm:5 1 1111 1 Rn:5 Rd:5",
    "bfdot <Vs Rd Q>, <Vh Rn Q>, <Vh Rm Q>",
  ),
  later(
    "FEAT_BF16",
    "BFDOT_asimdelem_E",
    elementRow("0", "01", "1111"),
    `bfdot <Vs Rd Q>, <Vh Rn Q>, ${HALVES_OF}`,
  ),
  later(
    "FEAT_BF16",
    "BFMMLA_asimdsame2_E",
    "0 1 1 01110 01 0 Rm:5 1 1101 1 Rn:5 Rd:5",
    "bfmmla <V4s Rd>, <V8h Rn>, <V8h Rm>",
  ),
  later(
    "FEAT_BF16",
    "BFMLAL_asimdsame2_F",
    "0 Q:1 1 01110 11 0 Rm:5 1 1111 1 Rn:5 Rd:5",
    "bfmlal{Q:b/t} <V4s Rd>, <V8h Rn>, <V8h Rm>",
  ),
  later(
    "FEAT_BF16",
    "BFMLAL_asimdelem_F",
    elementRow("0", "11", "1111"),
    "bfmlal{Q:b/t} <V4s Rd>, <V8h Rn>, <Vi 1 L M Rm H>",
  ),
  later(
    "FEAT_BF16",
    "BFCVTN_asimdmisc_4S",
    "0 Q:1 0 01110 10 10000 10110 10 Rn:5 Rd:5",
    "bfcvtn{Q:/2} <Vh Rd Q>, <V4s Rn>",
  ),

  // Half-precision products added to single precision.
  later("FEAT_FHM", "FMLAL_asimdsame_F", "0 Q:1 0 01110 00 1 Rm:5 11101 1 Rn:5 Rd:5", `fmlal ${FHM}`),
  later("FEAT_FHM", "FMLSL_asimdsame_F", "0 Q:1 0 01110 10 1 Rm:5 11101 1 Rn:5 Rd:5", `fmlsl ${FHM}`),
  later("FEAT_FHM", "FMLAL2_asimdsame_F", "0 Q:1 1 01110 00 1 Rm:5 11001 1 Rn:5 Rd:5", `fmlal2 ${FHM}`),
  later("FEAT_FHM", "FMLSL2_asimdsame_F", "0 Q:1 1 01110 10 1 Rm:5 11001 1 Rn:5 Rd:5", `fmlsl2 ${FHM}`),
  later("FEAT_FHM", "FMLAL_asimdelem_LH", elementRow("0", "10", "0000"), `fmlal ${FHM_ELEMENT}`),
  later("FEAT_FHM", "FMLSL_asimdelem_LH", elementRow("0", "10", "0100"), `fmlsl ${FHM_ELEMENT}`),
  later("FEAT_FHM", "FMLAL2_asimdelem_LH", elementRow("1", "10", "1000"), `fmlal2 ${FHM_ELEMENT}`),
  later("FEAT_FHM", "FMLSL2_asimdelem_LH", elementRow("1", "10", "1100"), `fmlsl2 ${FHM_ELEMENT}`),

  // SHA-512, SHA-3.
  later(
    "FEAT_SHA512",
    "SHA512H_QQV_cryptosha512_3",
    "11001110 011 Rm:5 1 0 00 00 Rn:5 Rd:5",
    "sha512h <Q Rd>, <Q Rn>, <V2d Rm>",
  ),
  later(
    "FEAT_SHA512",
    "SHA512H2_QQV_cryptosha512_3",
    "11001110 011 Rm:5 1 0 00 01 Rn:5 Rd:5",
    "sha512h2 <Q Rd>, <Q Rn>, <V2d Rm>",
  ),
  later(
    "FEAT_SHA512",
    "SHA512SU1_VVV2_cryptosha512_3",
    "11001110 011 Rm:5 1 0 00 10 Rn:5 Rd:5",
    `sha512su1 ${SHA512}`,
  ),
  later(
    "FEAT_SHA512",
    "SHA512SU0_VV2_cryptosha512_2",
    "11001110 110 00000 1 0 00 00 Rn:5 Rd:5",
    "sha512su0 <V2d Rd>, <V2d Rn>",
  ),
  later("FEAT_SHA3", "RAX1_VVV2_cryptosha512_3", "11001110 011 Rm:5 1 0 00 11 Rn:5 Rd:5", `rax1 ${SHA512}`),
  later("FEAT_SHA3", "EOR3_VVV16_crypto4", "11001110 000 Rm:5 0 Ra:5 Rn:5 Rd:5", `eor3 ${FOUR_BYTES}`),
  later("FEAT_SHA3", "BCAX_VVV16_crypto4", "11001110 001 Rm:5 0 Ra:5 Rn:5 Rd:5", `bcax ${FOUR_BYTES}`),
  later(
    "FEAT_SHA3",
    "XAR_VVV2_crypto3_imm6",
    "11001110 100 Rm:5 imm6:6 Rn:5 Rd:5",
    `xar ${SHA512}, #<dec imm6>`,
  ),

  // SM3, SM4.
  later("FEAT_SM3", "SM3SS1_VVV4_crypto4", "11001110 010 Rm:5 0 Ra:5 Rn:5 Rd:5", `sm3ss1 ${WORDS}, <V4s Ra>`),
  ...["SM3TT1A", "SM3TT1B", "SM3TT2A", "SM3TT2B"].map((mnemonic, opcode) =>
    later(
      "FEAT_SM3",
      `${mnemonic}_VVV4_crypto3_imm2`,
      `11001110 010 Rm:5 10 imm2:2 ${opcode.toString(2).padStart(2, "0")} Rn:5 Rd:5`,
      `${mnemonic.toLowerCase()} <V4s Rd>, <V4s Rn>, <V4sElement Rm imm2>`,
    ),
  ),
  later(
    "FEAT_SM3",
    "SM3PARTW1_VVV4_cryptosha512_3",
    "11001110 011 Rm:5 1 1 00 00 Rn:5 Rd:5",
    `sm3partw1 ${WORDS}`,
  ),
  later(
    "FEAT_SM3",
    "SM3PARTW2_VVV4_cryptosha512_3",
    "11001110 011 Rm:5 1 1 00 01 Rn:5 Rd:5",
    `sm3partw2 ${WORDS}`,
  ),
  later(
    "FEAT_SM4",
    "SM4EKEY_VVV4_cryptosha512_3",
    "11001110 011 Rm:5 1 1 00 10 Rn:5 Rd:5",
    `sm4ekey ${WORDS}`,
  ),
  later(
    "FEAT_SM4",
    "SM4E_VV4_cryptosha512_2",
    "11001110 110 00000 1 0 00 01 Rn:5 Rd:5",
    "sm4e <V4s Rd>, <V4s Rn>",
  ),
];
