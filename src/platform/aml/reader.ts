import { BYTE_PREFIX, PACKAGE, STRING_PREFIX, VARIABLE_PACKAGE } from "./data.ts";

/** A value that a name stands for: what other terms say, such as calls, is "other". */
export type AmlValue =
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "buffer"; readonly value: Uint8Array }
  | { readonly kind: "package"; readonly elements: readonly AmlValue[] }
  | { readonly kind: "other" };

/** A device of a definition block, with the names that it has itself. */
export interface AmlDevice {
  /** From the root: "\_SB.COM0". */
  readonly path: string;
  readonly names: ReadonlyMap<string, AmlValue>;
}

/** What a definition block declares, or why it cannot be read. */
export type AmlContents =
  | { readonly status: "read"; readonly devices: readonly AmlDevice[] }
  | { readonly status: "malformed"; readonly reason: string };

const OPCODE = {
  zero: 0x00,
  one: 0x01,
  name: 0x08,
  scope: 0x10,
  buffer: 0x11,
  method: 0x14,
  ones: 0xff,
} as const;
const EXTENDED = 0x5b;
const EXTENDED_OPCODE = { device: 0x82, processor: 0x83, powerResource: 0x84, thermalZone: 0x85 } as const;
/** Bytes of an integer after its prefix. */
const INTEGER_BYTES: Readonly<Record<number, number>> = { [BYTE_PREFIX]: 1, 11: 2, 12: 4, 14: 8 };
const PREFIX = { root: 0x5c, parent: 0x5e, dual: 0x2e, multiple: 0x2f, none: 0x00 } as const;
const DEEPEST = 64;

/** What cannot be read; it never leaves this file. */
class Malformed {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/**
 * Reads the devices of a definition block without its table header (ACPI 6.5, section 20.2): scopes, devices and the
 * names in them. Methods are passed over, so what only code can tell is not there.
 */
export function readDefinitionBlock(bytes: Uint8Array): AmlContents {
  const reader = new BlockReader(bytes);
  try {
    reader.terms(bytes.length, [], undefined, 0);
    return { status: "read", devices: reader.devices };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { status: "malformed", reason: `${error.reason}, at offset ${reader.position}` };
  }
}

class BlockReader {
  readonly devices: AmlDevice[] = [];
  position = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  terms(end: number, path: readonly string[], names: Map<string, AmlValue> | undefined, depth: number): void {
    if (depth > DEEPEST) throw new Malformed(`it nests deeper than ${DEEPEST}`);
    while (this.position < end) {
      const opcode = this.#u8();
      switch (opcode) {
        case OPCODE.name: {
          const [name = ""] = this.#namePath([]).slice(-1);
          const value = this.#value(end, depth);
          names?.set(name, value);
          break;
        }
        case OPCODE.scope: {
          const inner = this.#packageEnd(end);
          this.terms(inner, this.#namePath(path), undefined, depth + 1);
          break;
        }
        case OPCODE.method:
          this.position = this.#packageEnd(end);
          break;
        case EXTENDED:
          this.#extended(end, path, depth);
          break;
        default:
          throw new Malformed(`it has the term 0x${opcode.toString(16)}, which is not understood here`);
      }
    }
    if (this.position !== end) throw new Malformed("a term is longer than what it is in");
  }

  #extended(end: number, path: readonly string[], depth: number): void {
    const opcode = this.#u8();
    const inner = this.#packageEnd(end);
    switch (opcode) {
      case EXTENDED_OPCODE.device: {
        const own = this.#namePath(path);
        const names = new Map<string, AmlValue>();
        this.devices.push({ path: `\\${own.join(".")}`, names });
        this.terms(inner, own, names, depth + 1);
        break;
      }
      case EXTENDED_OPCODE.processor:
      case EXTENDED_OPCODE.powerResource:
      case EXTENDED_OPCODE.thermalZone:
        this.position = inner;
        break;
      default:
        throw new Malformed(`it has the term 0x5b 0x${opcode.toString(16)}, which is not understood here`);
    }
  }

  #value(end: number, depth: number): AmlValue {
    if (depth > DEEPEST) throw new Malformed(`it nests deeper than ${DEEPEST}`);
    const opcode = this.#u8();
    switch (opcode) {
      case OPCODE.zero:
        return { kind: "integer", value: 0n };
      case OPCODE.one:
        return { kind: "integer", value: 1n };
      case OPCODE.ones:
        return { kind: "integer", value: (1n << 64n) - 1n };
      case STRING_PREFIX:
        return { kind: "string", value: this.#text(end) };
      case OPCODE.buffer:
        return this.#buffer(end, depth);
      case PACKAGE:
      case VARIABLE_PACKAGE:
        return this.#package(opcode, end, depth);
      default: {
        const width = INTEGER_BYTES[opcode];
        if (width !== undefined) return { kind: "integer", value: this.#integer(width) };
        // A reference to another object.
        this.position -= 1;
        this.#namePath([]);
        return { kind: "other" };
      }
    }
  }

  #buffer(end: number, depth: number): AmlValue {
    const inner = this.#packageEnd(end);
    const size = this.#value(inner, depth + 1);
    if (size.kind !== "integer") throw new Malformed("a buffer's size is no number");
    const given = this.#bytes.subarray(this.position, inner);
    if (size.value > BigInt(given.length)) throw new Malformed("a buffer says more than it holds");
    this.position = inner;
    return { kind: "buffer", value: given.subarray(0, Number(size.value)) };
  }

  #package(opcode: number, end: number, depth: number): AmlValue {
    const inner = this.#packageEnd(end);
    if (opcode === PACKAGE) this.#u8();
    else this.#value(inner, depth + 1);
    const elements: AmlValue[] = [];
    while (this.position < inner) elements.push(this.#value(inner, depth + 1));
    return { kind: "package", elements };
  }

  /** A path below `scope`, absolute, or relative to parents of it. */
  #namePath(scope: readonly string[]): string[] {
    let path = [...scope];
    let first = this.#u8();
    while (first === PREFIX.root || first === PREFIX.parent) {
      if (first === PREFIX.root) path = [];
      else path.pop();
      first = this.#u8();
    }
    let count = 1;
    if (first === PREFIX.none) return path;
    if (first === PREFIX.dual) count = 2;
    else if (first === PREFIX.multiple) count = this.#u8();
    else this.position -= 1;
    for (let index = 0; index < count; index++) path.push(this.#segment());
    return path;
  }

  #segment(): string {
    const name = String.fromCharCode(this.#u8(), this.#u8(), this.#u8(), this.#u8());
    if (!/^[A-Z_][A-Z0-9_]{3}$/.test(name)) {
      this.position -= 4;
      throw new Malformed("it has no name where one must be");
    }
    return name;
  }

  #text(end: number): string {
    const zero = this.#bytes.subarray(this.position, end).indexOf(0);
    if (zero < 0) throw new Malformed("a string has no end");
    const text = String.fromCharCode(...this.#bytes.subarray(this.position, this.position + zero));
    this.position += zero + 1;
    return text;
  }

  /** Where the object ends whose PkgLength comes next (section 20.2.4). */
  #packageEnd(end: number): number {
    const start = this.position;
    const lead = this.#u8();
    const following = lead >> 6;
    let length = following === 0 ? lead & 0x3f : lead & 0xf;
    for (let index = 0; index < following; index++) length += this.#u8() * 2 ** (4 + 8 * index);
    if (start + length > end || start + length < this.position) throw new Malformed("a length is wrong");
    return start + length;
  }

  #integer(width: number): bigint {
    let value = 0n;
    for (let index = 0; index < width; index++) value |= BigInt(this.#u8()) << BigInt(8 * index);
    return value;
  }

  #u8(): number {
    if (this.position >= this.#bytes.length) throw new Malformed("it ends in the middle of a term");
    return this.#view.getUint8(this.position++);
  }
}
