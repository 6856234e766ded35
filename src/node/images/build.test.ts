import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ArchiveKey,
  makeArchiveKey,
  makePackage,
  TestMirror,
} from "../../../test/support/debian-mirror.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { buildImage } from "./build.ts";
import { ImageCache } from "./cache.ts";
import { SILENT_PROGRESS } from "./download.ts";
import { pullImages } from "./pull.ts";

let key: ArchiveKey;
let mirror: TestMirror;
beforeAll(async () => {
  key = await makeArchiveKey();
  mirror = await TestMirror.start();
  const busybox = await makePackage({ "bin/busybox": "busy" });
  const names = ["busybox-static", "nginx", "nginx-full", "git", "gitk"];
  await mirror.addSuite(
    "bookworm",
    names.map((name) => ({ name, version: "1", bytes: busybox })),
    key,
  );
});
afterAll(() => mirror.stop());

/** Settings, and a recipe with these lines in a directory of its own. */
function setUp(lines: readonly string[]) {
  const directory = temporaryDirectory();
  const keyring = join(directory, "keys.gpg");
  writeFileSync(keyring, key.publicKey);
  writeFileSync(join(directory, "Elvisorfile"), lines.join("\n"));
  const cache = new ImageCache(join(directory, "cache"));
  const settings = { cache, progress: SILENT_PROGRESS, environment: {}, mirror: mirror.url, keyring };
  return { directory, settings };
}

test.each([
  [
    ["base: debian:12", "packages:", "  - git", "  - ngimx"],
    ':4: There is no package "ngimx"; did you mean nginx?',
  ],
  [["base: debian:12", "packages: [zzz]"], ':2: There is no package "zzz"; check its name.'],
  [["base: kernel:6.1-cloud"], ':1: Nothing can be built on "kernel:6.1-cloud", only on debian:12.'],
  [["base: debian:12", "files:", "- { from: none, to: /x }"], /:3: .*none cannot be read \(ENOENT\)/],
  [["base: debian:12", "name: A b"], ':2: "A b" cannot be the name of an image'],
  [["base: debian:12", "name: debian-12"], ":2: debian-12 is what elvisor pull calls another image"],
])("%j is refused with the line at fault", async (lines, sentence) => {
  const { directory, settings } = setUp(lines);
  const name = lines.some((line) => line.startsWith("name:")) ? undefined : "web";
  await expect(buildImage(directory, name, settings)).rejects.toThrow(sentence);
  expect((await settings.cache.list()).filter((image) => image.name !== "busybox")).toEqual([]);
});

test("a recipe that is not there is a sentence", async () => {
  const { directory, settings } = setUp([]);
  await expect(buildImage(join(directory, "other"), "web", settings)).rejects.toThrow(
    /other cannot be read \(ENOENT\); write one/,
  );
});

test("what is no file cannot go into an image", async () => {
  const { directory, settings } = setUp(["base: debian:12", "files:", "- { from: tree, to: /tree }"]);
  mkdirSync(join(directory, "tree"));
  symlinkSync("nowhere", join(directory, "tree", "link"));
  symlinkSync("/dev/null", join(directory, "tree", "null"));
  // Links go as they are: this one fails later, for want of the packages of a whole system.
  await expect(buildImage(directory, "web", settings)).rejects.toThrow(/There is no package "usr-is-merged"/);
  writeFileSync(join(directory, "Elvisorfile"), "base: debian:12\nfiles:\n- { from: /dev/null, to: /tree }");
  await expect(buildImage(directory, "web", settings)).rejects.toThrow(
    /:3: \/dev\/null is no file, directory or link; leave it out/,
  );
});

test("an image that is being made does not hold up others", async () => {
  const { settings } = setUp([]);
  const lock = await settings.cache.lock("debian:12", () => {});
  const [busybox] = await pullImages(["busybox"], settings);
  expect(busybox?.name).toBe("busybox");
  lock.release();
});

test("images can be removed; pruning leaves what is whole, and what somebody is making", async () => {
  const { settings } = setUp([]);
  const { cache } = settings;
  await pullImages(["busybox"], settings);
  const draft = await cache.draft("debian:12");
  writeFileSync(join(draft, "disk.raw"), "under way");
  const left = await cache.draft("web");
  writeFileSync(join(left, "disk.raw"), Buffer.alloc(100_000, 1));
  mkdirSync(cache.downloads, { recursive: true });
  writeFileSync(join(cache.downloads, "old.deb.part"), Buffer.alloc(50_000, 1));
  const lock = await cache.lock("debian:12", () => {});
  expect(await cache.prune()).toBeGreaterThanOrEqual(150_000);
  lock.release();
  expect([existsSync(draft), existsSync(left), readdirSync(cache.downloads)]).toEqual([true, false, []]);
  expect((await cache.list()).map(({ name }) => name)).toEqual(["busybox"]);
  await cache.remove("busybox");
  expect(await cache.list()).toEqual([]);
});
