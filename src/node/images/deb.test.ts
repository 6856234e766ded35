import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makePackage } from "../../../test/support/debian-mirror.ts";
import { runHostProgram } from "../../../test/support/host-program.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { UserError } from "../../base/errors.ts";
import { readPackage } from "./deb.ts";

const BIG = Uint8Array.from({ length: 300_001 }, (_, index) => (index * index) >> 7);
const FILES = { "boot/image": BIG, "usr/share/a": Buffer.from("one"), "usr/share/empty": new Uint8Array(0) };

async function readAll(
  path: string,
  wanted: (name: string) => boolean = () => true,
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  await readPackage(path, wanted, (file) => {
    found.set(file.path, file.content);
  });
  return found;
}

describe("readPackage()", () => {
  test.each(["none", "gzip", "xz", "zstd"])("reads what dpkg-deb packs with %s", async (compression) => {
    const directory = temporaryDirectory();
    const tree = join(directory, "tree");
    mkdirSync(join(tree, "DEBIAN"), { recursive: true });
    writeFileSync(
      join(tree, "DEBIAN", "control"),
      "Package: t\nVersion: 1\nArchitecture: all\nMaintainer: T <t@t.invalid>\nDescription: t\n",
    );
    for (const [name, content] of Object.entries(FILES)) {
      mkdirSync(join(tree, name, ".."), { recursive: true });
      writeFileSync(join(tree, name), content);
    }
    const path = join(directory, "t.deb");
    const { status, stderr } = runHostProgram("dpkg-deb", [
      `-Z${compression}`,
      "--root-owner-group",
      "-b",
      tree,
      path,
    ]);
    // Debian's dpkg packs zstd from 1.21.18 on.
    expect([status, stderr]).toEqual([0, expect.anything()]);
    expect(new Map(Object.entries(FILES).map(([name, content]) => [name, Buffer.from(content)]))).toEqual(
      await readAll(path),
    );
    expect([...(await readAll(path, (name) => name === "usr/share/a")).keys()]).toEqual(["usr/share/a"]);
  });

  test("says so, wherever a package is cut off", async () => {
    const path = join(temporaryDirectory(), "cut.deb");
    const whole = await makePackage({ a: "text", b: BIG });
    for (let length = 0; length < whole.length; length += Math.ceil(whole.length / 40)) {
      writeFileSync(path, whole.subarray(0, length));
      await expect(readAll(path)).rejects.toBeInstanceOf(UserError);
    }
    writeFileSync(path, whole);
    expect((await readAll(path)).size).toBe(2);
  });

  test("says so for a file of another kind", async () => {
    const path = join(temporaryDirectory(), "t.deb");
    writeFileSync(path, readFileSync(process.execPath).subarray(0, 4096));
    await expect(readAll(path)).rejects.toThrow(/is not a Debian package \(it has no ar header\)/);
  });
});
