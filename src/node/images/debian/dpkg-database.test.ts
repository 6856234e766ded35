import { expect, test } from "vitest";
import type { PackageEntry } from "../deb.ts";
import { commonDatabaseFiles, DatabaseEntry } from "./dpkg-database.ts";

function controlFile(path: string, text: string): PackageEntry {
  const rest = { type: "file", mode: 0o644, user: 0, group: 0, target: "", time: 0, major: 0, minor: 0 };
  return { ...rest, path, content: async () => Buffer.from(text) };
}

async function entryOf(control: Readonly<Record<string, string>>): Promise<DatabaseEntry> {
  const entry = new DatabaseEntry();
  for (const [path, text] of Object.entries(control)) await entry.takeControl(controlFile(path, text));
  return entry;
}

test("a package is unpacked, with its configuration files' hashes", async () => {
  const entry = await entryOf({
    control: "Package: a\nVersion: 1\nArchitecture: arm64\nDescription: one\n two\n",
    conffiles: "/etc/a.conf\n/etc/absent\n",
    preinst: "#!/bin/sh\n",
  });
  entry.takePath("", undefined);
  entry.takePath("etc", undefined);
  entry.takePath("etc/a.conf", Buffer.from("x\n"));
  expect(entry.stanza()).toBe(
    "Package: a\nStatus: install ok unpacked\nVersion: 1\nArchitecture: arm64\nDescription: one\n two\n" +
      "Conffiles:\n /etc/a.conf 401b30e3b8b5d629635a5c613cdb7919\n",
  );
  expect(entry.hasPreinst).toBe(true);
  expect(
    entry.files().map(({ path, mode, content }) => [path, mode, Buffer.from(content).toString()]),
  ).toEqual([
    ["var/lib/dpkg/info/a.conffiles", 0o644, "/etc/a.conf\n/etc/absent\n"],
    ["var/lib/dpkg/info/a.preinst", 0o755, "#!/bin/sh\n"],
    ["var/lib/dpkg/info/a.list", 0o644, "/.\n/etc\n/etc/a.conf\n"],
  ]);
});

test("triggers, and packages that may be there for several architectures", async () => {
  const library = await entryOf({
    control: "Package: lib\nArchitecture: arm64\nMulti-Arch: same\n",
    triggers: "# comment\ninterest-noawait /usr/lib\ninterest named\nactivate-noawait ldconfig\n",
  });
  const other = await entryOf({
    control: "Package: other\nArchitecture: all\n",
    triggers: "interest-await named\n",
  });
  expect(library.fileName).toBe("lib:arm64");
  const files = new Map(
    commonDatabaseFiles([library, other]).map(({ path, content }) => [path, Buffer.from(content).toString()]),
  );
  expect(files.get("var/lib/dpkg/triggers/File")).toBe("/usr/lib lib:arm64/noawait\n");
  expect(files.get("var/lib/dpkg/triggers/named")).toBe("lib:arm64\nother\n");
  expect(files.get("var/lib/dpkg/status")).toMatch(/^Package: lib\n(.+\n)+\nPackage: other\n(.+\n)+$/);
});

test("a trigger's name cannot lead elsewhere", async () => {
  const entry = await entryOf({ control: "Package: a\n", triggers: "interest ../../x\n" });
  expect(() => commonDatabaseFiles([entry])).toThrow(/which no trigger is called/);
});
