import type { StoredRegisterName } from "../../isa/system-registers/table.ts";
import type { GuestReader, ReadingSpace } from "../../mmu/guest-reader.ts";
import type { AddressSpace } from "../../mmu/translation-context.ts";

/** One processing element as introspection sees it: between two instructions, read only. */
export interface ElementView {
  readonly index: number;
  /** Exception level, program counter and vector base of EL1. */
  readonly level: number;
  readonly pc: bigint;
  readonly vectors: bigint;
  /** TTBR0_EL1, TTBR1_EL1 and TCR_EL1. */
  readonly lowerTables: bigint;
  readonly upperTables: bigint;
  readonly control: bigint;
  /** The EL1&0 regime as the hypervisor reads it; with other tables for the lower half where they are given. */
  space(lowerTables?: bigint): ReadingSpace;
  /**
   * The registers of that regime, named as at EL1, and of stage 2 where it is on, for an element that translates
   * without setting access flags and dirty state.
   */
  translationRegisters(lowerTables?: bigint): ReadonlyMap<StoredRegisterName, bigint>;
  /** Address spaces that its soft TLB holds translations of (row M6). */
  addressSpaces(): readonly AddressSpace[];
}

/** A guest's memory and elements: all that introspection knows of a guest comes through here. */
export interface GuestView {
  readonly reader: GuestReader;
  readonly elements: readonly ElementView[];
}
