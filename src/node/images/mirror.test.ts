import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { parseDeb822Sources, parseSourcesList } from "./apt-sources.ts";
import { findMirror } from "./mirror.ts";

describe("apt's configuration", () => {
  test("one-line style", () => {
    const text = `# deb http://old.invalid/debian bullseye main
deb http://mirror.invalid/debian/ bookworm main contrib # comment
deb [arch=arm64 signed-by=/usr/share/keyrings/a.gpg] https://mirror.invalid/debian-security bookworm-security main
deb-src http://mirror.invalid/debian bookworm main
deb http://flat.invalid/repository ./
nonsense`;
    expect(parseSourcesList(text)).toEqual([
      { url: "http://mirror.invalid/debian", suite: "bookworm", components: ["main", "contrib"] },
      { url: "https://mirror.invalid/debian-security", suite: "bookworm-security", components: ["main"] },
    ]);
  });

  test("deb822 style", () => {
    const text = `Types: deb deb-src
# a comment
URIs: http://mirror.invalid/debian
Suites: bookworm
 bookworm-updates
Components: main

Types: deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: trixie
Components: main
`;
    expect(parseDeb822Sources(text)).toEqual([
      { url: "http://mirror.invalid/debian", suite: "bookworm", components: ["main"] },
      { url: "http://mirror.invalid/debian", suite: "bookworm-updates", components: ["main"] },
    ]);
  });
});

describe("findMirror()", () => {
  /** A home with a configuration file and an apt directory, as wanted. */
  function home(files: { apt?: string; configuration?: string }) {
    const directory = temporaryDirectory();
    const aptDirectory = join(directory, "apt");
    mkdirSync(join(aptDirectory, "sources.list.d"), { recursive: true });
    if (files.apt !== undefined) writeFileSync(join(aptDirectory, "sources.list.d", "a.list"), files.apt);
    mkdirSync(join(directory, ".config", "elvisor"), { recursive: true });
    if (files.configuration !== undefined) {
      writeFileSync(join(directory, ".config", "elvisor", "config.yaml"), files.configuration);
    }
    return { environment: { HOME: directory }, aptDirectory };
  }
  const APT = "deb http://apt.invalid/debian bookworm main\ndeb http://other.invalid/packages stable main\n";
  const hosts = ({ suites }: Awaited<ReturnType<typeof findMirror>>) => [
    ...new Set(suites.map(({ url }) => new URL(url).hostname)),
  ];

  test("asks the option, the variable, the file, apt, in this order", async () => {
    const { environment, aptDirectory } = home({
      apt: APT,
      configuration: "mirror: http://file.invalid/debian\n",
    });
    const variable = { ...environment, ELVISOR_MIRROR: "http://variable.invalid/debian" };
    const option = "https://option.invalid/debian/";
    expect(hosts(await findMirror({ mirror: option, environment: variable, aptDirectory }))).toEqual([
      "option.invalid",
    ]);
    expect(hosts(await findMirror({ environment: variable, aptDirectory }))).toEqual(["variable.invalid"]);
    expect(hosts(await findMirror({ environment, aptDirectory }))).toEqual(["file.invalid"]);
    expect(hosts(await findMirror(home({ apt: APT, configuration: "" })))).toEqual(["apt.invalid"]);
  });

  test("a named mirror is looked at for its security archive too", async () => {
    const { suites } = await findMirror({ mirror: "http://m.invalid/debian/", environment: {} });
    expect(suites).toContainEqual({ url: "http://m.invalid/debian", suite: "bookworm", optional: true });
    expect(suites).toContainEqual({
      url: "http://m.invalid/debian-security",
      suite: "bookworm-security",
      optional: true,
    });
  });

  test("what apt names is required, what is guessed beside it is not", async () => {
    const { suites } = await findMirror(home({ apt: APT }));
    expect(suites.filter(({ optional }) => !optional)).toEqual([
      { url: "http://apt.invalid/debian", suite: "bookworm", optional: false },
    ]);
    expect(suites).toContainEqual({ url: "http://apt.invalid/debian", suite: "trixie", optional: true });
  });

  test("without any, one sentence asks for one", async () => {
    const message = /^No Debian mirror is known: .*--mirror URL.*ELVISOR_MIRROR.*config\.yaml\.$/;
    await expect(findMirror(home({}))).rejects.toThrow(message);
    await expect(findMirror(home({ apt: "deb http://other.invalid/packages stable main" }))).rejects.toThrow(
      message,
    );
    await expect(findMirror({ ...home({}), aptDirectory: "/nonexistent" })).rejects.toThrow(message);
  });

  test("says which value is no address", async () => {
    await expect(findMirror({ mirror: "ftp://x.invalid", environment: {} })).rejects.toThrow(
      /"ftp:\/\/x\.invalid" of --mirror/,
    );
    await expect(findMirror({ environment: { ELVISOR_MIRROR: "here" } })).rejects.toThrow(
      /"here" of ELVISOR_MIRROR/,
    );
    await expect(findMirror(home({ configuration: "mirror: [1, 2]" }))).rejects.toThrow(
      /"mirror" in .*config\.yaml is \[1,2\]/,
    );
    await expect(findMirror(home({ configuration: "{" }))).rejects.toThrow(/config\.yaml is not YAML/);
  });
});
