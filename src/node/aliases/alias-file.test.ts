import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runElvisor } from "../../../test/support/fake-host.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { UserError } from "../../base/errors.ts";
import { virtDeviceTreeBlob } from "../../platform/virt-device-tree.ts";
import { parseAliasFile, readAliasFile } from "./alias-file.ts";

const schema: object = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../schemas/device-aliases.schema.json"), "utf8"),
) as object;

const parse = (text: string) => parseAliasFile("aliases.yaml", text, schema);

describe("a file of aliases", () => {
  test("may be YAML or JSON", async () => {
    const yaml =
      "aliases:\n  - match: { hid: ACME0001, uid: 2 }\n    as: [ARMH0011]\n    properties: { clock-frequency: 24000000 }\n";
    const expected = [
      { match: { hid: "ACME0001", uid: 2 }, as: ["ARMH0011"], properties: { "clock-frequency": 24000000 } },
    ];
    expect(parse(yaml).aliases).toEqual(expected);
    const path = join(temporaryDirectory(), "aliases.json");
    writeFileSync(path, JSON.stringify({ aliases: expected }));
    expect((await readAliasFile(path)).aliases).toEqual(expected);
  });

  test.each<[string, string, RegExp]>([
    ["no YAML", "aliases: [", /^aliases\.yaml:1:\d+: /],
    ["a key twice", "aliases: []\naliases: []\n", /^aliases\.yaml:2:1: .*unique/i],
    ["another form", "aliases: 3\n", /^aliases\.yaml:1:10: aliases must be array/],
    ["nothing", "", /^aliases\.yaml:1:1: the file must be object/],
    [
      "an unknown word",
      "aliases:\n  - match: { hid: ACME0001 }\n    as: [ARMH0011]\n    colour: red\n",
      /:2:5: aliases\/0 must NOT have additional properties \("colour"\)/,
    ],
    [
      "a number that is none",
      "aliases:\n  - match: { hid: ACME0001, uid: -1 }\n    as: [ARMH0011]\n",
      /:2:34: aliases\/0\/match\/uid must be >= 0/,
    ],
    [
      "a bad id",
      "aliases:\n  - match: { hid: ACME0001 }\n    as: [ARMH0011]\n  - match: { hid: acme }\n    as: [ARMH0011]\n",
      /:4:12: alias 2: "acme" is no ACPI id/,
    ],
    [
      "a cycle",
      "aliases:\n  - { match: { hid: ACME0001 }, as: [ACME0002] }\n  - { match: { hid: ACME0002 }, as: [ACME0001] }\n",
      /:2:37: alias 1: aliases lead from "ACME0001" back/,
    ],
    [
      "a conflict",
      "aliases:\n  - { match: { hid: ACME0001 }, as: [ARMH0011] }\n  - { match: { hid: ACME0001 }, as: [ARMH0061] }\n",
      /:3:14: alias 2: it is for the same device as alias 1/,
    ],
    [
      "anchors that multiply",
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\naliases: [*c,*c,*c,*c,*c,*c,*c,*c]\n`,
      /:1:1: /,
    ],
  ])("with %s is refused as a whole, with line and column", (_, text, pattern) => {
    let refusal: unknown;
    try {
      parse(text);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(UserError);
    expect(refusal instanceof Error && refusal.message).toMatch(pattern);
  });
});

test("elvisor acpi --aliases writes DIDM, and refuses what the board's resources do not do for", async () => {
  const directory = temporaryDirectory();
  const [board, aliases, output] = ["board.dtb", "aliases.yaml", "out"].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  writeFileSync(
    board,
    virtDeviceTreeBlob({ memoryBytes: 2 ** 29, cpus: 1, secure: false, virtualization: false }),
  );
  writeFileSync(aliases, "aliases:\n  - { match: { compatible: 'virtio,mmio' }, as: [ACME0002] }\n");
  const good = await runElvisor(["acpi", board, "-o", output, "--aliases", aliases, "--report"]);
  expect(good.stderr).toBe("");
  expect(good.status).toBe(0);
  expect(readFileSync(join(output, "DIDM.aml")).toString("latin1", 0, 4)).toBe("DIDM");
  expect(JSON.parse(readFileSync(join(output, "report.json"), "utf8"))).toMatchObject({
    status: "converted",
    warnings: [],
  });

  const commands = [
    ["acpi", board, "-o", output],
    ["devices", "--acpi", "auto"],
    ["run", "--acpi", "auto", "--kernel", board],
    ["run", "--acpi", "auto", "--kernel", board, "--dtb", board],
  ];
  for (const match of ["compatible: 'qemu,fw-cfg-mmio'", "hid: QEMU0002"]) {
    writeFileSync(aliases, `aliases:\n  - match: { ${match} }\n    as: [ARMH0011]\n`);
    for (const words of commands) {
      const bad = await runElvisor([...words, "--aliases", aliases]);
      expect(bad.status).toBe(1);
      expect(bad.stderr).toMatch(
        /aliases\.yaml:3:9: alias 1: it is for \/fw-cfg@9020000; drivers for ARMH0011 need 72 bytes/,
      );
    }
  }
});

test("elvisor acpi says what is wrong with a file", async () => {
  const directory = temporaryDirectory();
  const path = join(directory, "x.dtb");
  writeFileSync(path, "no tree");
  const outcome = await runElvisor(["acpi", path, "-o", join(directory, "out")]);
  expect(outcome.status).toBe(1);
  expect(outcome.stderr).toMatch(/x\.dtb has no ACPI tables: .*does not begin with the magic number/);
  const missing = await runElvisor(["acpi", join(directory, "none.dtb"), "-o", directory]);
  expect(missing.stderr).toMatch(/There is no device tree .*none\.dtb/);
});
