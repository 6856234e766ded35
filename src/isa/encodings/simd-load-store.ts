import { type Instruction, instruction } from "../instruction.ts";
import {
  type BaseOperand,
  base,
  type ImmediateOperand,
  imm32,
  type RegisterOperand,
  v,
  x,
} from "../operands.ts";
import {
  bitselect,
  duplicateElementAt,
  ELEMENT_BITS,
  elementMask,
  extract,
  range,
  type Shape,
  splatValue,
  writeShape,
} from "../pseudocode/vector.ts";
import { deinterleave, interleave } from "../pseudocode/vector-structure.ts";
import type { I64, Semantics, StorePart, V128 } from "../semantics.ts";

type Vector = RegisterOperand<"v">;

/** How the base is written back: not, by the bytes accessed, by a register. */
type Index = "none" | "immediate" | "register";
const INDICES: readonly Index[] = ["none", "immediate", "register"];

interface TransferOperands {
  readonly t0: Vector;
  readonly t1?: Vector;
  readonly t2?: Vector;
  readonly t3?: Vector;
  readonly base: BaseOperand;
  readonly m?: RegisterOperand<"x">;
}

interface TransferFields {
  readonly Rn: number;
  readonly Rt: number;
  readonly Rm?: number;
}

/** Registers, base and index register; the list wraps around after V31. */
function transfer({ Rn, Rt, Rm }: TransferFields, count: number, index: Index): TransferOperands {
  return {
    t0: v(Rt),
    ...(count > 1 && { t1: v(Rt + 1) }),
    ...(count > 2 && { t2: v(Rt + 2) }),
    ...(count > 3 && { t3: v(Rt + 3) }),
    base: base(Rn),
    ...(index === "register" && Rm !== undefined && { m: x(Rm) }),
  };
}

function registers({ t0, t1, t2, t3 }: TransferOperands): Vector[] {
  return [t0, t1, t2, t3].filter((register) => register !== undefined);
}

function writeBack(s: Semantics, o: TransferOperands, index: Index, address: I64, bytes: number): void {
  if (index === "none") return;
  const increment = o.m ? s.readX(o.m) : s.i64(bytes);
  s.writeX(o.base.register, s.op("i64.add", address, increment));
}

/** Rm is 31 where the index is an immediate. */
const INDEX_BITS = { none: "0", immediate: "1", register: "1" } as const;
const INDEX_FIELD = { none: "00000", immediate: "11111", register: "Rm:5" } as const;
const INDEX_NAME = { none: "", immediate: "_i", register: "_r" } as const;

function whereOf(index: Index) {
  return index === "register" ? { where: ({ Rm }: TransferFields) => Rm !== 31 } : {};
}

/** What follows the address in assembly. */
function suffixOf(index: Index, increment: string): string {
  return index === "none" ? "" : index === "immediate" ? `, #${increment}` : ", <X Rm>";
}

/** Opcode, elements of a structure, registers. */
const MULTIPLE = [
  ["0000", 4, 4],
  ["0010", 1, 4],
  ["0100", 3, 3],
  ["0110", 1, 3],
  ["0111", 1, 1],
  ["1000", 2, 2],
  ["1010", 1, 2],
] as const;

function loadMultiple(s: Semantics, o: TransferOperands & Shape, structure: number, address: I64): void {
  const list = registers(o);
  const registerBytes = o.extent === "q" ? 16 : 8;
  const elementBytes = (o.size / 8) as 1 | 2 | 4 | 8;
  const total = list.length * registerBytes;
  const loaded = s.loadBytes(address, total, { element: elementBytes });
  if (structure === 1) {
    if (registerBytes === 16) {
      const values = list.map((_, i) => loaded.v128(16 * i));
      for (const [i, value] of values.entries()) s.writeV(list[i]!, value);
    } else {
      const values = list.map((_, i) => loaded.i64(8 * i, 8));
      for (const [i, value] of values.entries()) s.writeVLow(list[i]!, value);
    }
    return;
  }
  const chunks = range(Math.ceil(total / 16)).map((i) =>
    total - 16 * i >= 16 ? loaded.v128(16 * i) : s.op("i64x2.splat", loaded.i64(16 * i, 8)),
  );
  const values = deinterleave(s, { elementBytes, registers: list.length, registerBytes }, chunks);
  for (const [i, value] of values.entries()) writeShape(s, o, list[i]!, value);
}

function storeMultiple(s: Semantics, o: TransferOperands & Shape, structure: number, address: I64): void {
  const list = registers(o);
  const registerBytes = o.extent === "q" ? 16 : 8;
  const elementBytes = (o.size / 8) as 1 | 2 | 4 | 8;
  const total = list.length * registerBytes;
  let parts: StorePart[];
  if (structure === 1) {
    parts = list.map((register, i) =>
      registerBytes === 16
        ? { offset: 16 * i, bytes: 16, value: s.readV(register) }
        : { offset: 8 * i, bytes: 8, value: s.readVLow(register) },
    );
  } else {
    const by = { elementBytes, registers: list.length, registerBytes };
    const chunks = interleave(
      s,
      by,
      list.map((register) => s.readV(register)),
    );
    parts = chunks.map((chunk, i) =>
      total - 16 * i >= 16
        ? { offset: 16 * i, bytes: 16, value: chunk }
        : { offset: 16 * i, bytes: 8, value: s.lane("i64x2.extract_lane", 0, chunk) },
    );
  }
  s.storeBytes(address, total, parts, { element: elementBytes });
}

const multipleRows = [0, 1].flatMap((L) =>
  MULTIPLE.flatMap(([opcode, structure, count]) =>
    INDICES.map((index) => {
      const mnemonic = `${L ? "LD" : "ST"}${structure}`;
      return instruction({
        name: `${mnemonic}_asisdlse${index === "none" ? "" : "p"}_R${count}${INDEX_NAME[index]}`,
        encoding:
          `0 Q:1 001100 ${INDEX_BITS[index]} ${L} 0 ${INDEX_FIELD[index]} ${opcode} size:2 Rn:5 Rt:5` as `0 Q:1 001100 ${string} size:2 Rn:5 Rt:5`,
        assembly: `${mnemonic.toLowerCase()} <list${count} Rt size Q>, [<XS Rn>]${suffixOf(index, `<increment${count} Q>`)}`,
        manual: `C7.2 ${mnemonic} (multiple structure${structure > 1 ? "s" : ""})`,
        simd: true,
        ...whereOf(index),
        operands: (fields) => {
          const size = ELEMENT_BITS[fields.size];
          if (size === undefined || (structure > 1 && size === 64 && fields.Q === 0)) return undefined;
          return {
            size,
            extent: fields.Q ? ("q" as const) : ("d" as const),
            ...transfer(fields, count, index),
          };
        },
        execute: (o, s) => {
          const address = s.address(o.base);
          if (L) loadMultiple(s, o, structure, address);
          else storeMultiple(s, o, structure, address);
          writeBack(s, o, index, address, count * (o.extent === "q" ? 16 : 8));
        },
      });
    }),
  ),
);

interface Element {
  readonly letter: "b" | "h" | "s" | "d";
  readonly size: Shape["size"];
  /** Bits 15:14 of the opcode and those of S and size, as far as they are not part of the index. */
  readonly opcode: string;
  readonly S: string;
  readonly sizeField: string;
  /** Fields of the assembly's list. */
  readonly fields: string;
  index(fields: { readonly Q: number; readonly S?: number; readonly size?: number }): number;
}

const ELEMENTS: readonly Element[] = [
  {
    letter: "b",
    size: 8,
    opcode: "00",
    S: "S:1",
    sizeField: "size:2",
    fields: "Q S size",
    index: ({ Q, S = 0, size = 0 }) => (Q << 3) | (S << 2) | size,
  },
  {
    letter: "h",
    size: 16,
    opcode: "01",
    S: "S:1",
    sizeField: "size:1 0",
    fields: "Q S size",
    index: ({ Q, S = 0, size = 0 }) => (Q << 2) | (S << 1) | size,
  },
  {
    letter: "s",
    size: 32,
    opcode: "10",
    S: "S:1",
    sizeField: "00",
    fields: "Q S",
    index: ({ Q, S = 0 }) => (Q << 1) | S,
  },
  { letter: "d", size: 64, opcode: "10", S: "0", sizeField: "01", fields: "Q", index: ({ Q }) => Q },
];

function loadElements(
  s: Semantics,
  o: TransferOperands,
  { size, index }: { readonly size: Shape["size"]; readonly index: ImmediateOperand<32> },
  address: I64,
): void {
  const list = registers(o);
  const bytes = (size / 8) as 1 | 2 | 4 | 8;
  const loaded = s.loadBytes(address, list.length * bytes, { element: bytes });
  const mask = elementMask(s, size, s.imm32(index));
  const values = list.map((register, i): V128 => {
    const value = splatValue(s, size, loaded.i64(i * bytes, bytes));
    return bitselect(s, mask, value, s.readV(register));
  });
  for (const [i, value] of values.entries()) s.writeV(list[i]!, value);
}

function storeElements(
  s: Semantics,
  o: TransferOperands,
  { size, first }: { readonly size: Shape["size"]; readonly first: ImmediateOperand<32> },
  address: I64,
): void {
  const list = registers(o);
  const bytes = (size / 8) as 1 | 2 | 4 | 8;
  const parts = list.map((register, i): StorePart => {
    const element = duplicateElementAt(s, size, s.readV(register), s.imm32(first));
    return { offset: i * bytes, bytes, value: extract(s, size, true, 0, element) };
  });
  s.storeBytes(address, list.length * bytes, parts, { element: bytes });
}

const COUNTS = [1, 2, 3, 4] as const;

/** R is the lowest, the lowest bit of the opcode the upper bit of the number of registers less one. */
const countBits = (count: number): { R: number; opcode0: number } => ({
  R: (count - 1) & 1,
  opcode0: (count - 1) >> 1,
});

const singleRows = [0, 1].flatMap((L) =>
  COUNTS.flatMap((count) =>
    ELEMENTS.flatMap((element) =>
      INDICES.map((index) => {
        const mnemonic = `${L ? "LD" : "ST"}${count}`;
        const { R, opcode0 } = countBits(count);
        const bytes = (count * element.size) / 8;
        const list = `list${count}_${element.letter}`;
        return instruction({
          name: `${mnemonic}_asisdlso${index === "none" ? "" : "p"}_${element.letter.toUpperCase()}${INDEX_NAME[index]}`,
          encoding:
            `0 Q:1 001101 ${INDEX_BITS[index]} ${L} ${R} ${INDEX_FIELD[index]} ${element.opcode}${opcode0} ${element.S} ${element.sizeField} Rn:5 Rt:5` as `0 Q:1 001101 ${string} Rn:5 Rt:5`,
          assembly: `${mnemonic.toLowerCase()} <${list} Rt ${element.fields}>, [<XS Rn>]${suffixOf(index, String(bytes))}`,
          manual: `C7.2 ${mnemonic} (single structure)`,
          simd: true,
          ...whereOf(index),
          operands: (fields) => {
            const lane = element.index(fields);
            // A load merges, a store selects; both keep the number of the element out of the static operands.
            const position = L ? { index: imm32(lane) } : { first: imm32((lane * element.size) / 8) };
            return { ...position, ...transfer(fields, count, index) };
          },
          execute: (o, s) => {
            const address = s.address(o.base);
            if (o.index) loadElements(s, o, { size: element.size, index: o.index }, address);
            else storeElements(s, o, { size: element.size, first: o.first }, address);
            writeBack(s, o, index, address, bytes);
          },
        });
      }),
    ),
  ),
);

const replicateRows = COUNTS.flatMap((count) =>
  INDICES.map((index) => {
    const { R, opcode0 } = countBits(count);
    return instruction({
      name: `LD${count}R_asisdlso${index === "none" ? "" : "p"}_R${count}${INDEX_NAME[index]}`,
      encoding:
        `0 Q:1 001101 ${INDEX_BITS[index]} 1 ${R} ${INDEX_FIELD[index]} 11${opcode0} 0 size:2 Rn:5 Rt:5` as `0 Q:1 001101 ${string} size:2 Rn:5 Rt:5`,
      assembly: `ld${count}r <list${count} Rt size Q>, [<XS Rn>]${suffixOf(index, `<elementIncrement${count} size>`)}`,
      manual: `C7.2 LD${count}R`,
      simd: true,
      ...whereOf(index),
      operands: (fields) => ({
        size: ELEMENT_BITS[fields.size] ?? 64,
        extent: fields.Q ? ("q" as const) : ("d" as const),
        ...transfer(fields, count, index),
      }),
      execute: (o, s) => {
        const address = s.address(o.base);
        const list = registers(o);
        const bytes = (o.size / 8) as 1 | 2 | 4 | 8;
        const loaded = s.loadBytes(address, count * bytes, { element: bytes });
        const values = list.map((_, i) => splatValue(s, o.size, loaded.i64(i * bytes, bytes)));
        for (const [i, value] of values.entries()) {
          const register = list[i]!;
          // Eight bytes of one doubleword are whole, unlike a scalar of the same extent.
          if (o.extent === "q") s.writeV(register, value);
          else s.writeVLow(register, s.lane("i64x2.extract_lane", 0, value));
        }
        writeBack(s, o, index, address, count * bytes);
      },
    });
  }),
);

/** Advanced SIMD load and store: multiple structures, single structure, replicated. */
export const rows: readonly Instruction[] = [...multipleRows, ...singleRows, ...replicateRows];
