import { describe, expect, test } from "vitest";
import { MemoryFile } from "../../../../test/support/memory-file.ts";
import { Random } from "../../../../test/support/random.ts";
import { UserError } from "../../../base/errors.ts";
import type { ClusterDecompressors } from "./cluster-reader.ts";
import { createQcow2 } from "./create.ts";
import { DamagedImage, readHeader } from "./header.ts";
import { HEADER } from "./layout.ts";
import { Qcow2Image } from "./qcow2-image.ts";
import { readCount, writeCount } from "./refcount-entry.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const CLUSTER = 4096;
const SIZE = 4 << 20;

const NO_DECOMPRESSION: ClusterDecompressors = {
  zlib: () => {
    throw new Error("not packed");
  },
  zstd: () => {
    throw new Error("not packed");
  },
};

async function open(file: MemoryFile, { readOnly = false, repair = false } = {}) {
  const said: string[] = [];
  const image = await Qcow2Image.open(file, await readHeader(file), {
    ...{ readOnly, repair, backing: undefined, decompressors: NO_DECOMPRESSION },
    report: (sentence) => said.push(sentence),
  });
  return { image, said };
}

/** An image with data here and there. */
async function sound(): Promise<Uint8Array> {
  const file = new MemoryFile();
  await createQcow2(file, { size: SIZE, clusterBits: 12 });
  const { image } = await open(file);
  for (let at = 0; at < SIZE; at += 10 * CLUSTER)
    await image.write(at, new Uint8Array(2 * CLUSTER).fill(at / CLUSTER));
  await image.close();
  return file.bytes;
}

/** The image with one field of 4 or 8 bytes changed. */
async function changed(offset: number, value: number | bigint): Promise<MemoryFile> {
  const file = new MemoryFile(await sound());
  const view = new DataView(file.bytes.buffer);
  if (typeof value === "bigint") view.setBigUint64(offset, value);
  else view.setUint32(offset, value);
  return file;
}

const L1 = 3 * CLUSTER;

describe("damage is named, with its place", () => {
  test.each<[string, number, number | bigint, RegExp]>([
    ["no mark", HEADER.MAGIC, 1, /mark of a qcow2 image/],
    ["version", HEADER.VERSION, 4, /version 4/],
    ["clusters", HEADER.CLUSTER_BITS, 40, /2\^40 bytes/],
    ["encryption", HEADER.CRYPT_METHOD, 1, /encrypted/],
    ["size", HEADER.SIZE, 12345n, /12345 bytes/],
    ["huge size", HEADER.SIZE, 1n << 62n, /bytes/],
    ["L1 size", HEADER.L1_SIZE, 0xffff_ffff, /4294967295 entries/],
    ["L1 too short", HEADER.L1_SIZE, 1, /too short/],
    ["L1 offset", HEADER.L1_TABLE_OFFSET, 1n << 40n, /L1 table .* 0x10000000000/],
    ["L1 unaligned", HEADER.L1_TABLE_OFFSET, 12n, /L1 table .* 0xc/],
    ["L1 on the header", HEADER.L1_TABLE_OFFSET, 0n, /L1 table .* 0x0/],
    [
      "L1 on the refcount table",
      HEADER.L1_TABLE_OFFSET,
      BigInt(CLUSTER),
      /both the L1 table and the refcount table/,
    ],
    ["refcount table", HEADER.REFCOUNT_TABLE_OFFSET, 1n << 50n, /refcount table .* 0x4000000000000/],
    ["refcount clusters", HEADER.REFCOUNT_TABLE_CLUSTERS, 0x10_0000, /1048576 clusters/],
    ["no refcount clusters", HEADER.REFCOUNT_TABLE_CLUSTERS, 0, /0 clusters/],
    ["refcount width", HEADER.REFCOUNT_ORDER, 7, /2\^7 bits/],
    ["snapshots", HEADER.SNAPSHOTS, 0x7fff_ffff, /2147483647 snapshots/],
    ["snapshot table", HEADER.SNAPSHOTS, 3, /snapshot table .* 0x0/],
    ["header length", HEADER.HEADER_LENGTH, 5000, /5000 bytes/],
    ["backing name", HEADER.BACKING_FILE_OFFSET, 0x1000n, /backing file/],
    ["external data", HEADER.INCOMPATIBLE_FEATURES, 4n, /external data file/],
    ["extended L2", HEADER.INCOMPATIBLE_FEATURES, 16n, /subclusters/],
    ["unknown feature", HEADER.INCOMPATIBLE_FEATURES, 1n << 33n, /feature bit 33/],
    ["corrupt", HEADER.INCOMPATIBLE_FEATURES, 2n, /marked it as corrupt/],
    ["L1 entry outside", L1, 1n << 45n, /entry 0 of its L1 table points to 0x200000000000/],
    ["L1 entry on itself", L1, BigInt(L1), /both the L1 table and L2 table 0/],
    ["refcount block outside", CLUSTER, 1n << 44n, /entry 0 of its refcount table/],
    ["refcount block on the header", CLUSTER, 4096n, /both/],
  ])("%s", async (_, offset, value, sentence) => {
    await expect(changed(offset, value).then((file) => open(file))).rejects.toThrow(sentence);
    await expect(changed(offset, value).then((file) => open(file))).rejects.toThrow(UserError);
  });

  test("two entries of the L1 table with one L2 table", async () => {
    const bytes = await sound();
    const first = new DataView(bytes.buffer).getBigUint64(L1);
    await expect(changed(L1 + 8, first).then((file) => open(file))).rejects.toThrow(
      /both L2 table 0 and L2 table 1/,
    );
  });

  test.each<[string, bigint, RegExp]>([
    ["outside the file", (1n << 63n) | (1n << 48n), /guest cluster 0 is said to be at 0x1000000000000/],
    ["between clusters", (1n << 63n) | 0x3200n, /guest cluster 0 is said to be at 0x3200/],
    ["at the L1 table", (1n << 63n) | BigInt(L1), /where the L1 table is/],
    ["at the header", (1n << 63n) | 512n, /guest cluster 0/],
    ["compressed outside the file", (1n << 62n) | (1n << 50n), /compressed at/],
  ])("an L2 entry that points %s: I/O errors, the mark, and a sentence", async (_, entry, sentence) => {
    const bytes = await sound();
    const l2 = Number(new DataView(bytes.buffer).getBigUint64(L1) & 0xffff_ffffffn);
    const file = await changed(l2, entry);
    const { image, said } = await open(file);
    const before = file.bytes.slice();
    await expect((async () => await image.write(0, new Uint8Array(512).fill(1)))()).rejects.toThrow(
      DamagedImage,
    );
    await expect((async () => await image.read(0, new Uint8Array(512)))()).rejects.toThrow(DamagedImage);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(sentence);
    // Nothing is written any more, but the mark.
    await expect((async () => await image.write(40 * CLUSTER, new Uint8Array(512)))()).rejects.toThrow(
      sentence,
    );
    await image.close();
    expect(new DataView(file.bytes.buffer).getUint32(HEADER.INCOMPATIBLE_FEATURES + 4)).toBe(2);
    file.bytes[HEADER.INCOMPATIBLE_FEATURES + 7] = 0;
    expect(Buffer.compare(file.bytes, before)).toBe(0);
    // What is sound can still be read.
    const again = await open(file, { readOnly: true });
    const sector = new Uint8Array(512);
    await again.image.read(10 * CLUSTER, sector);
    expect(sector[0]).toBe(10);
  });

  test("a cluster that is counted as free and in use is not overwritten", async () => {
    const file = await changed(2 * CLUSTER, 0);
    const { image, said } = await open(file);
    const before = file.bytes.slice(0, 4 * CLUSTER);
    before[HEADER.INCOMPATIBLE_FEATURES + 7] = 2;
    const write = async () => {
      await image.write(SIZE - CLUSTER, new Uint8Array(CLUSTER).fill(7));
      await image.flush();
    };
    await expect(write()).rejects.toThrow(/holds the refcount table and is counted as free/);
    expect(said).toHaveLength(1);
    expect(Buffer.compare(file.bytes.subarray(0, 4 * CLUSTER), before)).toBe(0);
  });
});

test("random damage gives errors that name the image, and nothing else", { timeout: 600_000 }, async () => {
  const random = Random.ofThisRun();
  console.log(`qcow2 damage seed ${random.seed}`);
  const good = await sound();
  // Everything but the data clusters: header, tables, and where L2 tables are.
  const structures = [0, 1, 2, 3, 4, 5, 8].map((cluster) => cluster * CLUSTER);
  let refused = 0;
  let failed = 0;
  for (let round = 0; round < (FULL ? 20_000 : 600); round++) {
    const file = new MemoryFile(good.slice());
    for (let change = 1 + random.below(6); change > 0; change--) {
      const start = random.pick(structures);
      const at = start + 8 * random.below(random.below(2) === 0 ? 16 : CLUSTER / 8);
      const view = new DataView(file.bytes.buffer);
      const values = [
        random.u64(),
        random.u64() & 0x3f_f000n,
        (1n << 63n) | (random.u64() & 0xf_f000n),
        0n,
        1n,
      ];
      if (random.below(3) === 0) view.setUint8(at + random.below(8), random.u32());
      else view.setBigUint64(at, random.pick(values));
    }
    if (random.below(8) === 0) file.bytes = file.bytes.slice(0, random.below(file.bytes.length));
    let opened: Awaited<ReturnType<typeof open>>;
    try {
      opened = await open(file, { readOnly: random.below(4) === 0, repair: random.below(4) === 0 });
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      expect(String(error)).toContain("memory.qcow2");
      refused++;
      continue;
    }
    const { image } = opened;
    expect(image.size).toBeLessThan(2 ** 53);
    for (let step = 0; step < 20; step++) {
      const sectors = Math.floor(image.size / 512);
      if (sectors === 0) break;
      const count = 1 + random.below(Math.min(64, sectors));
      const offset = 512 * Math.floor((sectors - count) * (random.u32() / 2 ** 32));
      const bytes = new Uint8Array(512 * count).fill(step + 1);
      try {
        const kind = random.below(6);
        if (kind === 0) await image.flush();
        else if (kind === 1 && !image.readOnly) await image.discard(offset, bytes.length);
        else if (kind === 2 && !image.readOnly) await image.writeZeroes(offset, bytes.length, true);
        else if (kind < 4 && !image.readOnly) await image.write(offset, bytes);
        else await image.read(offset, bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect(error).not.toBeInstanceOf(RangeError);
        expect(error).not.toBeInstanceOf(TypeError);
        failed++;
      }
    }
    await image.close().catch(() => {});
  }
  console.log(`${refused} refused when opened, ${failed} requests failed`);
  expect(refused).toBeGreaterThan(0);
  expect(failed).toBeGreaterThan(0);
});

test("a full host disk is an error, after which the image is in order and goes on", async () => {
  const file = new MemoryFile(await sound(), { most: 1 << 20 });
  const { image, said } = await open(file);
  let errors = 0;
  for (let at = 0; at < SIZE; at += CLUSTER) {
    try {
      await image.write(at, new Uint8Array(CLUSTER).fill(5));
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
      errors++;
    }
  }
  expect(errors).toBeGreaterThan(100);
  await image.discard(0, SIZE / 2);
  await image.flush();
  await image.write(SIZE - CLUSTER, new Uint8Array(CLUSTER).fill(6));
  await image.close();
  expect(said).toEqual([]);
  const again = await open(new MemoryFile(file.bytes));
  const sector = new Uint8Array(512);
  await again.image.read(SIZE - CLUSTER, sector);
  expect(sector[0]).toBe(6);
});

test("metadata becomes durable in order: counts and data, L2 tables, L1 table", async () => {
  const file = new MemoryFile();
  await createQcow2(file, { size: SIZE, clusterBits: 12 });
  const { image } = await open(file);
  const log: string[] = [];
  const write = file.write.bind(file);
  file.write = (offset, source) => {
    log.push(
      offset < 2 * CLUSTER
        ? "header"
        : offset < L1
          ? "counts"
          : offset < L1 + CLUSTER
            ? "L1"
            : `${source[0]}`,
    );
    write(offset, source);
  };
  file.flush = () => void log.push("flush");
  await image.write(0, new Uint8Array(CLUSTER).fill(77));
  expect(log).toEqual(["77"]);
  await image.flush();
  // An entry of an L2 table begins with the flag for a single reference.
  expect(log).toEqual(["77", "counts", "flush", "128", "flush", "L1", "flush"]);
  log.length = 0;
  await image.write(0, new Uint8Array(CLUSTER).fill(78));
  await image.flush();
  expect(log).toEqual(["78", "flush"]);
});

test("counts of all widths, beside one another", () => {
  const random = Random.ofThisRun();
  for (let order = 0; order <= 6; order++) {
    const view = new DataView(new ArrayBuffer(512));
    const limit = order === 6 ? 2 ** 40 : 2 ** (2 ** order);
    const counts = Array.from({ length: 4096 >> order }, () => random.below(limit));
    for (const [index, count] of counts.entries()) writeCount(view, order, index, count);
    expect(counts.map((_, index) => readCount(view, order, index))).toEqual(counts);
  }
});
