import { describe, expect, it } from "vitest";
import type { Feature } from "../isa/instruction.ts";
import { featureSet } from "./feature-set.ts";
import { identificationValues } from "./identification.ts";

const INSTRUCTIONS: readonly Feature[] = [
  "FEAT_AES",
  "FEAT_PMULL",
  "FEAT_SHA1",
  "FEAT_SHA256",
  "FEAT_CRC32",
  "FEAT_LSE",
  "FEAT_RDM",
  "FEAT_LRCPC",
];

function values(options: { secure?: boolean; virtualization?: boolean; showCryptography?: boolean } = {}) {
  const all = { secure: true, virtualization: true, ...options };
  const found = identificationValues(featureSet(INSTRUCTIONS, all), all);
  return (name: Parameters<typeof found.get>[0], low: number) =>
    Number(((found.get(name) ?? 0n) >> BigInt(low)) & 15n);
}

describe("identification registers", () => {
  it("say nothing of instructions that are not implemented", () => {
    const field = values();
    for (const low of [12, 32, 36, 40, 44, 48, 52, 56, 60])
      expect(field("ID_AA64ISAR0_EL1", low) % 2).toBe(0);
    expect(field("ID_AA64ISAR1_EL1", 4)).toBe(0);
    expect(field("ID_AA64PFR0_EL1", 16)).toBe(0);
    expect(field("ID_AA64PFR0_EL1", 32)).toBe(0);
  });

  it("hide the cryptographic instructions until told otherwise", () => {
    expect([4, 8, 12].map((low) => values()("ID_AA64ISAR0_EL1", low))).toEqual([0, 0, 0]);
    const shown = values({ showCryptography: true });
    expect([4, 8, 12].map((low) => shown("ID_AA64ISAR0_EL1", low))).toEqual([2, 1, 1]);
  });

  it("show the exception levels there are", () => {
    const levels = (field: ReturnType<typeof values>) =>
      [0, 4, 8, 12].map((low) => field("ID_AA64PFR0_EL1", low));
    expect(levels(values())).toEqual([1, 1, 1, 1]);
    expect(levels(values({ secure: false, virtualization: false }))).toEqual([1, 1, 0, 0]);
    expect(values({ virtualization: false })("ID_AA64MMFR1_EL1", 8)).toBe(0);
  });

  it("give Linux no reason for page-table isolation", () => {
    expect(values()("ID_AA64PFR0_EL1", 60)).toBe(1);
    expect(values()("ID_AA64MMFR2_EL1", 60)).toBe(1);
  });

  it("have the base that every kernel expects", () => {
    const field = values();
    expect(field("ID_AA64ISAR0_EL1", 20)).toBe(2);
    expect(field("ID_AA64MMFR0_EL1", 0)).toBe(4);
    expect(field("ID_AA64MMFR0_EL1", 20)).toBe(1);
    expect(field("ID_AA64DFR0_EL1", 0)).toBe(7);
  });
});
