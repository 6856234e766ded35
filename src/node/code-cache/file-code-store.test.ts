import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serialize } from "node:v8";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Bug } from "../../base/errors.ts";
import { HandlerSet } from "../../engine/interpreter/handler-set.ts";
import type { CodeParameters } from "../../engine/translator/code-cache.ts";
import { InstructionWords } from "../../engine/translator/instruction-words.ts";
import { findRegion } from "../../engine/translator/region.ts";
import { describeRegion, type RegionDescription } from "../../engine/translator/region-description.ts";
import { assemble } from "../../isa/assembler.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../isa/table.ts";
import { tryLock } from "../file-lock.ts";
import { readCacheFile, writeCacheFile } from "./cache-file.ts";
import { codeDirectory, filesOf, limitSize, NOTES_NAME, PACK_NAME, type Pack } from "./code-directory.ts";
import { FileCodeStore } from "./file-code-store.ts";
import { LOCK, makePack } from "./make-pack.ts";

const PARAMETERS: CodeParameters = { memoryPages: 64, tracksRegisters: true, element: 4096 };

/** The region of a loop that adds a number. */
function regionOf(added: number): RegionDescription {
  const { bytes } = assemble(`1: add x0, x0, #${added}\ncbnz x1, 1b\nret`, { origin: 0n });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const page = { delta: 0, frame: added, records: 4096 * added };
  const decode = (word: number) => DECODER.decode(word, IMPLEMENTED_FEATURES);
  const region = findRegion(
    {
      words: new InstructionWords({ decode, handlers: new HandlerSet(), onNewHandler: () => {} }),
      page: (delta) => (delta === 0 ? page : undefined),
      word: (_, index) => (index * 4 < bytes.length ? view.getUint32(index * 4, true) : 0),
      isKnown: () => true,
      isUsed: () => true,
      isCalledOften: () => true,
      oftenJumpedTo: () => [],
    },
    0,
  );
  return describeRegion(region);
}

const REGIONS = Array.from({ length: 40 }, (_, index) => regionOf(index + 1));

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "elvisor-code-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A store that makes packs at once, without native code, in this process. */
const store = (check = false): FileCodeStore =>
  new FileCodeStore(root, { pack: (place) => void makePack(place, { native: false }), check });
const directory = (): string => codeDirectory(root, PARAMETERS);
const packs = (): string[] => filesOf(directory(), PACK_NAME);
const loaded = (): number =>
  store()
    .load(PARAMETERS)
    .reduce((sum, { regions }) => sum + regions.length, 0);

describe("the code cache on disk", () => {
  test("has for later machines what one saved, for the same parameters only", () => {
    store().save(PARAMETERS, REGIONS);
    const [module] = store().load(PARAMETERS);
    expect(module?.regions.length).toBe(REGIONS.length);
    expect(module?.regions[4]?.pages[0]?.words[0]).toBe(REGIONS[4]?.words[0]);
    expect(store().load({ ...PARAMETERS, memoryPages: 128 })).toEqual([]);
    expect(store().load({ ...PARAMETERS, element: undefined })).toEqual([]);
    expect(filesOf(directory(), NOTES_NAME)).toEqual([]);
  });

  test("finds out, where that is asked for, that a module would be written otherwise", () => {
    store().save(PARAMETERS, REGIONS);
    expect(store(true).load(PARAMETERS).length).toBe(1);
    const [path = ""] = packs();
    const pack = readCacheFile(path) as Pack;
    const [module] = pack.modules;
    const sources = serialize([regionOf(99), ...REGIONS.slice(1)]);
    writeCacheFile(path, { ...pack, modules: [{ ...module, sources }] });
    expect(store().load(PARAMETERS).length).toBe(1);
    expect(() => store(true).load(PARAMETERS)).toThrow(Bug);
  });

  test("keeps the same code once, wherever it lay", () => {
    store().save(PARAMETERS, REGIONS);
    store().save(
      PARAMETERS,
      REGIONS.map((region) => ({ ...region, pages: [{ delta: 0, frame: 9, records: 9 }] })),
    );
    expect(loaded()).toBe(REGIONS.length);
    expect(packs().length).toBe(1);
  });

  test.each([
    [
      "a bit is wrong",
      (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 4, bytes.length >> 1),
    ],
    ["its end is missing", (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
    ["it is empty", () => Buffer.alloc(0)],
    ["its format is a later one", (bytes: Buffer) => bytes.write("ELVCODE2")],
    ["it is something else", () => Buffer.from("#!/bin/sh\nexit 1\n")],
  ])("ignores a file of which %s, and makes a new one", (_, damage) => {
    store().save(PARAMETERS, REGIONS);
    const [path = ""] = packs();
    const bytes = readFileSync(path);
    const changed = damage(bytes);
    writeFileSync(path, typeof changed === "object" ? changed : bytes);
    const later = store();
    expect(later.load(PARAMETERS)).toEqual([]);
    expect(later.refused).toBe(1);
    later.save(PARAMETERS, REGIONS);
    expect(loaded()).toBe(REGIONS.length);
  });

  test("ignores damaged notes", () => {
    new FileCodeStore(root, { pack: () => {} }).save(PARAMETERS, REGIONS);
    const [path = ""] = filesOf(directory(), NOTES_NAME);
    writeFileSync(path, readFileSync(path).subarray(0, 1000));
    expect(makePack(directory(), { native: false })).toBe(true);
    expect(loaded()).toBe(0);
    expect(filesOf(directory(), NOTES_NAME)).toEqual([]);
  });

  test("is no error where nothing can be written", () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    const nowhere = new FileCodeStore(join(file, "cache"), { pack: () => {} });
    expect(() => nowhere.save(PARAMETERS, REGIONS)).not.toThrow();
    expect(nowhere.load(PARAMETERS)).toEqual([]);
    // A full disk.
    const full = new FileCodeStore("/dev/full", { pack: () => {} });
    expect(() => full.save(PARAMETERS, REGIONS)).not.toThrow();
  });

  test("is left to the process that makes a pack already", () => {
    const answers: boolean[] = [];
    const pack = (place: string): void => {
      const lock = tryLock(join(place, LOCK));
      answers.push(makePack(place, { native: false }));
      if ("release" in lock) lock.release();
    };
    const store = new FileCodeStore(root, { pack });
    store.save(PARAMETERS, REGIONS);
    expect(answers).toEqual([false]);
    expect(makePack(directory(), { native: false })).toBe(true);
    expect(loaded()).toBe(REGIONS.length);
  });

  test("has the host's own code of what another process made", { timeout: 120_000 }, () => {
    new FileCodeStore(root, { pack: () => {} }).save(PARAMETERS, REGIONS);
    const built = fileURLToPath(new URL("../../../dist/src/node/", import.meta.url));
    // The same flags as in that process, which a test's process does not have.
    const program = `
      const [{ enableEngineFeatures }, { FileCodeStore }, { nativeCode }, { readCacheFile }] = await Promise.all(
        ["engine-features", "code-cache/file-code-store", "code-cache/native-code", "code-cache/cache-file"]
          .map((name) => import(process.argv[1] + name + ".js")));
      enableEngineFeatures();
      const native = nativeCode();
      const [{ bytes, native: kept }] = readCacheFile(process.argv[2]).modules;
      console.log(native === undefined ? "none" : native.restore(kept, bytes) instanceof WebAssembly.Module);`;
    execFileSync(process.execPath, [join(built, "code-cache/pack-process.js"), directory()]);
    expect(loaded()).toBe(REGIONS.length);
    const [path = ""] = packs();
    const words = ["--input-type=module", "-e", program, built, path];
    const answer = execFileSync(process.execPath, words, { encoding: "utf8" });
    expect(answer.trim()).toMatch(/^(true|none)$/);
  });

  test("forgets what was of no use for longest when it grows too large", () => {
    for (const name of ["b", "a", "c"]) {
      writeCacheFile(join(root, name), new Uint8Array(1000));
      execFileSync("sleep", ["0.02"]);
    }
    limitSize(root, 2 * statSync(join(root, "a")).size);
    expect(readdirSync(root).sort()).toEqual(["a", "c"]);
  });

  test("belongs to its user alone", () => {
    writeCacheFile(join(root, "file"), [1]);
    expect(statSync(join(root, "file")).mode & 0o77).toBe(0);
    expect(readCacheFile(join(root, "file"))).toEqual([1]);
  });
});
