import { findBytes } from "./kernel-image.ts";

/**
 * Types of a Linux kernel in the BPF Type Format (Linux documentation, "BPF Type Format (BTF)"), as far as places of
 * members need them.
 */

const MAGIC = 0xeb9f;
const HEADER_SIZE = 24;
/** Magic, version 1, no flags, and the size of the header. */
const START = Uint8Array.of(0x9f, 0xeb, 1, 0, HEADER_SIZE, 0, 0, 0);
const TYPE_SIZE = 12;

/** Kinds with what follows them: bytes at all, and bytes for each of the kind's `vlen` elements. */
const KINDS: Readonly<Record<number, { readonly fixed: number; readonly each: number }>> = {
  1: { fixed: 4, each: 0 }, // INT
  2: { fixed: 0, each: 0 }, // PTR
  3: { fixed: 12, each: 0 }, // ARRAY
  4: { fixed: 0, each: 12 }, // STRUCT
  5: { fixed: 0, each: 12 }, // UNION
  6: { fixed: 0, each: 8 }, // ENUM
  7: { fixed: 0, each: 0 }, // FWD
  8: { fixed: 0, each: 0 }, // TYPEDEF
  9: { fixed: 0, each: 0 }, // VOLATILE
  10: { fixed: 0, each: 0 }, // CONST
  11: { fixed: 0, each: 0 }, // RESTRICT
  12: { fixed: 0, each: 0 }, // FUNC
  13: { fixed: 0, each: 8 }, // FUNC_PROTO
  14: { fixed: 4, each: 0 }, // VAR
  15: { fixed: 0, each: 12 }, // DATASEC
  16: { fixed: 0, each: 0 }, // FLOAT
  17: { fixed: 4, each: 0 }, // DECL_TAG
  18: { fixed: 0, each: 0 }, // TYPE_TAG
  19: { fixed: 0, each: 12 }, // ENUM64
};
const STRUCT = 4;
const UNION = 5;
const ARRAY = 3;
/** Types that only stand for another. */
const TRANSPARENT: ReadonlySet<number> = new Set([8, 9, 10, 11, 18]);
/** Depth of nested types that is followed, and members that one look-up may pass. */
const DEEPEST = 16;
const MOST_MEMBERS = 100_000;
const MOST_TYPES = 1_000_000;
const MOST_TRIES = 32;
const LONGEST_NAME = 256;

/** The types of one kernel. */
export class TypeInformation {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #strings: number;
  readonly #stringsEnd: number;
  /** Offset of each type by its number; 0 is void. */
  readonly #types: number[] = [0];
  readonly #structures = new Map<string, number>();
  /** Members that the look-up under way may still pass: types of a guest's may nest without end. */
  #left = 0;

  private constructor(bytes: Uint8Array, types: number, typesEnd: number, strings: number, end: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#strings = strings;
    this.#stringsEnd = end;
    for (let at = types; at + TYPE_SIZE <= typesEnd && this.#types.length < MOST_TYPES; ) {
      const { kind, count } = this.#header(at);
      const following = KINDS[kind];
      if (following === undefined) break;
      const next = at + TYPE_SIZE + following.fixed + following.each * count;
      if (next > typesEnd) break;
      if (kind === STRUCT) {
        const name = this.#string(this.#view.getUint32(at, true));
        if (name !== "" && !this.#structures.has(name)) this.#structures.set(name, this.#types.length);
      }
      this.#types.push(at);
      at = next;
    }
  }

  /** The first type information in an image that knows processes. */
  static find(image: Uint8Array): TypeInformation | undefined {
    let tries = 0;
    for (let at = findBytes(image, START); at >= 0; at = findBytes(image, START, at + 1)) {
      if (++tries > MOST_TRIES) return undefined;
      const types = TypeInformation.parse(image.subarray(at));
      if (types?.sizeOf("task_struct") !== undefined) return types;
    }
    return undefined;
  }

  /** Undefined where `bytes` do not begin with type information in this host's byte order, or it is cut off. */
  static parse(bytes: Uint8Array): TypeInformation | undefined {
    if (bytes.length < HEADER_SIZE) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (view.getUint16(0, true) !== MAGIC || view.getUint8(2) !== 1) return undefined;
    const header = view.getUint32(4, true);
    const types = header + view.getUint32(8, true);
    const typesEnd = types + view.getUint32(12, true);
    const strings = header + view.getUint32(16, true);
    const end = strings + view.getUint32(20, true);
    if (header < HEADER_SIZE || typesEnd > bytes.length || end > bytes.length) return undefined;
    return new TypeInformation(bytes, types, typesEnd, strings, end);
  }

  /**
   * Offset in bytes of a member of a structure; a path such as "mem[1].base" names members of members and elements
   * of arrays. Members of unnamed members count as the structure's own. Undefined where there is none.
   */
  offsetOf(structure: string, path: string): number | undefined {
    const number = this.#structures.get(structure);
    if (number === undefined) return undefined;
    let [type, offset] = [number, 0];
    this.#left = MOST_MEMBERS;
    for (const part of path.split(".")) {
      const [, name = "", index] = /^(\w+)(?:\[(\d+)\])?$/.exec(part) ?? [];
      const member = this.#member(type, name, 0);
      if (member === undefined) return undefined;
      offset += member.offset;
      type = member.type;
      if (index === undefined) continue;
      const element = this.#element(type);
      if (element === undefined) return undefined;
      offset += Number(index) * (this.#size(element) ?? 0);
      type = element;
    }
    return offset;
  }

  /** Bytes of a structure. */
  sizeOf(structure: string): number | undefined {
    const number = this.#structures.get(structure);
    return number === undefined ? undefined : this.#size(number);
  }

  #header(at: number): { kind: number; count: number; flag: boolean } {
    const info = this.#view.getUint32(at + 4, true);
    return { kind: (info >>> 24) & 0x1f, count: info & 0xffff, flag: info >>> 31 === 1 };
  }

  #member(number: number, name: string, depth: number): { offset: number; type: number } | undefined {
    const at = this.#resolve(number);
    if (at === undefined || depth > DEEPEST) return undefined;
    const { kind, count, flag } = this.#header(at);
    if (kind !== STRUCT && kind !== UNION) return undefined;
    for (let index = 0; index < count && this.#left-- > 0; index++) {
      const member = at + TYPE_SIZE + index * 12;
      const memberName = this.#string(this.#view.getUint32(member, true));
      const type = this.#view.getUint32(member + 4, true);
      const bits = this.#view.getUint32(member + 8, true);
      const offset = (flag ? bits & 0xff_ffff : bits) >>> 3;
      if (memberName === name) return { offset, type };
      if (memberName !== "") continue;
      const inner = this.#member(type, name, depth + 1);
      if (inner !== undefined) return { offset: offset + inner.offset, type: inner.type };
    }
    return undefined;
  }

  /** Type of an array's elements. */
  #element(number: number): number | undefined {
    const at = this.#resolve(number);
    if (at === undefined || this.#header(at).kind !== ARRAY) return undefined;
    return this.#view.getUint32(at + TYPE_SIZE, true);
  }

  #size(number: number): number | undefined {
    const at = this.#resolve(number);
    if (at === undefined) return undefined;
    const { kind } = this.#header(at);
    return kind === 2 ? 8 : this.#view.getUint32(at + 8, true);
  }

  /** Offset of the type that this one stands for. */
  #resolve(number: number): number | undefined {
    for (let depth = 0; depth < DEEPEST; depth++) {
      const at = this.#types[number];
      if (at === undefined || number === 0) return undefined;
      if (!TRANSPARENT.has(this.#header(at).kind)) return at;
      number = this.#view.getUint32(at + 8, true);
    }
    return undefined;
  }

  #string(offset: number): string {
    const start = this.#strings + offset;
    if (start >= this.#stringsEnd) return "";
    const end = Math.min(this.#bytes.indexOf(0, start), start + LONGEST_NAME);
    let text = "";
    for (let at = start; at < end; at++) text += String.fromCharCode(this.#bytes[at]!);
    return text;
  }
}
