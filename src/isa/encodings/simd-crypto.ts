import { type Feature, type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import { aesDecrypt, aesEncrypt, aesInverseMixColumns, aesMixColumns } from "../pseudocode/vector-aes.ts";
import {
  sha1FixedRotate,
  sha1Rounds,
  sha1Schedule0,
  sha1Schedule1,
  sha256Rounds,
  sha256Schedule0,
  sha256Schedule1,
} from "../pseudocode/vector-sha.ts";
import type { Semantics, V128 } from "../semantics.ts";

type TwoMeaning = (s: Semantics, d: V128, n: V128) => V128;
type ThreeMeaning = (s: Semantics, d: V128, n: V128, m: V128) => V128;

function twoRegisters(
  name: string,
  feature: Feature,
  encoding: `${string} Rn:5 Rd:5`,
  operands: string,
  meaning: TwoMeaning,
): Instruction {
  const mnemonic = name.split("_")[0]!;
  return instruction({
    name,
    encoding,
    assembly: `${mnemonic.toLowerCase()} ${operands}`,
    manual: `C7.2 ${mnemonic}`,
    feature,
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: v(Rd), n: v(Rn) }),
    execute: (o, s) => s.writeV(o.d, meaning(s, s.readV(o.d), s.readV(o.n))),
  });
}

const STATE = "<V16b Rd>, <V16b Rn>";
const WORDS = "<V4s Rd>, <V4s Rn>";

const aes = (name: string, opcode: string, meaning: TwoMeaning): Instruction =>
  twoRegisters(`${name}_B_cryptoaes`, "FEAT_AES", `01001110 00 10100 ${opcode} 10 Rn:5 Rd:5`, STATE, meaning);

function sha(
  name: string,
  feature: Feature,
  opcode: string,
  operands: string,
  meaning: ThreeMeaning,
): Instruction {
  const mnemonic = name.split("_")[0]!;
  return instruction({
    name,
    encoding: `01011110 000 Rm:5 0 ${opcode} 00 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} ${operands}`,
    manual: `C7.2 ${mnemonic}`,
    feature,
    simd: true,
    operands: ({ Rm, Rn, Rd }) => ({ d: v(Rd), n: v(Rn), m: v(Rm) }),
    execute: (o, s) => s.writeV(o.d, meaning(s, s.readV(o.d), s.readV(o.n), s.readV(o.m))),
  });
}

const HASH_1 = "<Q Rd>, <S Rn>, <V4s Rm>";
const HASH_256 = "<Q Rd>, <Q Rn>, <V4s Rm>";
const THREE_WORDS = "<V4s Rd>, <V4s Rn>, <V4s Rm>";

/** Cryptographic AES, SHA-1 and SHA-256. */
export const rows: readonly Instruction[] = [
  aes("AESE", "00100", aesEncrypt),
  aes("AESD", "00101", aesDecrypt),
  aes("AESMC", "00110", (s, _, n) => aesMixColumns(s, n)),
  aes("AESIMC", "00111", (s, _, n) => aesInverseMixColumns(s, n)),
  sha("SHA1C_QSV_cryptosha3", "FEAT_SHA1", "000", HASH_1, (s, d, n, m) => sha1Rounds(s, "choose", d, n, m)),
  sha("SHA1P_QSV_cryptosha3", "FEAT_SHA1", "001", HASH_1, (s, d, n, m) => sha1Rounds(s, "parity", d, n, m)),
  sha("SHA1M_QSV_cryptosha3", "FEAT_SHA1", "010", HASH_1, (s, d, n, m) => sha1Rounds(s, "majority", d, n, m)),
  sha("SHA1SU0_VVV_cryptosha3", "FEAT_SHA1", "011", THREE_WORDS, sha1Schedule0),
  sha("SHA256H_QQV_cryptosha3", "FEAT_SHA256", "100", HASH_256, (s, d, n, m) =>
    sha256Rounds(s, "first", d, n, m),
  ),
  sha("SHA256H2_QQV_cryptosha3", "FEAT_SHA256", "101", HASH_256, (s, d, n, m) =>
    sha256Rounds(s, "second", n, d, m),
  ),
  sha("SHA256SU1_VVV_cryptosha3", "FEAT_SHA256", "110", THREE_WORDS, sha256Schedule1),
  twoRegisters(
    "SHA1H_SS_cryptosha2",
    "FEAT_SHA1",
    "01011110 00 10100 00000 10 Rn:5 Rd:5",
    "<S Rd>, <S Rn>",
    (s, _, n) => sha1FixedRotate(s, n),
  ),
  twoRegisters(
    "SHA1SU1_VV_cryptosha2",
    "FEAT_SHA1",
    "01011110 00 10100 00001 10 Rn:5 Rd:5",
    WORDS,
    sha1Schedule1,
  ),
  twoRegisters(
    "SHA256SU0_VV_cryptosha2",
    "FEAT_SHA256",
    "01011110 00 10100 00010 10 Rn:5 Rd:5",
    WORDS,
    sha256Schedule0,
  ),
];
