/**
 * Where a processing element keeps its state in the machine's linear memory, as byte offsets from the
 * element's base address. Generated code, the interpreter and TypeScript all read this table, so several
 * elements, on one thread or on several, differ only in their base.
 */
export const PE_LAYOUT = {
  /** X0 to X30, 8 bytes each. */
  X: 0,
  /** Always zero: what register 31 reads as where it names XZR. */
  ZERO: 31 * 8,
  /** The stack pointer in use (of the current EL and SPSel); the others are in SP_BANK. */
  SP: 32 * 8,
  /** Where writes to XZR go. */
  SINK: 33 * 8,
  /** Virtual address of the next instruction, valid outside generated code, 8 bytes. */
  PC: 34 * 8,
  /** Condition flags in four parts: N is the sign of the first i64, Z is "the second i64 is zero". */
  FLAG_N: 35 * 8,
  FLAG_Z: 36 * 8,
  /** C is the third i64, 0 or 1. V is the sign of the fourth i64. */
  FLAG_C: 37 * 8,
  FLAG_V: 38 * 8,
  /** V0 to V31, 16 bytes each, little-endian lanes. */
  V: 512,
  /** FPCR and FPSR (without the flags above), u32 each. */
  FPCR: 1024,
  FPSR: 1028,
  /** PSTATE fields, u32 each: EL 0-3, SP 0-1, DAIF as in bits 3:0 = D A I F, PAN, UAO, SS, IL, nRW. */
  EL: 1032,
  SPSEL: 1036,
  DAIF: 1040,
  PAN: 1044,
  UAO: 1048,
  SS: 1052,
  IL: 1056,
  NRW: 1060,
  /** 1 when SCR_EL3.NS makes the current state Non-secure (always 1 without EL3). */
  NON_SECURE: 1064,
  /** u32, 0 or 0x8000_0000: something other than instructions wants this element (interrupt, stop, ...). */
  ATTENTION: 1068,
  /** i32 index of the soft-TLB bank in use, for ordinary and for unprivileged (LDTR, STTR) accesses: byte addresses. */
  TLB_BANK: 1072,
  TLB_BANK_UNPRIVILEGED: 1076,
  /** u32, 1 when data accesses are big-endian (SCTLR_ELx.EE, .E0E). */
  BIG_ENDIAN: 1080,
  /** Exclusive monitor: u32 host address (0 = open), u32 size, then 16 bytes of the value read. */
  EXCLUSIVE_ADDRESS: 1084,
  EXCLUSIVE_SIZE: 1088,
  EXCLUSIVE_VALUE: 1096,
  /** Instructions completed since reset, u64. */
  INSTRUCTIONS: 1112,
  /** 64 bytes through which slow loads and stores hand over values. */
  SCRATCH: 1152,
  /** u32: floating-point enabled at the current EL (CPACR_EL1.FPEN, CPTR_EL2, CPTR_EL3 folded together). */
  FP_ENABLED: 1216,
  /** u32: why the last run ended (engine). */
  EXIT_REASON: 1220,
  /**
   * i32: instructions left in the engine's current run; 0 outside of it. INSTRUCTIONS is counted up by the
   * whole budget when a run begins, so "instructions so far" is always INSTRUCTIONS - FUEL.
   */
  FUEL: 1224,
  /** u32: which conditions of cpu/fast-registers.ts hold, one bit each. */
  FAST_REGISTERS: 1228,
  /** SP_EL0 to SP_EL3, 8 bytes each; the one in use is stale here, see SP. */
  SP_BANK: 1232,
  /** PSTATE.SSBS and the event register of WFE and SEV, u32 each: 0 or 1. */
  SSBS: 1264,
  EVENT: 1268,
  /** One u64 for each system register with storage, in table order. */
  SYSTEM_REGISTERS: 2048,
  /**
   * From here on what a reset of the element leaves alone.
   * Guest write buffer (memory/guest-write-buffer.ts): u32 address of record 0, and two u32 that count records.
   */
  GWB_RING: 16256,
  GWB_PRODUCED: 16260,
  GWB_CONSUMED: 16264,
  /** u32: 1 where generated code may append records by itself. */
  GWB_DIRECT: 16268,
  /**
   * How a miss of the soft TLB finds a shadow table: SHADOW_HALF.SIZE bytes for lower addresses, then for upper
   * ones (mmu/shadow/miss-module.ts).
   */
  SHADOW_HALVES: 16272,
  /** i32, for ordinary and for unprivileged accesses: which fast permission bits of a shadow leaf count, -1 none. */
  SHADOW_MODE: 16304,
  SHADOW_MODE_UNPRIVILEGED: 16308,
  /** u32: SHADOW_LEAF of the regime in use. */
  SHADOW_LEAF: 16320,
  /** Misses of the soft TLB that generated code served from shadow tables, u64. */
  SHADOW_FILLS: 16312,
  /**
   * The counters below EL2 as the current level sees them (cpu/inline-counters.ts), for ticks t of the machine's clock:
   * i64 START + ((t - FROM) * FACTOR >> 48), where FACTOR is below 2^55.
   */
  COUNTER_FROM: 16328,
  COUNTER_FACTOR: 16336,
  COUNTER_PHYSICAL_START: 16344,
  COUNTER_VIRTUAL_START: 16352,
  /** Bytes reserved for one element. */
  SIZE: 16384,
} as const;

/**
 * Where two pages that a program uses all the time share an entry, each use of one misses: with 4,096 entries one of
 * four runs of perl (its work in `npm run bench -- perl`), as addresses are random, and it took three times as long.
 */
const ENTRIES = 16384;
const ENTRY_SIZE = 32;

/**
 * The soft TLB: banks of direct-mapped entries. The entry of a virtual address is at
 * `bank + (((va >> 12) & (ENTRIES - 1)) << 5)`. A tag equals the page's address (`va & ~0xfff`, top byte
 * included) when that access may proceed at `low32(va) + ADDEND` in linear memory, and is INVALID (-1)
 * otherwise: devices, traced frames (for writes) and missing permissions never have a tag. In 1,000
 * instructions of python3 there were 4.0 walks with a quarter of the entries, and 0.2 with so many (single runs of
 * `npm run bench -- python3`); runs differ much, as where Linux places a program decides which pages share an entry.
 */
export const SOFT_TLB = {
  ENTRIES,
  ENTRY_SIZE,
  BANK_SIZE: ENTRIES * ENTRY_SIZE,
  /** i64 each. */
  READ_TAG: 0,
  WRITE_TAG: 8,
  EXECUTE_TAG: 16,
  /** i32: host address minus low 32 bits of the virtual address. */
  ADDEND: 24,
  /** i32: address of the page's predecoded records (engine), meaningful when EXECUTE_TAG matches. */
  RECORDS: 28,
} as const;

/** What lies behind a bank's entries: facts for whoever drops some, as offsets from the bank's address. */
export const TLB_BANK_FACTS = {
  /** u32 of TLB_BANK_STATE. */
  STATE: SOFT_TLB.BANK_SIZE,
  /** A byte for each entry: log2 of the bytes of its stage 1 mapping. */
  SHIFTS: SOFT_TLB.BANK_SIZE + 64,
  SIZE: 64 + ENTRIES,
} as const;

/** What entries may be in a bank; all are clear when it is empty. */
export const TLB_BANK_STATE = {
  FILLED: 1 << 0,
  GLOBAL: 1 << 1,
  NOT_GLOBAL: 1 << 2,
  /** Of the lower half of addresses. */
  LOWER: 1 << 3,
  /** Filled by generated code: more entries than are listed. */
  MANY: 1 << 4,
  /** Blocks that are not listed. */
  BLOCKS: 1 << 5,
  /** An entry came from tables that are not watched. */
  NOT_COHERENT: 1 << 6,
} as const;

/** How SHADOW_LEAF says what the descriptors of pages mean. */
export const SHADOW_LEAF = {
  /** Bits 7:0: MAIR attributes that are Device types. */
  DEVICES: 0xff,
  /** Pages may be markable as dirty: their writes are the host's to serve. */
  HARDWARE_DIRTY: 1 << 8,
  /** There is an EL0 in the regime. */
  TWO_PRIVILEGES: 1 << 9,
  /** Bits 31:16 must be zero in a descriptor's bits 47:32. */
  OUTPUT_CHECK_SHIFT: 16,
} as const;

/** One of a processing element's SHADOW_HALVES, u32 each. */
export const SHADOW_HALF = {
  SIZE: 16,
  /** Address of the root's shadow, 0 while there is none. */
  ROOT: 0,
  /** Position of the first level's index, and the mask over it, with PRIVILEGED_ONLY. */
  SHIFT: 4,
  MASK: 8,
  /** In MASK: unprivileged accesses fault (E0PD). */
  PRIVILEGED_ONLY: 1 << 31,
  /** Bits 63:32 that must equal the half's sign. */
  CHECK: 12,
} as const;
