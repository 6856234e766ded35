import { Bug } from "../../base/errors.ts";
import type { OperandValues } from "../../isa/instruction.ts";
import { type Block, type Node, nodeBlocks, statementInputs } from "../../isa/ir.ts";
import type { ImmediateOperand, Operand, RegisterOperand } from "../../isa/operands.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";

/**
 * A predecoded instruction: 16 bytes, little-endian. Bytes 0-1 hold the handler's number, the rest its
 * operands: registers as 16-bit offsets into the PE's block, immediates as 32 or 64 bits.
 */
export const RECORD_SIZE = 16;
/** Records of one page, and one more that leaves the page. */
export const RECORDS_PER_PAGE = 1024;
export const RECORD_PAGE_STRIDE = (RECORDS_PER_PAGE + 1) * RECORD_SIZE;

/** Handlers every interpreter has: a record not yet decoded, the end of a page, translated code. */
export const HANDLER_UNDECODED = 0;
export const HANDLER_PAGE_END = 1;
/**
 * The record says where a region is entered: REGION_SLOT, the slot with the instruction's own record; REGION_FUNCTION,
 * the region's place in the function table; REGION_ENTRY, the number of the entry. u32 each.
 */
export const HANDLER_REGION = 2;
export const FIRST_HANDLER = 3;
export const REGION_SLOT = 4;
export const REGION_FUNCTION = 8;
export const REGION_ENTRY = 12;

type Direction = "read" | "write";

/** One operand in a record: which, where, how wide. */
export interface Cell {
  readonly name: string;
  readonly kind: "read" | "write" | "immediate32" | "immediate64";
  /** Byte offset inside the record. */
  readonly position: number;
}

/** What stands for an operand's contents inside a meaning. */
type Handle = RegisterOperand | ImmediateOperand;

/** How a handler finds its operands, and how the decoder fills them in. */
export interface RecordPlan {
  readonly cells: readonly Cell[];
  /** Immediates that found no room: they are constants of the handler. */
  readonly baked: ReadonlySet<string>;
  /** The operand that a handle of this handler's meaning stands for; undefined for implied registers. */
  nameOf(handle: Handle): string | undefined;
  /** Register handles that the meaning reads and writes, implied ones included. */
  readonly reads: ReadonlySet<RegisterOperand>;
  readonly writes: ReadonlySet<RegisterOperand>;
  positionOfRegister(register: RegisterOperand, direction: Direction): number | undefined;
  positionOfImmediate(operand: ImmediateOperand): number | undefined;
}

/**
 * Operand handles without their contents, so that a meaning that looks inside an operand (and would be wrong
 * for every other instruction that shares its handler) fails at once.
 */
export function opaqueOperands(operands: OperandValues): OperandValues {
  const hide = <T extends RegisterOperand | ImmediateOperand>(operand: T, field: "index" | "value"): T =>
    Object.defineProperty({ ...operand }, field, {
      configurable: true,
      enumerable: true,
      get: () => {
        throw new Bug(`a meaning looked at the ${field} of an operand that is not static`);
      },
    });
  const opaque = (operand: Operand): Operand => {
    if (typeof operand !== "object") return operand;
    switch (operand.kind) {
      case "register":
        return hide(operand, "index");
      case "immediate":
        return hide(operand, "value");
      case "base":
        return { ...operand, register: hide(operand.register, "index") };
    }
  };
  return Object.fromEntries(Object.entries(operands).map(([name, operand]) => [name, opaque(operand)]));
}

/** Decides where each operand that `block` uses lies in the record. */
export function planRecord(operands: OperandValues, block: Block): RecordPlan {
  const names = new Map<Handle, string>();
  for (const [name, operand] of Object.entries(operands)) {
    if (typeof operand === "object") names.set(operand.kind === "base" ? operand.register : operand, name);
  }
  const used = usedOperands(block);
  const wanted: { name: string; kind: Cell["kind"]; bytes: number }[] = [];
  for (const [object, name] of names) {
    if (object.kind === "immediate") {
      const bits = used.immediates.get(object);
      if (bits !== undefined) {
        wanted.push({ name, kind: bits === 64 ? "immediate64" : "immediate32", bytes: bits / 8 });
      }
      continue;
    }
    const isRead = used.reads.has(object);
    const isWritten = used.writes.has(object);
    // Only XZR is read and written in different places.
    if (isRead || (isWritten && object.file !== "x")) wanted.push({ name, kind: "read", bytes: 2 });
    if (isWritten && object.file === "x") wanted.push({ name, kind: "write", bytes: 2 });
  }
  return place(names, wanted, used);
}

/** Positions to try, by size: registers leave bytes 8-15 to immediates for as long as they can. */
const POSITIONS: Readonly<Record<number, readonly number[]>> = {
  2: [2, 4, 6, 14, 12, 10, 8],
  4: [8, 12, 4],
  8: [8],
};

/** Registers first, as only immediates can become constants of the handler; then the wider ones. */
function place(
  names: ReadonlyMap<Handle, string>,
  wanted: readonly { name: string; kind: Cell["kind"]; bytes: number }[],
  used: UsedOperands,
): RecordPlan {
  const free = new Set([2, 4, 6, 8, 10, 12, 14]);
  const cells: Cell[] = [];
  const baked = new Set<string>();
  const rank = (bytes: number): number => (bytes === 2 ? 0 : 16 - bytes);
  for (const { name, kind, bytes } of [...wanted].sort((a, b) => rank(a.bytes) - rank(b.bytes))) {
    const fits = (start: number): boolean => {
      for (let byte = start; byte < start + bytes; byte += 2) if (!free.has(byte)) return false;
      return true;
    };
    const position = POSITIONS[bytes]?.find(fits);
    if (position === undefined) {
      if (kind === "read" || kind === "write") throw new Bug(`operand ${name} finds no room in a record`);
      baked.add(name);
      continue;
    }
    for (let byte = position; byte < position + bytes; byte += 2) free.delete(byte);
    cells.push({ name, kind, position });
  }
  const find = (object: Handle, kinds: readonly Cell["kind"][]): number | undefined => {
    const name = names.get(object);
    return cells.find((cell) => cell.name === name && kinds.includes(cell.kind))?.position;
  };
  return {
    cells,
    baked,
    nameOf: (handle) => names.get(handle),
    reads: used.reads,
    writes: used.writes,
    positionOfRegister: (register, direction) =>
      names.has(register) ? find(register, [register.file === "x" ? direction : "read"]) : undefined,
    positionOfImmediate: (operand) => find(operand, ["immediate32", "immediate64"]),
  };
}

interface UsedOperands {
  readonly reads: Set<RegisterOperand>;
  readonly writes: Set<RegisterOperand>;
  readonly immediates: Map<ImmediateOperand, 32 | 64>;
}

function usedOperands(block: Block): UsedOperands {
  const used: UsedOperands = { reads: new Set(), writes: new Set(), immediates: new Map() };
  const seen = new Set<Node>();
  const visitNode = (node: Node): void => {
    if (seen.has(node)) return;
    seen.add(node);
    const { shape } = node;
    if (shape.kind === "readRegister" || shape.kind === "readVector") used.reads.add(shape.register);
    if (shape.kind === "readSlot") used.immediates.set(shape.offset, shape.offset.width);
    if (shape.kind === "immediate") used.immediates.set(shape.operand, shape.operand.width);
    for (const input of node.inputs) visitNode(input);
    for (const inner of nodeBlocks(node)) visitBlock(inner);
  };
  const visitBlock = (inner: Block): void => {
    for (const statement of inner.statements) {
      for (const input of statementInputs(statement)) visitNode(input);
      switch (statement.kind) {
        case "define":
          visitNode(statement.node);
          break;
        case "writeRegister":
        case "writeVector":
          used.writes.add(statement.register);
          break;
        case "when":
          visitBlock(statement.taken);
          visitBlock(statement.otherwise);
          break;
        case "writeSlot":
        case "branchRelative":
        case "branchRelativeIf":
          used.immediates.set(statement.offset, statement.offset.width);
          break;
        case "processor":
          for (const operand of statement.operands) {
            if ("kind" in operand) used.immediates.set(operand, operand.width);
          }
          break;
        default:
          break;
      }
    }
    for (const result of inner.results) visitNode(result);
  };
  visitBlock(block);
  return used;
}

/** Byte offset, from the PE's base, of the slot that a register operand reads or writes. */
export function registerSlot(register: RegisterOperand, direction: Direction): number {
  const { file, index } = register;
  if (file === "v") return PE_LAYOUT.V + 16 * index;
  if (index < 31) return PE_LAYOUT.X + 8 * index;
  if (file === "sp") return PE_LAYOUT.SP;
  return direction === "read" ? PE_LAYOUT.ZERO : PE_LAYOUT.SINK;
}

/** Where {@link fillRecord} puts a record together; what it returns is valid until its next call. */
const scratch = new DataView(new ArrayBuffer(RECORD_SIZE));
const scratchWords = new Int32Array(scratch.buffer);

/** The 16 bytes of a record as four words. */
export function fillRecord(handler: number, cells: readonly Cell[], operands: OperandValues): Int32Array {
  scratchWords.fill(0);
  scratch.setUint16(0, handler, true);
  for (const { name, kind, position } of cells) {
    const operand = operands[name];
    if (typeof operand !== "object") throw new Bug(`operand ${name} of a record is not a handle`);
    if (operand.kind === "immediate") {
      if (kind === "immediate64") scratch.setBigInt64(position, BigInt(operand.value), true);
      else scratch.setInt32(position, Number(operand.value), true);
    } else {
      const register = operand.kind === "base" ? operand.register : operand;
      scratch.setUint16(position, registerSlot(register, kind === "write" ? "write" : "read"), true);
    }
  }
  return scratchWords;
}
