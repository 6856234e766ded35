import { describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { TypeInformation } from "./btf.ts";
import { findKallsyms, type KernelSymbol, kernelSymbols, symbolBefore } from "./kallsyms.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const BASE = 0xffff_8000_0800_0000n;

/** Appends bytes, each piece at a multiple of eight. */
class Writer {
  readonly #bytes: number[] = [];

  align(): this {
    while (this.#bytes.length % 8 !== 0) this.#bytes.push(0);
    return this;
  }

  add(...bytes: number[]): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  number(value: number | bigint, size: 2 | 4 | 8): this {
    for (let at = 0; at < size; at++) this.#bytes.push(Number((BigInt(value) >> BigInt(8 * at)) & 0xffn));
    return this;
  }

  text(text: string): this {
    return this.add(...new TextEncoder().encode(text), 0);
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** A table in either order, whose tokens are single letters and some pairs. */
function symbolTable(
  symbols: readonly KernelSymbol[],
  order: "addresses first" | "addresses last",
): Uint8Array {
  const pairs = ["__", "re", "in"];
  const tokens = Array.from({ length: 256 }, (_, code) =>
    code >= 32 && code < 127 ? String.fromCharCode(code) : (pairs[code] ?? `unused${code}`),
  );
  const records = symbols.map(({ type, name }) => {
    const codes: number[] = [];
    let text = type + name;
    while (text !== "") {
      const pair = pairs.findIndex((each) => text.startsWith(each));
      codes.push(pair < 0 ? text.charCodeAt(0) : pair);
      text = text.slice(pair < 0 ? 1 : 2);
    }
    return codes.length < 128
      ? [codes.length, ...codes]
      : [(codes.length & 0x7f) | 0x80, codes.length >> 7, ...codes];
  });
  const writer = new Writer();
  const addresses = (): void => {
    writer.align();
    for (const { address } of symbols) writer.number(address - BASE, 4);
    writer.align().number(BASE, 8);
  };
  writer.text("not part of the table").align();
  if (order === "addresses first") addresses();
  writer.align().number(symbols.length, 4).align();
  const markers: number[] = [];
  let length = 0;
  records.forEach((record, index) => {
    if (index % 256 === 0) markers.push(length);
    length += record.length;
    writer.add(...record);
  });
  writer.align();
  for (const marker of markers) writer.number(marker, 4);
  writer.align();
  // The order of names, which some kernels have here.
  if (order === "addresses first") for (let index = 0; index < symbols.length; index++) writer.add(1, 2, 3);
  writer.align();
  let offset = 0;
  const offsets = tokens.map((token) => {
    const at = offset;
    offset += token.length + 1;
    writer.text(token);
    return at;
  });
  writer.align();
  for (const at of offsets) writer.number(at, 2);
  if (order === "addresses last") addresses();
  return writer.align().number(0, 8).bytes;
}

function someSymbols(random: Random, count: number): KernelSymbol[] {
  let address = BASE;
  return Array.from({ length: count }, (_, index) => {
    address += BigInt(random.below(100));
    const name = index % 500 === 499 ? "long_".repeat(40) : `__re_in_${random.below(1e6)}`;
    return { address, type: "tTdD"[random.below(4)]!, name };
  });
}

describe("a kernel's symbol table", () => {
  test.each(["addresses first", "addresses last"] as const)("is found and read: %s", (order) => {
    const random = Random.ofThisRun();
    for (const count of [1000, 1024, 1025, 1300]) {
      const symbols = someSymbols(random, count);
      const image = symbolTable(symbols, order);
      const layout = findKallsyms(image);
      expect(layout, `seed ${random.seed}`).toBeDefined();
      expect([...kernelSymbols(image, layout!)], `seed ${random.seed}`).toEqual(symbols);
    }
  });

  test("names a place by the nearest symbol before it, and of its aliases by the first", () => {
    const symbols = [
      { address: 16n, type: "T", name: "one" },
      { address: 32n, type: "T", name: "two" },
      { address: 32n, type: "W", name: "two_s_weak_alias" },
      { address: 48n, type: "T", name: "three" },
    ];
    const name = (address: bigint) => symbolBefore(symbols, address)?.name;
    expect([15n, 16n, 31n, 32n, 47n, 48n, 1000n].map(name)).toEqual([
      undefined,
      "one",
      "one",
      "two",
      "two",
      "three",
      "three",
    ]);
    expect(symbolBefore([], 5n)).toBeUndefined();
  });

  test("that is damaged is refused or read, but harms nobody", () => {
    const random = Random.ofThisRun();
    const whole = symbolTable(someSymbols(random, 1100), "addresses last");
    for (let round = 0; round < (FULL ? 5000 : 100); round++) {
      const image = whole.slice(0, random.below(3) === 0 ? random.below(whole.length) : whole.length);
      for (let count = random.below(4); count > 0; count--)
        image[random.below(image.length)] = random.below(256);
      const layout = findKallsyms(image);
      if (layout !== undefined) expect([...kernelSymbols(image, layout)].length).toBe(layout.count);
    }
  });
});

const [INT, ARRAY, STRUCT, UNION, TYPEDEF] = [1, 3, 4, 5, 8];

function typeInformation(): Uint8Array {
  const strings = new Writer().text("");
  const string = (text: string): number => {
    const at = strings.bytes.length;
    strings.text(text);
    return at;
  };
  const types = new Writer();
  const type = (name: string, kind: number, count: number, size: number, flag = 0): void => {
    types
      .number(name === "" ? 0 : string(name), 4)
      .number((kind << 24) | count | ((flag << 31) >>> 0), 4)
      .number(size, 4);
  };
  const member = (name: string, of: number, bits: number): void => {
    types
      .number(name === "" ? 0 : string(name), 4)
      .number(of, 4)
      .number(bits, 4);
  };
  type("int", INT, 0, 4);
  types.number(32, 4);
  type("", UNION, 2, 8);
  member("first", 1, 0);
  member("second", 1, 32);
  type("part", STRUCT, 2, 16);
  member("base", 1, 0);
  member("size", 1, 64);
  type("part_t", TYPEDEF, 0, 3);
  type("", ARRAY, 0, 0);
  types.number(4, 4).number(1, 4).number(3, 4);
  type("task_struct", STRUCT, 4, 80);
  member("pid", 1, 32);
  member("", 2, 64);
  member("mem", 5, 128);
  member("self", 6, 512);
  const [typeBytes, stringBytes] = [types.bytes, strings.bytes];
  return new Writer()
    .number(0xeb9f, 2)
    .add(1, 0)
    .number(24, 4)
    .number(0, 4)
    .number(typeBytes.length, 4)
    .number(typeBytes.length, 4)
    .number(stringBytes.length, 4)
    .add(...typeBytes, ...stringBytes).bytes;
}

describe("a kernel's type information", () => {
  test("tells where members are", () => {
    const types = TypeInformation.find(Uint8Array.of(1, 2, 3, ...typeInformation()));
    const paths = [
      "pid",
      "first",
      "second",
      "mem",
      "mem[1].size",
      "mem[2].base",
      "none",
      "mem.size",
      "pid[1]",
    ];
    expect(paths.map((path) => types?.offsetOf("task_struct", path))).toEqual([
      ...[4, 8, 12, 16, 16 + 16 + 8, 16 + 32],
      ...[undefined, undefined, undefined],
    ]);
    expect([types?.sizeOf("part"), types?.sizeOf("none")]).toEqual([16, undefined]);
  });

  test("that is damaged or nests without end harms nobody", () => {
    const random = Random.ofThisRun();
    const whole = typeInformation();
    for (let round = 0; round < (FULL ? 50_000 : 2000); round++) {
      const image = whole.slice(0, random.below(3) === 0 ? random.below(whole.length) : whole.length);
      for (let count = random.below(6); count > 0; count--)
        image[random.below(image.length)] = random.below(256);
      const types = TypeInformation.parse(image);
      for (const path of ["pid", "second", "mem[1].size", "none"]) types?.offsetOf("task_struct", path);
    }
  });
});
