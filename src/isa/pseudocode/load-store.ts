import type { BaseOperand, ImmediateOperand, RegisterOperand } from "../operands.ts";
import type { AccessOptions, I64, Semantics } from "../semantics.ts";

/** What a load or store of a general-purpose register does with the value. */
export interface IntegerTransfer {
  readonly bytes: 1 | 2 | 4 | 8;
  /** "load" zero-extends; the signed ones extend to X or W. */
  readonly kind: "store" | "load" | "loadSigned64" | "loadSigned32";
}

const KINDS = ["store", "load", "loadSigned64", "loadSigned32"] as const;

/** Decodes size and opc, undefined where unallocated (and for prefetches, which have rows of their own). */
export function integerTransfer(size: number, opc: number): IntegerTransfer | undefined {
  if ((opc === 2 && size === 3) || (opc === 3 && size >= 2)) return undefined;
  return { bytes: (1 << size) as 1 | 2 | 4 | 8, kind: KINDS[opc]! };
}

/** Bytes of a SIMD&FP register access, undefined where unallocated. */
export function vectorSize(size: number, opc: number): 1 | 2 | 4 | 8 | 16 | undefined {
  if (opc >= 2) return size === 0 ? 16 : undefined;
  return (1 << size) as 1 | 2 | 4 | 8;
}

/** A value of `bytes`, zero-extended by the load, with its sign extended to 64 bits. */
export function signExtendLoaded(s: Semantics, value: I64, bytes: 1 | 2 | 4 | 8): I64 {
  switch (bytes) {
    case 1:
      return s.op("i64.extend8_s", value);
    case 2:
      return s.op("i64.extend16_s", value);
    case 4:
      return s.op("i64.extend32_s", value);
    case 8:
      return value;
  }
}

/** The transfer itself. */
export function transferInteger(
  s: Semantics,
  o: IntegerTransfer & { readonly t: RegisterOperand<"x"> },
  address: I64,
  options?: AccessOptions,
): void {
  if (o.kind === "store") {
    s.store(address, o.bytes, s.readX(o.t), options);
    return;
  }
  const value = s.load(address, o.bytes, options);
  const extended = o.kind === "load" ? value : signExtendLoaded(s, value, o.bytes);
  if (o.kind === "loadSigned32") s.writeW(o.t, s.op("i32.wrap_i64", extended));
  else s.writeX(o.t, extended);
}

/** The same for a SIMD&FP register; a load zeroes the rest of it. */
export function transferVector(
  s: Semantics,
  o: { readonly load: boolean; readonly bytes: 1 | 2 | 4 | 8 | 16; readonly t: RegisterOperand<"v"> },
  address: I64,
): void {
  if (o.bytes === 16) {
    if (o.load) s.writeV(o.t, s.loadV(address));
    else s.storeV(address, s.readV(o.t));
  } else if (o.load) s.writeVLow(o.t, s.load(address, o.bytes));
  else s.store(address, o.bytes, s.readVLow(o.t));
}

/** A base with a constant offset. Writing back comes last, after the access succeeded. */
export interface BaseAndOffset {
  readonly mode: "offset" | "preIndex" | "postIndex";
  readonly base: BaseOperand;
  readonly offset: ImmediateOperand<32>;
}

/** Computes the address, lets `access` use it, and writes the base back where the mode says so. */
export function addressOf(s: Semantics, o: BaseAndOffset, access: (address: I64) => void): void {
  const start = s.address(o.base);
  const moved = s.op("i64.add", start, s.imm64(o.offset));
  access(o.mode === "postIndex" ? start : moved);
  if (o.mode !== "offset") s.writeX(o.base.register, moved);
}

/** How an index register is extended to 64 bits. */
export type IndexExtend = "none" | "uxtw" | "sxtw";

/** Base plus extended and shifted index. */
export function indexedAddress(
  s: Semantics,
  o: {
    readonly base: BaseOperand;
    readonly m: RegisterOperand<"x">;
    readonly extend: IndexExtend;
    readonly shift: number;
  },
): I64 {
  const start = s.address(o.base);
  const index =
    o.extend === "none"
      ? s.readX(o.m)
      : s.op(o.extend === "uxtw" ? "i64.extend_i32_u" : "i64.extend_i32_s", s.readW(o.m));
  return s.op("i64.add", start, o.shift === 0 ? index : s.op("i64.shl", index, s.i64(o.shift)));
}
