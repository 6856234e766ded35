/// <reference path="../../src/base/host-globals.d.ts" />
import { LANE_OPERATORS, OPERATORS, type ValueType } from "../../src/wasm/opcodes.ts";

/**
 * A value as the evaluator keeps it: always raw bits, so that no NaN is changed on its way through JavaScript.
 * i32 and f32: a signed 32-bit number. i64 and f64: an unsigned 64-bit bigint. v128: 16 bytes.
 */
export type RawValue = number | bigint | Uint8Array;

interface Shape {
  readonly name: string;
  readonly code: number;
  readonly operands: readonly ValueType[];
  readonly result: ValueType;
  readonly lane?: number;
}

const LOAD: Record<ValueType, readonly number[]> = {
  i32: [0x28, 2],
  i64: [0x29, 3],
  f32: [0x2a, 2],
  f64: [0x2b, 3],
  v128: [0xfd, 0, 4],
};
const STORE: Record<ValueType, readonly number[]> = {
  i32: [0x36, 2],
  i64: [0x37, 3],
  f32: [0x38, 2],
  f64: [0x39, 3],
  v128: [0xfd, 11, 4],
};
const RESULT_OFFSET = 48;

/** Runs single WebAssembly operators on raw bits, through a module with one function for each of them. */
export class WasmOperators {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #functions = new Map<string, { shape: Shape; run: () => void }>();

  constructor() {
    const shapes: Shape[] = [];
    for (const [name, operator] of Object.entries(OPERATORS)) shapes.push({ name, ...operator });
    for (const [name, operator] of Object.entries(LANE_OPERATORS)) {
      for (let lane = 0; lane < operator.lanes; lane++) {
        const { code, operands, result } = operator;
        shapes.push({ name: `${name} ${lane}`, code, operands, result, lane });
      }
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleFor(shapes)), {});
    const memory = instance.exports["m"] as WebAssembly.Memory;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    shapes.forEach((shape, index) => {
      this.#functions.set(shape.name, { shape, run: instance.exports[`f${index}`] as () => void });
    });
  }

  /** Operand and result types of an operator. */
  shape(name: string): { readonly operands: readonly ValueType[]; readonly result: ValueType } {
    const entry = this.#functions.get(name);
    if (entry === undefined) throw new Error(`no such operator: ${name}`);
    return entry.shape;
  }

  /** Computes one operator; lane operators are named "i8x16.replace_lane 3". */
  run(name: string, operands: readonly RawValue[]): RawValue {
    const entry = this.#functions.get(name);
    if (entry === undefined) throw new Error(`no such operator: ${name}`);
    const { shape } = entry;
    if (operands.length !== shape.operands.length) throw new Error(`${name}: wrong number of operands`);
    shape.operands.forEach((type, index) => {
      this.#write(16 * index, type, operands[index]!);
    });
    entry.run();
    return this.#read(RESULT_OFFSET, shape.result);
  }

  #write(offset: number, type: ValueType, value: RawValue): void {
    if (type === "v128") this.#bytes.set(value as Uint8Array, offset);
    else if (type === "i32" || type === "f32") this.#view.setInt32(offset, value as number, true);
    else this.#view.setBigUint64(offset, value as bigint, true);
  }

  #read(offset: number, type: ValueType): RawValue {
    if (type === "v128") return this.#bytes.slice(offset, offset + 16);
    if (type === "i32" || type === "f32") return this.#view.getInt32(offset, true);
    return this.#view.getBigUint64(offset, true);
  }
}

function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

function sized(bytes: readonly number[]): number[] {
  return [...leb(bytes.length), ...bytes];
}

function section(id: number, bytes: readonly number[]): number[] {
  return [id, ...sized(bytes)];
}

function operatorBytes(shape: Shape): number[] {
  const lane = shape.lane === undefined ? [] : [shape.lane];
  const code =
    shape.code > 0xffff
      ? [shape.code >> 16, ...leb(shape.code & 0xffff)]
      : shape.code > 0xff
        ? [shape.code >> 8, ...leb(shape.code & 0xff)]
        : [shape.code];
  return [...code, ...lane];
}

function moduleFor(shapes: readonly Shape[]): Uint8Array {
  const exportMemory = [1, 0x6d, 2, 0];
  const exports = shapes.flatMap((_, index) => {
    const name = [...`f${index}`].map((letter) => letter.charCodeAt(0));
    return [...sized(name), 0, ...leb(index)];
  });
  const codes = shapes.flatMap((shape) => {
    const loads = shape.operands.flatMap((type, index) => [0x41, 0, ...LOAD[type], 16 * index]);
    const store = [...STORE[shape.result], RESULT_OFFSET];
    return sized([0, 0x41, 0, ...loads, ...operatorBytes(shape), ...store, 0x0b]);
  });
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [...leb(shapes.length), ...shapes.map(() => 0)]),
    ...section(5, [1, 0, 1]),
    ...section(7, [...leb(shapes.length + 1), ...exportMemory, ...exports]),
    ...section(10, [...leb(shapes.length), ...codes]),
  ]);
}
