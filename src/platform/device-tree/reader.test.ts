import { describe, expect, test } from "vitest";
import { UserError } from "../../base/errors.ts";
import { encodeCells, encodeStrings } from "./property-values.ts";
import { readDeviceTree } from "./reader.ts";
import { createNode, type DeviceTree, findNode, walkTree } from "./tree.ts";
import { writeDeviceTree } from "./writer.ts";

function exampleTree(): DeviceTree {
  const root = createNode("");
  root.properties.set("compatible", encodeStrings("one", "two"));
  root.properties.set("empty", new Uint8Array(0));
  root.properties.set("odd", Uint8Array.of(1, 2, 3));
  const bus = createNode("bus@1000");
  bus.properties.set("reg", encodeCells(0x1000, 0xffff_ffff));
  bus.children.push(createNode("leaf"));
  root.children.push(bus, createNode("second"));
  return { reservations: [{ address: 0x8000_0000_0000n, size: 16n }], bootProcessor: 3, root };
}

/** A blob with words at `offset` replaced. */
function withWords(blob: Uint8Array, offset: number, ...words: number[]): Uint8Array {
  const copy = blob.slice();
  copy.set(encodeCells(...words), offset);
  return copy;
}

describe("readDeviceTree()", () => {
  const blob = writeDeviceTree(exampleTree());
  const structure = new DataView(blob.buffer).getUint32(8);

  test("reads back what writeDeviceTree() wrote", () => {
    expect(readDeviceTree(blob, "test")).toEqual(exampleTree());
  });

  test("reads version 16, which has no structure size, and NOP tokens", () => {
    const old = withWords(withWords(blob, 20, 16), 36, 0xffff_ffff);
    expect(readDeviceTree(old, "test")).toEqual(exampleTree());
    const emptyProperty = structure + 8 + 12 + 8;
    const skipped = withWords(blob, emptyProperty, 4, 4, 4);
    expect([...readDeviceTree(skipped, "test").root.properties.keys()]).toEqual(["compatible", "odd"]);
  });

  test("does not share memory with the blob", () => {
    const own = Buffer.from(blob);
    const tree = readDeviceTree(own, "test");
    own.fill(0);
    expect(tree).toEqual(exampleTree());
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["another version", withWords(blob, 20, 2, 2), /format version 2, .* at offset 20;/],
    ["a future version", withWords(blob, 20, 99, 98), /format version 99, .* at offset 20;/],
    ["no blob", withWords(blob, 0, 7), /does not begin with the magic number 0xd00dfeed, at offset 0;/],
    ["half a header", blob.slice(0, 30), /truncated: it has 30 bytes of 40, and ends at offset 30;/],
    ["a structure outside", withWords(blob, 8, 0xffff_fff0), /outside the blob of .*, at offset 8;/],
    ["a structure between words", withWords(blob, 8, structure + 2), /no multiple of 4, at offset 8;/],
    ["a structure without an end", withWords(blob, 36, 0xffff_fff0), /outside the blob of .*, at offset 36;/],
    ["strings outside", withWords(blob, 12, 0xffff_fff0), /outside the blob of .*, at offset 12;/],
    ["strings without an end", withWords(blob, 32, 0xffff_fff0), /outside the blob of .*, at offset 32;/],
    [
      "reservations outside",
      withWords(blob, 16, 0xffff_fff8),
      /reservation block without an end, at offset 4294967288;/,
    ],
    ["a huge size", withWords(blob, 4, 0x7fff_ffff), /more than the 2097152 .*, at offset 4;/],
    ["a size beyond the file", withWords(blob, 4, blob.length + 4), /truncated: .*, and ends at offset \d+;/],
    ["an unknown token", withWords(blob, structure + 8, 77), /unknown token 0x4d at offset \d+;/],
    ["no root", withWords(blob, structure, 9), /without a root/],
    ["a property that is too long", withWords(blob, structure + 12, 0x7fff_ffff), /without an end/],
    ["a name that is nowhere", withWords(blob, structure + 16, 0x7fff_ffff), /name without an end/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => readDeviceTree(bytes, "my.dtb")).toThrow(message);
    expect(() => readDeviceTree(bytes, "my.dtb")).toThrow(UserError);
    expect(() => readDeviceTree(bytes, "my.dtb")).toThrow(/^The device tree my\.dtb .*[.]$/);
  });

  test("refuses nodes inside nodes without end", () => {
    const deep = exampleTree();
    let node = deep.root;
    for (let depth = 0; depth < 70; depth++) {
      const child = createNode("deeper");
      node.children = [child];
      node = child;
    }
    expect(() => readDeviceTree(writeDeviceTree(deep), "my.dtb")).toThrow(/nests nodes deeper than 64/);
  });

  test("refuses more nodes than any board has", () => {
    const wide = exampleTree();
    wide.root.children = Array.from({ length: 66_000 }, (_, index) => createNode(`n${index}`));
    expect(() => readDeviceTree(writeDeviceTree(wide), "my.dtb")).toThrow(
      /has more than 65536, at offset \d+;/,
    );
    wide.root.children = Array.from({ length: 1_000_001 }, () => createNode(""));
    expect(() => readDeviceTree(writeDeviceTree(wide), "my.dtb")).toThrow(
      /more than the 2097152 a kernel can map, at offset 4;/,
    );
  });

  test("refuses a property that a node has twice", () => {
    const emptyProperty = structure + 8 + 12 + 8;
    const nameOfFirst = new DataView(blob.buffer).getUint32(structure + 16);
    const twice = withWords(blob, emptyProperty + 8, nameOfFirst);
    expect(() => readDeviceTree(twice, "my.dtb")).toThrow(/property "compatible" twice/);
  });
});

describe("findNode()", () => {
  test("finds by full name, by the name before a unit address, and not by half a name", () => {
    const tree = exampleTree();
    expect(findNode(tree, "/bus@1000/leaf")?.name).toBe("leaf");
    expect(findNode(tree, "/bus")?.name).toBe("bus@1000");
    expect(findNode(tree, "/bu")).toBeUndefined();
    expect(findNode(tree, "/")).toBe(tree.root);
  });

  test("walkTree() gives parents first and paths", () => {
    const paths = [...walkTree(exampleTree())].map(({ path }) => path);
    expect(paths).toEqual(["/", "/bus@1000", "/bus@1000/leaf", "/second"]);
  });
});
