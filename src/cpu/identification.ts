import type { Feature } from "../isa/instruction.ts";
import { BREAKPOINTS, CONTEXT_BREAKPOINTS, WATCHPOINTS } from "../isa/system-registers/debug.ts";
import type { StoredRegisterName } from "../isa/system-registers/table.ts";
import { CRYPTOGRAPHY_FEATURES, IDENTIFICATION_FIELDS, type ProcessorOptions } from "./feature-set.ts";

/**
 * Main identifier: implementer 0 ("software use"), architecture by the feature registers, part 0x051: what
 * QEMU's `max` says, too. No erratum of any core is attached to it.
 */
export const MAIN_IDENTIFIER = 0x000f_0510n;

/** Physical addresses have 44 bits, as on Cortex-A57: enough for the high PCI windows of `virt`. */
export const PHYSICAL_ADDRESS_BITS = 44;
const PHYSICAL_ADDRESS_RANGE = 4n;

/** Bytes that DC ZVA zeroes, and a cache line: log2 in words for DCZID_EL0 and CTR_EL0. */
export const CACHE_LINE_BYTES = 64;
const CACHE_LINE_WORDS_LOG2 = 4n;

/** DCZID_EL0.BS. */
export const ZERO_BLOCK_ID = CACHE_LINE_WORDS_LOG2;

/**
 * CTR_EL0: DIC and IDC, since writes to code are noticed by themselves; CWG and ERG one line; L1Ip PIPT;
 * lines of 64 bytes.
 */
const CACHE_TYPE =
  (1n << 31n) |
  (1n << 29n) |
  (1n << 28n) |
  (CACHE_LINE_WORDS_LOG2 << 24n) |
  (CACHE_LINE_WORDS_LOG2 << 20n) |
  (CACHE_LINE_WORDS_LOG2 << 16n) |
  (3n << 14n) |
  CACHE_LINE_WORDS_LOG2;

/**
 * CLIDR_EL1: separate caches at level 1, a unified one at level 2; LoC 2, no level of unification needed
 * (IDC). They do not exist; CCSIDR_EL1 describes the sizes of a Cortex-A57.
 */
const CACHE_LEVELS = 3n | (4n << 3n) | (2n << 24n);

interface CacheShape {
  readonly level: number;
  readonly instruction: boolean;
  readonly sets: number;
  readonly ways: number;
}

const CACHES: readonly CacheShape[] = [
  { level: 0, instruction: false, sets: 256, ways: 2 },
  { level: 0, instruction: true, sets: 256, ways: 3 },
  { level: 1, instruction: false, sets: 2048, ways: 16 },
];

/** CCSIDR_EL1 for what CSSELR_EL1 selects; zero for a cache that CLIDR_EL1 does not have. */
export function cacheSize(selector: bigint): bigint {
  const level = Number((selector >> 1n) & 7n);
  const instruction = (selector & 1n) === 1n;
  const cache = CACHES.find((shape) => shape.level === level && shape.instruction === instruction);
  if (cache === undefined) return 0n;
  const lineSize = CACHE_LINE_WORDS_LOG2 - 2n;
  return (BigInt(cache.sets - 1) << 13n) | (BigInt(cache.ways - 1) << 3n) | lineSize;
}

/** MPIDR_EL1 of the element with this index: 16 to a cluster, as on QEMU's `virt` with a GICv3. */
export function multiprocessorAffinity(index: number): bigint {
  return (1n << 31n) | (BigInt(index >> 4) << 8n) | BigInt(index & 15);
}

/** Values of the identification registers that are kept in slots. */
export function identificationValues(
  features: ReadonlySet<Feature>,
  options: ProcessorOptions,
): ReadonlyMap<StoredRegisterName, bigint> {
  const shown = new Set(features);
  if (!options.showCryptography) for (const feature of CRYPTOGRAPHY_FEATURES) shown.delete(feature);
  const values = new Map<StoredRegisterName, bigint>([
    ["ID_AA64PFR0_EL1", 0x11n | (options.virtualization ? 1n << 8n : 0n) | (options.secure ? 1n << 12n : 0n)],
    [
      "ID_AA64DFR0_EL1",
      (BigInt(BREAKPOINTS - 1) << 12n) |
        (BigInt(WATCHPOINTS - 1) << 20n) |
        (BigInt(CONTEXT_BREAKPOINTS - 1) << 28n),
    ],
    // ASIDs of 16 bits, both byte orders at every level, Secure memory with EL3, all three granules.
    [
      "ID_AA64MMFR0_EL1",
      PHYSICAL_ADDRESS_RANGE | (2n << 4n) | (1n << 8n) | (options.secure ? 1n << 12n : 0n) | (1n << 20n),
    ],
    ["CTR_EL0", CACHE_TYPE],
    ["CLIDR_EL1", CACHE_LEVELS],
  ]);
  for (const { register, low, none, values: cases } of IDENTIFICATION_FIELDS) {
    let value = none;
    for (const [feature, meaning] of cases) if (shown.has(feature)) value = meaning;
    values.set(register, (values.get(register) ?? 0n) | (BigInt(value) << BigInt(low)));
  }
  return values;
}
