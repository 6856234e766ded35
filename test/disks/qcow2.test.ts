import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DriveFile, openDrive } from "../../src/node/disks/drive-file.ts";
import { checkImage, contentByQemu, qemuImg } from "../support/image-files.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const STEPS = FULL ? 2000 : 150;

interface Variant {
  readonly name: string;
  readonly options: string;
  /** Of the disk, bytes. */
  readonly size: number;
  readonly backing?: { readonly size: number; readonly create: readonly string[] };
  /** Fill the image first, compressed. */
  readonly compressed?: boolean;
  readonly snapshots?: boolean;
}

const MEBIBYTE = 2 ** 20;

const VARIANTS: readonly Variant[] = [
  { name: "as qemu-img makes it", options: "compat=1.1", size: 8 * MEBIBYTE },
  { name: "version 2", options: "compat=0.10", size: 4 * MEBIBYTE },
  { name: "clusters of 512 bytes", options: "cluster_size=512", size: 12 * MEBIBYTE },
  { name: "clusters of 2 MiB", options: "cluster_size=2M", size: 16 * MEBIBYTE },
  ...[1, 2, 4, 8, 32, 64].map((bits) => ({
    name: `counts of ${bits} bits`,
    options: `refcount_bits=${bits},cluster_size=4k`,
    size: 4 * MEBIBYTE,
  })),
  { name: "lazy counts", options: "lazy_refcounts=on", size: 4 * MEBIBYTE },
  { name: "clusters from the start", options: "preallocation=metadata", size: 4 * MEBIBYTE },
  {
    name: "a smaller raw backing file",
    options: "cluster_size=4k",
    size: 4 * MEBIBYTE,
    backing: { size: 3 * MEBIBYTE - 512, create: ["raw"] },
  },
  {
    name: "a larger qcow2 backing file, version 2",
    options: "compat=0.10,cluster_size=8k",
    size: 2 * MEBIBYTE,
    backing: { size: 3 * MEBIBYTE, create: ["qcow2", "-o", "cluster_size=1k"] },
  },
  { name: "zlib", options: "cluster_size=16k", size: 4 * MEBIBYTE, compressed: true },
  { name: "zstd", options: "compression_type=zstd", size: 4 * MEBIBYTE, compressed: true },
  { name: "snapshots", options: "cluster_size=4k", size: 2 * MEBIBYTE, snapshots: true },
  {
    name: "snapshots, compressed, in version 2",
    options: "compat=0.10,cluster_size=4k",
    size: 2 * MEBIBYTE,
    snapshots: true,
    compressed: true,
  },
];

/** Half random, half that compresses. */
function content(random: Random, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 512)
    bytes.fill(1 + random.below(255), at, at + (random.below(2) === 0 ? 512 : random.below(512)));
  return bytes;
}

/** An image of the variant and what a guest would read from it. */
function make(variant: Variant, random: Random): { path: string; model: Uint8Array } {
  const folder = temporaryDirectory();
  const path = join(folder, "disk.qcow2");
  const model = new Uint8Array(variant.size);
  const backing: string[] = [];
  if (variant.backing !== undefined) {
    const bytes = content(random, variant.backing.size);
    const raw = join(folder, "base.raw");
    writeFileSync(raw, bytes);
    const [format = "raw"] = variant.backing.create;
    if (format !== "raw") qemuImg("convert", "-O", ...variant.backing.create, raw, join(folder, "base.img"));
    backing.push("-b", format === "raw" ? "base.raw" : "base.img", "-F", format);
    model.set(bytes.subarray(0, model.length));
  }
  if (variant.compressed === true) {
    const bytes = content(random, variant.size);
    // Holes too.
    bytes.fill(0, variant.size / 4, variant.size / 2);
    const raw = join(folder, "source.raw");
    writeFileSync(raw, bytes);
    qemuImg("convert", "-c", "-O", "qcow2", "-o", variant.options, raw, path);
    model.set(bytes);
  } else qemuImg("create", "-f", "qcow2", "-o", variant.options, ...backing, path, `${variant.size}`);
  return { path, model };
}

async function randomSteps(
  drive: DriveFile,
  model: Uint8Array,
  random: Random,
  steps: number,
): Promise<void> {
  const sectors = model.length / 512;
  const pending: Promise<unknown>[] = [];
  for (let step = 0; step < steps; step++) {
    const first = random.below(sectors);
    const count = Math.min(sectors - first, 1 + random.below(random.below(8) === 0 ? 600 : 20));
    const [offset, length] = [first * 512, count * 512];
    switch (random.below(10)) {
      case 0:
        await drive.discard?.(offset, length);
        // What it then reads as is only known after it was read.
        await drive.read(offset, model.subarray(offset, offset + length));
        break;
      case 1:
        await drive.writeZeroes?.(offset, length, random.below(2) === 0);
        model.fill(0, offset, offset + length);
        break;
      case 2:
        await drive.flush();
        break;
      case 3:
      case 4: {
        const bytes = new Uint8Array(length);
        await drive.read(offset, bytes);
        expect(Buffer.compare(bytes, model.subarray(offset, offset + length)), `step ${step}`).toBe(0);
        break;
      }
      default: {
        const bytes = new Uint8Array(length).fill(1 + random.below(255));
        model.set(bytes, offset);
        pending.push(Promise.resolve(drive.write(offset, bytes)));
        // Some overlap in time, where they do not overlap in place.
        if (random.below(3) !== 0) await Promise.all(pending.splice(0));
        else await Promise.resolve();
        if (pending.length > 0) await Promise.all(pending.splice(0));
      }
    }
  }
  await Promise.all(pending);
}

describe.each(VARIANTS)("$name", (variant) => {
  test("random accesses leave what QEMU reads as the same, and finds in order", async () => {
    const random = Random.ofThisRun();
    console.log(`qcow2 seed ${random.seed}`);
    const { path, model } = make(variant, random);
    for (let round = 0; round < 3; round++) {
      let snapshot: Uint8Array | undefined;
      if (variant.snapshots === true) {
        snapshot = model.slice();
        qemuImg("snapshot", "-c", `s${round}`, path);
      }
      const drive = await openDrive(path);
      await randomSteps(drive, model, random, STEPS);
      await drive.close();
      expect(checkImage(path)).toEqual({ corruptions: 0, leaks: 0 });
      expect(Buffer.compare(contentByQemu(path), model)).toBe(0);
      if (snapshot !== undefined) {
        const raw = `${path}.snapshot`;
        qemuImg("convert", "-l", `snapshot.name=s${round}`, "-O", "raw", path, raw);
        expect(Buffer.compare(readFileSync(raw), snapshot)).toBe(0);
      }
    }
  });
});

test("many requests at once on fresh clusters", async () => {
  const { path, model } = make({ name: "", options: "cluster_size=64k", size: 4 * MEBIBYTE }, new Random(1));
  const drive = await openDrive(path);
  const writes: (Promise<void> | void)[] = [];
  for (let sector = 0; sector < model.length / 512; sector += 3) {
    const bytes = new Uint8Array(512).fill((sector % 255) + 1);
    model.set(bytes, sector * 512);
    writes.push(drive.write(sector * 512, bytes));
    if (sector % 50 === 0) writes.push(drive.flush());
  }
  await Promise.all(writes);
  await drive.close();
  expect(checkImage(path)).toEqual({ corruptions: 0, leaks: 0 });
  expect(Buffer.compare(contentByQemu(path), model)).toBe(0);
});
