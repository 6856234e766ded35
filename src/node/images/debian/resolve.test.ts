import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { isWithin, parseDependencies } from "./dependency.ts";
import { PackageUniverse } from "./package-universe.ts";
import { resolvePackages } from "./resolve.ts";

/** A list of packages from "name version" and further fields. */
async function universeOf(packages: Readonly<Record<string, Readonly<Record<string, string>>>>) {
  const stanzas = Object.entries(packages).map(([key, fields]) => {
    const [name = "", version = "1"] = key.split(" ");
    const all = { Package: name, Version: version, Architecture: "arm64", ...fields };
    const lines = Object.entries(all).map(([field, value]) => `${field}: ${value}`);
    const file = [`Filename: pool/${name}_${version}.deb`, "Size: 1", `SHA256: ${"0".repeat(64)}`];
    return [...lines, ...file].join("\n");
  });
  const universe = new PackageUniverse();
  await universe.add(Readable.from([Buffer.from(stanzas.join("\n\n"))]), "http://mirror.invalid/debian");
  return universe;
}

async function resolved(
  packages: Parameters<typeof universeOf>[0],
  wanted: readonly string[],
): Promise<string[]> {
  return resolvePackages(await universeOf(packages), wanted, "the mirror").map(
    ({ name, version }) => `${name} ${version}`,
  );
}

describe("dependencies", () => {
  test("names, alternatives, architectures, bounds", () => {
    expect(parseDependencies("a, b:any (>= 1:2~) | c, d (<< 3)")).toEqual([
      [{ name: "a", bound: undefined }],
      [
        { name: "b", bound: { relation: ">=", version: "1:2~" } },
        { name: "c", bound: undefined },
      ],
      [{ name: "d", bound: { relation: "<<", version: "3" } }],
    ]);
    expect(parseDependencies("")).toEqual([]);
    expect(() => parseDependencies("a (about 3)")).toThrow(RangeError);
  });

  test.each([
    ["<<", [true, false, false]],
    ["<=", [true, true, false]],
    ["=", [false, true, false]],
    [">=", [false, true, true]],
    [">>", [false, false, true]],
  ] as const)("%s", (relation, expected) => {
    const bound = { name: "a", bound: { relation, version: "2" } };
    expect(["1", "2", "3"].map((version) => isWithin(version, bound))).toEqual(expected);
  });
});

describe("resolvePackages()", () => {
  test("follows Depends and Pre-Depends, not Recommends, and takes newest versions", async () => {
    const packages = {
      a: { Depends: "b", "Pre-Depends": "c (>= 2)", Recommends: "d" },
      b: { Depends: "a" },
      "c 1": {},
      "c 3": {},
      "c 2": {},
      d: {},
    };
    expect(await resolved(packages, ["a"])).toEqual(["a 1", "b 1", "c 3"]);
  });

  test("an alternative that is there anyway wins, else the first that fits", async () => {
    const packages = {
      a: { Depends: "x | y" },
      b: { Depends: "z (>= 9) | y" },
      x: {},
      y: {},
      z: {},
    };
    expect(await resolved(packages, ["a"])).toEqual(["a 1", "x 1"]);
    expect(await resolved(packages, ["a", "y"])).toEqual(["a 1", "y 1"]);
    expect(await resolved(packages, ["b"])).toEqual(["b 1", "y 1"]);
  });

  test("a provided name is satisfied by a provider, with a bound only by one that says its version", async () => {
    const packages = {
      a: { Depends: "mail" },
      b: { Depends: "mail (>= 2)" },
      postman: { Provides: "mail" },
      rider: { Provides: "mail (= 3)" },
    };
    expect(await resolved(packages, ["a"])).toEqual(["a 1", "postman 1"]);
    expect(await resolved(packages, ["b"])).toEqual(["b 1", "rider 1"]);
    expect(await resolved(packages, ["a", "b"])).toContain("rider 1");
    expect(await resolved(packages, ["mail"])).toEqual(["postman 1"]);
  });

  test("a provider that what is chosen excludes is passed over", async () => {
    const packages = {
      a: { Depends: "mail" },
      other: { Provides: "old" },
      postman: { Provides: "mail", Conflicts: "old" },
      rider: { Provides: "mail" },
    };
    expect(await resolved(packages, ["other", "a"])).toEqual(["a 1", "other 1", "rider 1"]);
  });

  test("what cannot be is a sentence", async () => {
    const packages = { a: { Depends: "b (>= 2)" }, b: {}, c: { Breaks: "b (<< 2)" }, d: { Depends: "(" } };
    await expect(resolved(packages, ["nothing"])).rejects.toThrow(
      /^There is no package "nothing" in the mirror/,
    );
    await expect(resolved(packages, ["a"])).rejects.toThrow(
      /^a 1 needs b \(>= 2\), which the mirror does not have/,
    );
    await expect(resolved(packages, ["c", "b"])).rejects.toThrow(/^c 1 and b 1 cannot be installed together/);
    await expect(resolved(packages, ["d"])).rejects.toThrow(/is not understood at d/);
  });
});
