import { join } from "node:path";
import { expect, test } from "vitest";
import { openDrive } from "../../src/node/disks/drive-file.ts";
import { bundleProgram } from "../support/bundle.ts";
import { checkImage, contentByQemu, qemuImg } from "../support/image-files.ts";
import { runUntilKilled } from "../support/killed-process.ts";
import { plannedWrites, sequenceOf } from "../support/planned-writes.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const KILLS = FULL ? 100 : 5;
const SECTORS = 64 * 2048;

/** Kills the writer some time after its first flush; returns the last write that it knew to be durable. */
async function writeUntilKilled(
  program: string,
  path: string,
  seed: number,
  random: Random,
): Promise<number> {
  const words = [program, path, `${seed}`, `${SECTORS}`];
  const { said, errors } = await runUntilKilled(
    { name: "the writer", words, ready: /\n\d+\n/, longest: 400 },
    random,
  );
  expect(errors).toBe("");
  return said;
}

/** Every sector holds its last flushed write, or one that came later. */
function judge(content: Uint8Array, seed: number, flushed: number, before: Int32Array): void {
  const least = before.slice();
  const later = new Map<number, Set<number>>();
  // More than a process writes between two flushes.
  for (const { sequence, first, count } of plannedWrites(seed, SECTORS)) {
    if (sequence > flushed + 8) break;
    for (let sector = first; sector < first + count; sector++) {
      if (sequence <= flushed) least[sector] = sequence;
      else later.set(sector, (later.get(sector) ?? new Set()).add(sequence));
    }
  }
  for (let sector = 0; sector < SECTORS; sector++) {
    const found = sequenceOf(content.subarray(sector * 512, sector * 512 + 512), sector);
    if (found !== undefined && (found === least[sector] || later.get(sector)?.has(found) === true)) continue;
    throw new Error(`sector ${sector} holds write ${found}, not ${least[sector]}, flushed until ${flushed}`);
  }
}

const IMAGES = [
  ["64 KiB clusters", ["-o", "cluster_size=64k"]],
  ["4 KiB clusters over a backing file", ["-o", "cluster_size=4k", "-b", "base.qcow2", "-F", "qcow2"]],
  ["512-byte clusters", ["-o", "cluster_size=512"]],
] as const;

test.each(IMAGES)(
  `after ${KILLS} kills no flushed write is lost, and the image is in order (%s)`,
  { timeout: 60_000 + KILLS * 20_000 },
  async (_, options) => {
    const random = Random.ofThisRun();
    console.log(`kill seed ${random.seed}`);
    const folder = temporaryDirectory();
    const path = join(folder, "disk.qcow2");
    qemuImg("create", "-f", "qcow2", join(folder, "base.qcow2"), `${SECTORS * 512}`);
    const program = bundleProgram('import "./test/support/kill-writer.ts";', folder, "kill-writer");
    let leaked = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      // Each on a fresh image, every third on what the killed one left.
      const fresh = kill % 3 !== 2;
      if (fresh) qemuImg("create", "-f", "qcow2", ...options, path, `${SECTORS * 512}`);
      const zeros = new Int32Array(SECTORS);
      const seed = random.u32();
      const flushed = await writeUntilKilled(program, path, seed, random);
      const { corruptions, leaks } = checkImage(path);
      expect(corruptions, `kill ${kill}`).toBe(0);
      leaked += leaks;
      if (fresh) judge(contentByQemu(path), seed, flushed, zeros);
      // The next to open it takes the lock over and gives back what was lost.
      await (await openDrive(path)).close();
      expect(checkImage(path)).toEqual({ corruptions: 0, leaks: 0 });
      if (fresh) judge(contentByQemu(path), seed, flushed, zeros);
    }
    console.log(`${leaked} clusters were lost, and found again`);
  },
);
