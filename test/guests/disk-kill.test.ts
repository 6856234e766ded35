import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bundleProgram } from "../support/bundle.ts";
import { checkImage, qemuImg } from "../support/image-files.ts";
import { runUntilKilled } from "../support/killed-process.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const KILLS = FULL ? 100 : 2;
const FILES = 16;
/** Of the numbers that were said, the files of so many last ones cannot have been begun anew since. */
const SURE = 8;

/** Writes numbered files, each durable before its number is said, beside a load that nobody waits for. */
const LOAD = `mount -t ext4 /dev/vda /mnt || exit 9
echo mounted
(while :; do dd if=/dev/urandom of=/mnt/load bs=64k count=20 2>/dev/null; cp /mnt/load /mnt/load2; done) &
i=0
while :; do
  i=$((i+1))
  yes $i | head -c 5000 | dd of=/mnt/f$((i%${FILES})) conv=fsync bs=5000 iflag=fullblock 2>/dev/null
  echo $i
done`;

function run(program: string, ...words: string[]): { status: number | null; stdout: string; output: string } {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: "utf8" });
  if (error !== undefined) throw error;
  return { status, stdout, output: stdout + stderr };
}

test(`ext4 in a qcow2 image outlives ${KILLS} kills of the host's process`, {
  timeout: KILLS * 300_000,
}, async () => {
  const random = Random.ofThisRun();
  console.log(`disk kill seed ${random.seed}`);
  const folder = temporaryDirectory();
  const program = bundleProgram('import "./src/node/cli/main.ts";', folder, "elvisor");
  const [raw, image] = [join(folder, "disk.raw"), join(folder, "disk.qcow2")];
  expect(run("mke2fs", "-q", "-t", "ext4", raw, "64M").status).toBe(0);
  qemuImg("convert", "-O", "qcow2", raw, image);
  for (let kill = 0; kill < KILLS; kill++) {
    // The image goes on from kill to kill; so does the file system, whose journal is replayed by the next mount.
    const words = [program, "run", "--drive", image, "--exec", LOAD];
    const { said } = await runUntilKilled(
      { name: "the machine", words, ready: /\n1\n/, longest: 6000 },
      random,
    );
    expect(said).toBeGreaterThan(0);
    expect(checkImage(image).corruptions).toBe(0);
    qemuImg("convert", "-O", "raw", image, raw);
    const check = run("e2fsck", "-fy", raw);
    // 1: the journal was replayed and what goes with it.
    expect(check.status, check.output).toBeLessThanOrEqual(1);
    expect(run("e2fsck", "-fn", raw).status).toBe(0);
    for (let number = Math.max(1, said - SURE + 1); number <= said; number++) {
      const { stdout: content } = run("debugfs", "-R", `cat f${number % FILES}`, raw);
      expect(content, `f${number % FILES} of ${said}`).toBe(`${number}\n`.repeat(5000).slice(0, 5000));
    }
    rmSync(raw);
    if ((kill + 1) % 10 === 0) console.log(`${kill + 1} of ${KILLS} kills, the last after ${said} files`);
  }
});
