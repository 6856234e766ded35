import { describe, expect, test } from "vitest";
import { roundTrip } from "../../../test/support/acpica.ts";
import { Random } from "../../../test/support/random.ts";
import { byteSum } from "../acpi/table.ts";
import { convertTree } from "../conversion/convert.ts";
import { decodeStrings, encodeCells, encodeStrings } from "../device-tree/property-values.ts";
import { readDeviceTree } from "../device-tree/reader.ts";
import { createNode, type DeviceTree, findNode, walkTree } from "../device-tree/tree.ts";
import { virtDeviceTreeBlob } from "../virt-device-tree.ts";
import { writeAliasTable } from "./alias-table.ts";
import { checkAliasResources, withAliases } from "./alias-tree.ts";
import { aliasFor, checkAliases, compatibleIds, type DeviceAlias } from "./device-aliases.ts";

const SERIAL: DeviceAlias = { match: { hid: "ACME0001" }, as: ["ARMH0011", "arm,pl011", "arm,primecell"] };

/** Our board with ids that nobody knows. */
function obscureBoard(): DeviceTree {
  const blob = virtDeviceTreeBlob({ memoryBytes: 2 ** 29, cpus: 1, secure: false, virtualization: false });
  const tree = readDeviceTree(blob, "virt");
  const ids: Record<string, string> = { "arm,pl011": "ACME0001", "virtio,mmio": "ACME0002" };
  for (const { node } of walkTree(tree)) {
    const id = ids[decodeStrings(node.properties.get("compatible") ?? new Uint8Array(0))?.[0] ?? ""];
    if (id !== undefined) node.properties.set("compatible", encodeStrings(id));
  }
  return tree;
}

describe("checkAliases()", () => {
  test("finds nothing wrong with good ones", () => {
    const good: DeviceAlias[] = [
      SERIAL,
      { match: { compatible: "acme,disk", uid: 3 }, as: ["virtio,mmio"] },
      { match: { compatible: "acme,disk" }, as: ["LNRO0005"] },
      { match: { hid: "ABC12DE" }, as: ["acme,disk"] },
    ];
    expect(checkAliases(good)).toEqual([]);
  });

  test.each<[string, DeviceAlias[], number, RegExp]>([
    ["an id that is none", [{ match: { hid: "acme" }, as: ["ARMH0011"] }], 0, /"acme" is no ACPI id/],
    [
      "another id that is none",
      [{ match: { compatible: "Has Space" }, as: ["ARMH0011"] }],
      0,
      /no compatible name/,
    ],
    ["an alternative that is none", [{ match: { hid: "ACME0001" }, as: ["Foo"] }], 0, /"Foo" is neither/],
    [
      "two ids",
      [{ match: { hid: "ACME0001", compatible: "a,b" }, as: ["ARMH0011"] }],
      0,
      /either hid or compatible/,
    ],
    ["no id", [{ match: { uid: 1 }, as: ["ARMH0011"] }], 0, /either hid or compatible/],
    ["itself", [{ match: { hid: "ACME0001" }, as: ["ACME0001"] }], 0, /alias of itself/],
    [
      "a long name",
      [{ match: { compatible: "acme,a-long-name-x" }, as: ["ARMH0011"] }],
      0,
      /more than the 16 characters/,
    ],
    ["the same device twice", [SERIAL, { ...SERIAL, as: ["ARMHB000"] }], 1, /same device as alias 1/],
    [
      "a cycle",
      [
        SERIAL,
        { match: { hid: "ARMH0011" }, as: ["a,b"] },
        { match: { compatible: "a,b" }, as: ["ARMH0011"] },
      ],
      1,
      /lead from "ARMH0011" back/,
    ],
  ])("finds %s", (_, aliases, index, pattern) => {
    const [problem] = checkAliases(aliases);
    expect(problem?.index).toBe(index);
    expect(problem?.text).toMatch(pattern);
  });

  test("takes as many as a table holds, however long their chains, and no more", () => {
    const id = (number: number): string => `ACME${number.toString(16).toUpperCase().padStart(4, "0")}`;
    const chain = Array.from(
      { length: 4097 },
      (_, at): DeviceAlias => ({ match: { hid: id(at) }, as: [id(at + 1)] }),
    );
    expect(checkAliases(chain.slice(0, 4096))).toEqual([]);
    expect(checkAliases(chain)[0]?.text).toMatch(/4097 aliases, and a table holds 4096/);
  });
});

test("the table DIDM is one that ACPICA dumps, with a record for each pair", async () => {
  const table = writeAliasTable([SERIAL, { match: { compatible: "acme,disk", uid: 3 }, as: ["LNRO0005"] }]);
  expect(byteSum(table)).toBe(0);
  const view = new DataView(table.buffer, table.byteOffset);
  expect([view.getUint32(36, true), view.getUint32(40, true), table.length]).toEqual([4, 40, 44 + 4 * 40]);
  expect(Buffer.from(table).toString("latin1", 44 + 8, 44 + 40)).toBe(
    `ACME0001${"\0".repeat(8)}ARMH0011${"\0".repeat(8)}`,
  );
  expect([...table.subarray(44 + 3 * 40, 44 + 3 * 40 + 8)]).toEqual([1, 0, 1, 0, 3, 0, 0, 0]);
  const { source } = await roundTrip(table);
  expect(source).toMatch(/Signature : "DIDM"/);
});

describe("a board", () => {
  test("gets alternatives in its tree, in _CID, and the table in both", async () => {
    const aliases = [
      SERIAL,
      { match: { hid: "ACME0002", uid: 1 }, as: ["virtio,mmio"], properties: { "acme,mode": 7 } },
    ];
    const tree = withAliases(obscureBoard(), aliases);
    const compatible = (path: string) => decodeStrings(findNode(tree, path)!.properties.get("compatible")!);
    expect(compatible("/pl011@9000000")).toEqual(["ACME0001", "arm,pl011", "arm,primecell"]);
    expect(compatible("/virtio_mmio@a000000")).toEqual(["ACME0002"]);
    expect(compatible("/virtio_mmio@a000200")).toEqual(["ACME0002", "virtio,mmio"]);
    expect(findNode(tree, "/virtio_mmio@a000200")!.properties.get("acme,mode")).toEqual(encodeCells(7));
    const entry = findNode(tree, "/chosen/device-aliases/alias-0")!;
    expect(decodeStrings(entry.properties.get("match")!)).toEqual(["ACME0001"]);
    expect(decodeStrings(entry.properties.get("as")!)).toEqual(["ARMH0011", "arm,pl011", "arm,primecell"]);
    // Once more changes nothing.
    expect(withAliases(tree, aliases)).toEqual(tree);

    const result = convertTree(obscureBoard(), { source: "virt", aliases, strict: true });
    if (result.status === "refused") throw new Error(result.reason);
    expect(result.tables.get("DIDM")).toEqual(writeAliasTable(aliases));
    const dsdt = await roundTrip(result.tables.get("DSDT")!);
    expect({ ...dsdt, source: "", messages: "" }).toEqual({
      errors: 0,
      warnings: 0,
      identical: true,
      source: "",
      messages: "",
    });
    expect(dsdt.source).toMatch(/"ACME0001"\)[^\n]*\n\s*Name \(_CID, "ARMH0011"/);
    expect(dsdt.source.match(/_CID, "PRP0001"/g)).toHaveLength(1);
  });

  test("does not get a driver that its resources do not do for", () => {
    const tree = obscureBoard();
    expect(checkAliasResources(tree, [SERIAL])).toEqual([]);
    const small = createNode("small@9100000");
    small.properties.set("compatible", encodeStrings("ACME0009"));
    small.properties.set("reg", encodeCells(0, 0x910_0000, 0, 16));
    tree.root.children.push(small);
    const [problem] = checkAliasResources(tree, [SERIAL, { match: { hid: "ACME0009" }, as: ["ARMH0011"] }]);
    expect(problem?.index).toBe(1);
    expect(problem?.text).toMatch(
      /small@9100000; drivers for ARMH0011 need 72 bytes of registers, and it has 16/,
    );
  });
});

test("what binds is what a plain reading of the rules binds, for random tables and machines", () => {
  const random = Random.ofThisRun();
  const pick = <Item>(items: readonly Item[]): Item => items[random.below(items.length)]!;
  const ids = ["ACME0001", "ACME0002", "acme,one", "acme,two", "ARMH0011", "LNRO0005", "arm,pl061"];
  for (let round = 0; round < 1000; round++) {
    const aliases = Array.from({ length: random.below(6) }, (): DeviceAlias => {
      const id = pick(ids);
      const uid = random.below(3) === 0 ? random.below(3) : undefined;
      return { match: /^[A-Z]/.test(id) ? { hid: id, uid } : { compatible: id, uid }, as: [pick(ids)] };
    });
    const device = { ids: [pick(ids), pick(ids)], uid: random.below(3) };
    const found = aliasFor(aliases, device);
    // The rules: the device's number decides first, then the order of the table.
    let expected: DeviceAlias | undefined;
    for (const exact of [true, false]) {
      for (const alias of aliases) {
        const id = alias.match.hid ?? alias.match.compatible;
        const numbered = exact ? alias.match.uid === device.uid : alias.match.uid === undefined;
        if (expected === undefined && numbered && device.ids.some((own) => own === id)) expected = alias;
      }
    }
    expect(found, `ELVISOR_SEED=${random.seed}`).toBe(expected);
    if (found !== undefined) expect(compatibleIds(found).length).toBeGreaterThan(0);
  }
});
