import { Bug } from "../../base/errors.ts";
import type { Decoded } from "../../isa/decoder.ts";
import type { Operand, RegisterOperand } from "../../isa/operands.ts";
import type { Handler } from "../interpreter/handler-set.ts";

/** A set of guest registers, one bit each: X0 to X30, SP, V0 to V31, and the four flags as one. */
export type RegisterSet = bigint;

/** Bits of a {@link RegisterSet}. */
export const REGISTER_BIT = { X: 0, SP: 31, V: 32, FLAGS: 64 } as const;
/** The flags alone. */
export const FLAGS_SET: RegisterSet = 1n << BigInt(REGISTER_BIT.FLAGS);

export function hasFlags(set: RegisterSet): boolean {
  return (set & FLAGS_SET) !== 0n;
}

/** What an instruction does to guest registers. */
export interface RegisterUse {
  /** What must be in locals before it; conditionally written registers are among them. */
  readonly reads: RegisterSet;
  readonly writes: RegisterSet;
}

/** The operand that a register handle of a handler's meaning stands for in one instruction. */
export function resolveRegister(
  { handler, decoded }: { readonly handler: Handler; readonly decoded: Decoded },
  handle: RegisterOperand,
): RegisterOperand {
  const name = handler.plan.nameOf(handle);
  if (name === undefined) return handle;
  const operand: Operand | undefined = decoded.operands[name];
  if (typeof operand !== "object" || operand.kind === "immediate")
    throw new Bug(`operand ${name} is no register`);
  return operand.kind === "base" ? operand.register : operand;
}

/** The register's bit; undefined for XZR, which has no contents. */
export function registerBit({ file, index }: RegisterOperand): number | undefined {
  if (file === "v") return REGISTER_BIT.V + index;
  if (index < 31) return REGISTER_BIT.X + index;
  return file === "sp" ? REGISTER_BIT.SP : undefined;
}

/** What an instruction reads and writes. */
export function registerUse(decoded: Decoded, handler: Handler): RegisterUse {
  const { plan, usesFlags, writesFlags, writesConditionally } = handler;
  const bits = (handles: ReadonlySet<RegisterOperand>): RegisterSet => {
    let set = 0n;
    for (const handle of handles) {
      const bit = registerBit(resolveRegister({ handler, decoded }, handle));
      if (bit !== undefined) set |= 1n << BigInt(bit);
    }
    return set;
  };
  const reads = bits(plan.reads) | (usesFlags ? FLAGS_SET : 0n);
  const writes = bits(plan.writes) | (writesFlags ? FLAGS_SET : 0n);
  return { reads: writesConditionally ? reads | writes : reads, writes };
}

/** The bits that are set, lowest first. */
export function bitsOf(set: RegisterSet): number[] {
  const bits: number[] = [];
  const add = (base: number, bitsOfWord: number): void => {
    for (let word = bitsOfWord; word !== 0; word &= word - 1) bits.push(base + 31 - Math.clz32(word & -word));
  };
  add(0, Number(BigInt.asIntN(32, set)));
  // Most sets are of general registers only.
  if (set >> 32n !== 0n) {
    add(32, Number(BigInt.asIntN(32, set >> 32n)));
    add(64, Number(BigInt.asIntN(32, set >> 64n)));
  }
  return bits;
}
