import { expect, test } from "vitest";
import { convertDeviceTree } from "../../src/platform/conversion/convert-blob.ts";
import { boardTrees } from "../support/guest-images.ts";
import { Random } from "../support/random.ts";

/** Mutated device trees: 10^6 in the long form. */
const full = process.env["ELVISOR_FULL"] === "1";
const ROUNDS = full ? 1_000_000 : 500;
/** Milliseconds of CPU time that any of them may take. */
const LIMIT = 1000;
const HOUR = 3_600_000;
/** Large boards are left out of the long form, whose time is better spent on more mutations. */
const LARGEST = full ? 10 * 1024 : Number.POSITIVE_INFINITY;

/** Words that are interesting wherever they land: tokens, small and huge numbers. */
const WORDS = [0, 1, 2, 3, 4, 9, 16, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xd00d_feed] as const;

/** A blob with some of its bytes, words or stretches changed. */
function mutate(original: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  let blob = original.slice();
  const changes = 1 + random.below(3);
  for (let change = 0; change < changes && blob.length > 8; change++) {
    const at = random.below(blob.length);
    const word = at - (at % 4);
    const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
    switch (random.below(8)) {
      case 0:
        blob[at] = random.u32();
        break;
      case 1:
        blob[at] = blob[at]! ^ (1 << random.below(8));
        break;
      case 2:
      case 3:
        if (word + 4 <= blob.length) view.setUint32(word, random.pick(WORDS));
        break;
      case 4:
        // A word from elsewhere: phandles, counts and tokens that are right in another place.
        if (word + 4 <= blob.length) view.setUint32(word, view.getUint32(4 * random.below(blob.length >> 2)));
        break;
      case 5:
        // The header, as far as it is there.
        view.setUint32(
          4 * random.below(Math.min(10, blob.length >> 2)),
          random.below(2) === 0 ? random.pick(WORDS) : random.below(blob.length),
        );
        break;
      case 6: {
        const other = random.pick(others);
        const from = random.below(other.length);
        blob.set(other.subarray(from, Math.min(from + random.below(256), from + blob.length - at)), at);
        break;
      }
      default:
        if (random.below(4) === 0) blob = blob.slice(0, at);
        break;
    }
  }
  return blob;
}

test(
  "no mutated device tree crashes the converter or holds it up, and each refusal names the reason",
  async () => {
    const blobs = (await boardTrees("6.12", full ? 1 : 51))
      .map(({ bytes }) => bytes)
      .filter(({ length }) => length <= LARGEST);
    expect(blobs.length).toBeGreaterThan(15);
    const random = Random.ofThisRun();
    const counts = { converted: 0, refused: 0 };
    let slowest = 0;
    let malformed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const blob = mutate(random.pick(blobs), blobs, random);
      const where = `ELVISOR_SEED=${random.seed}, round ${round}`;
      const start = process.cpuUsage();
      let result: ReturnType<typeof convertDeviceTree>;
      try {
        result = convertDeviceTree(blob, { source: "mutated.dtb" });
        // Reports are made of the same material; every tenth one will do.
        if (round % 10 === 0) result.report();
      } catch (error) {
        throw new Error(`${where}: ${String(error)}`, { cause: error });
      }
      const { user, system } = process.cpuUsage(start);
      const time = (user + system) / 1000;
      slowest = Math.max(slowest, time);
      counts[result.status]++;
      // Assertions cost more than most conversions.
      if (time >= LIMIT) expect.fail(`${where}: ${time} ms`);
      if ((round + 1) % 100_000 === 0) console.log(`${where}: ${JSON.stringify(counts)}`);
      if (result.status === "converted") continue;
      const { reason } = result;
      if (!/^\S.{20,}\.$/s.test(reason)) expect.fail(`${where}: ${reason}`);
      // What is no tree names the place in it; a tree that is no board names what it lacks.
      if (!reason.startsWith("The device tree mutated.dtb")) continue;
      malformed++;
      if (!/at offset \d+/.test(reason)) expect.fail(`${where}: ${reason}`);
    }
    console.log(
      `ELVISOR_SEED=${random.seed}, ${ROUNDS} mutations: ${JSON.stringify(counts)}, ${malformed} of them no trees, ` +
        `slowest ${slowest.toFixed(0)} ms of CPU time`,
    );
    // Neither everything nor nothing is still a board.
    expect(counts.converted).toBeGreaterThan(ROUNDS / 20);
    expect(counts.refused).toBeGreaterThan(ROUNDS / 20);
  },
  full ? 8 * HOUR : 300_000,
);
