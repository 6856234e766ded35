import { spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bundleProgram } from "../../../test/support/bundle.ts";
import {
  type ArchiveKey,
  makeArchiveKey,
  makePackage,
  sha256,
  TestMirror,
  type TestPackage,
} from "../../../test/support/debian-mirror.ts";
import { makeKernelModule } from "../../../test/support/kernel-module.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { ImageCache } from "./cache.ts";
import { SILENT_PROGRESS } from "./download.ts";
import { ensureImages, type PullSettings, pullImages } from "./pull.ts";

const IMAGE = Uint8Array.from({ length: 200_000 }, (_, index) => Math.imul(index, 2654435761) >>> 13);
const RELEASE = "6.1.0-9-cloud-arm64";
const MODULES = `lib/modules/${RELEASE}/kernel/drivers`;

let key: ArchiveKey;
let packages: Record<"busybox" | "oldKernel" | "kernel" | "newKernel", TestPackage>;
let mirror: TestMirror;
beforeAll(async () => {
  key = await makeArchiveKey();
  const kernel = await makePackage({
    [`boot/vmlinuz-${RELEASE}`]: IMAGE,
    [`boot/config-${RELEASE}`]: "CONFIG_ARM64=y\n",
    [`${MODULES}/virtio/virtio_mmio.ko`]: makeKernelModule(["depends=virtio"]),
    [`${MODULES}/virtio/virtio.ko`]: makeKernelModule(["depends="]),
    [`${MODULES}/block/unwanted.ko`]: makeKernelModule(["depends=virtio"]),
  });
  const small = await makePackage({ [`boot/vmlinuz-${RELEASE}`]: "small" });
  packages = {
    busybox: {
      name: "busybox-static",
      version: "1:1.35.0-4",
      bytes: await makePackage({ "bin/busybox": "busy" }),
    },
    oldKernel: { name: "linux-image-6.1.0-8-cloud-arm64", version: "6.1.9-1", bytes: small },
    kernel: { name: `linux-image-${RELEASE}`, version: "6.1.10-1", bytes: kernel },
    newKernel: { name: "linux-image-6.1.0-10-cloud-arm64", version: "6.1.11-1", bytes: small },
  };
});
beforeEach(async () => {
  mirror = await TestMirror.start();
  const { busybox, oldKernel, kernel } = packages;
  const decoys = ["", "-unsigned", "-dbg"].map((end) => ({
    ...oldKernel,
    name: `linux-image-6.1.0-99-arm64${end}`,
    version: "9",
  }));
  await mirror.addSuite("bookworm", [busybox, oldKernel, kernel, ...decoys], key);
});
afterEach(() => mirror.stop());

function settings(change: Partial<PullSettings> = {}) {
  const directory = temporaryDirectory();
  const keyring = join(directory, "keys.gpg");
  writeFileSync(keyring, key.publicKey);
  const cache = new ImageCache(join(directory, "cache"));
  return { cache, progress: SILENT_PROGRESS, environment: {}, mirror: mirror.url, ...change, keyring };
}

/** Every file below a directory. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

describe("pullImages()", () => {
  test("brings the newest kernel and what the default guest needs of it", async () => {
    const how = settings();
    const [image] = await pullImages(["kernel:6.1-cloud"], how);
    expect(image).toMatchObject({ package: `linux-image-${RELEASE}`, version: "6.1.10-1" });
    expect(readFileSync(join(image!.directory, "Image"))).toEqual(Buffer.from(IMAGE));
    expect(image!.files[0]).toEqual({ path: "Image", size: IMAGE.length, sha256: sha256(IMAGE) });
    expect(image!.files.map(({ path }) => path)).toEqual([
      "Image",
      `${MODULES}/virtio/virtio.ko`,
      `${MODULES}/virtio/virtio_mmio.ko`,
      `lib/modules/${RELEASE}/modules.dep`,
      `lib/modules/${RELEASE}/modules.alias`,
    ]);
  });

  test("leaves nothing but images and lists in the cache", async () => {
    const how = settings();
    await pullImages(["kernel:6.1-cloud", "busybox"], how);
    const files = filesBelow(how.cache.directory).filter((path) => !path.startsWith("images/"));
    expect(files).toEqual([expect.stringMatching(/^lists\/[0-9a-f]{64}-Packages\.gz$/)]);
  });

  test("takes a newer version from the security archive, and forgets the old one", async () => {
    const how = settings();
    await pullImages(["kernel:6.1-cloud"], how);
    await mirror.addSuite("bookworm-security", [packages.newKernel], key);
    const [image] = await pullImages(["kernel:6.1-cloud"], how);
    expect(image!.version).toBe("6.1.11-1");
    expect((await how.cache.list()).map(({ version }) => version)).toEqual(["6.1.11-1"]);
    // The lists of the two suites, and nothing older.
    await mirror.addSuite("bookworm", [packages.busybox], key);
    await pullImages(["kernel:6.1-cloud"], how);
    expect(filesBelow(how.cache.lists)).toHaveLength(2);
  });

  test("fetches nothing again that is there", async () => {
    const how = settings();
    await ensureImages(["kernel:6.1-cloud", "busybox"], how);
    mirror.requests.length = 0;
    await ensureImages(["kernel:6.1-cloud", "busybox"], how);
    expect(mirror.requests).toEqual([]);
    await pullImages(["busybox"], how);
    expect(mirror.requests.map(({ path }) => path).filter((path) => !path.endsWith("InRelease"))).toEqual([]);
  });

  test("fetches an image again whose file has lost bytes", async () => {
    const how = settings();
    const { busybox } = await ensureImages(["busybox"], how);
    writeFileSync(join(busybox.directory, "busybox"), "b");
    await ensureImages(["busybox"], how);
    expect(readFileSync(join(busybox.directory, "busybox"), "utf8")).toBe("busy");
  });

  test("asks by hash where the archive has that", async () => {
    await mirror.addSuite("bookworm", [packages.busybox], key, "Acquire-By-Hash: yes\n");
    const list = mirror.files.get("dists/bookworm/main/binary-arm64/Packages.gz")!;
    mirror.files.set(`dists/bookworm/main/binary-arm64/by-hash/SHA256/${sha256(list)}`, list);
    await pullImages(["busybox"], settings());
    expect(mirror.requests.map(({ path }) => path)).not.toContain(
      "dists/bookworm/main/binary-arm64/Packages.gz",
    );
  });

  test("says that an index is too old, and goes on", async () => {
    await mirror.addSuite(
      "bookworm",
      [packages.busybox],
      key,
      "Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC\n",
    );
    const said: string[] = [];
    await pullImages(
      ["busybox"],
      settings({ progress: { ...SILENT_PROGRESS, say: (text) => said.push(text) } }),
    );
    expect(said[0]).toMatch(/should not be used after 2000-01-01/);
  });

  test("trusts nothing that the index does not vouch for", async () => {
    const other = await makePackage({ "bin/busybox": "evil" });
    const paths = [...mirror.files.keys()].filter((path) => !path.endsWith("InRelease"));
    for (const path of paths.filter((name) => /Packages|busybox/.test(name))) {
      mirror.misbehave = (asked) => (asked === path ? { instead: other } : {});
      const how = settings();
      await expect(pullImages(["busybox"], how)).rejects.toThrow(/not what the signed index describes/);
      expect(await how.cache.list()).toEqual([]);
    }
    const stranger = await makeArchiveKey();
    await mirror.addSuite("bookworm", [{ ...packages.busybox, bytes: other }], stranger);
    mirror.misbehave = () => ({});
    await expect(pullImages(["busybox"], settings())).rejects.toThrow(/signature of .* does not hold/);
  });

  test("says so when the mirror has no such package, or is none", async () => {
    await expect(pullImages(["kernel:6.12-16k"], settings())).rejects.toThrow(
      /No package for kernel:6\.12-16k is in the Debian mirror that --mirror names/,
    );
    await expect(pullImages(["busybox"], settings({ mirror: "http://127.0.0.1:9/debian" }))).rejects.toThrow(
      /cannot be reached/,
    );
    await expect(pullImages(["kernel:7"], settings())).rejects.toThrow(/There is no image "kernel:7"/);
  });

  test("a second pull waits for the first, says so, and fetches nothing twice", async () => {
    const how = settings();
    mirror.misbehave = () => ({ delay: 100 });
    const said: string[] = [];
    // Which of the two comes first is for the host to decide.
    const telling = { ...how, progress: { ...SILENT_PROGRESS, say: (text: string) => said.push(text) } };
    const [first, other] = await Promise.all([
      ensureImages(["busybox"], telling),
      ensureImages(["busybox"], telling),
    ]);
    expect(other).toEqual(first);
    const waiting = /^Another elvisor \(process \d+\) is (making busybox|fetching packages); waiting/;
    expect(said.filter((sentence) => waiting.test(sentence))).toHaveLength(1);
    expect(mirror.requests.filter(({ path }) => path.includes("pool"))).toHaveLength(1);
  });

  test("a process killed at any time leaves nothing that the next one stumbles over", async () => {
    const how = settings();
    const directory = temporaryDirectory();
    const program = bundleProgram(
      `import { pullImages } from "./src/node/images/pull.ts";
       import { ImageCache } from "./src/node/images/cache.ts";
       import { SILENT_PROGRESS } from "./src/node/images/download.ts";
       const [cache, mirror, keyring] = process.argv.slice(2);
       console.log("ready");
       await pullImages(["kernel:6.1-cloud", "busybox"],
         { cache: new ImageCache(cache), progress: SILENT_PROGRESS, environment: {}, mirror, keyring });`,
      directory,
      "pull",
    );
    // Slow enough that the kills fall everywhere.
    mirror.misbehave = (path) => (path.includes("pool") ? { slowly: { piece: 20_000, pause: 4 } } : {});
    const before = mirror.requests.length;
    for (let round = 0; round < 24; round++) {
      const child = spawn(process.execPath, [program, how.cache.directory, mirror.url, how.keyring], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await new Promise((resolve) => setTimeout(resolve, 5 + round * 8));
      child.kill("SIGKILL");
      await ended;
      for (const image of await how.cache.list()) {
        for (const file of image.files) {
          expect(sha256(readFileSync(join(image.directory, file.path)))).toBe(file.sha256);
        }
      }
    }
    expect(mirror.requests.length).toBeGreaterThan(before);
    mirror.misbehave = () => ({});
    const images = await ensureImages(["kernel:6.1-cloud", "busybox"], how);
    expect(statSync(join(images["kernel:6.1-cloud"].directory, "Image")).size).toBe(IMAGE.length);
    expect(filesBelow(how.cache.directory).filter((path) => path.endsWith(".part"))).toEqual([]);
  });
});
