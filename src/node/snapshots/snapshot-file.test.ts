import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { UserError } from "../../base/errors.ts";
import type { StateSink } from "../../base/state-sink.ts";
import { readSnapshot, writeSnapshot } from "./snapshot-file.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "elvisor-snapshots-"));
});
afterAll(() => rm(directory, { recursive: true }));

const CONTENT = Buffer.alloc(3_000_000, "a state that is long enough for several pieces; ");

/** Something whose state is {@link CONTENT}, and which fails after `failing` pieces. */
function machine(failing = Number.POSITIVE_INFINITY) {
  return {
    async snapshot(sink: StateSink) {
      for (let piece = 0; piece < 30; piece++) {
        if (piece === failing) throw new UserError("The state cannot be kept.");
        await sink.write(CONTENT.subarray(piece * 100_000, (piece + 1) * 100_000));
      }
      await sink.close();
    },
  };
}

async function contentOf(path: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of await readSnapshot(path)) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe("a snapshot's file", () => {
  test("holds the stream, packed, for its owner only", async () => {
    const path = join(directory, "whole");
    let kept = 0;
    await writeSnapshot(path, machine(), () => void kept++);
    expect(kept).toBe(1);
    expect((await contentOf(path)).equals(CONTENT)).toBe(true);
    const { mode, size } = await stat(path);
    expect(mode & 0o777).toBe(0o600);
    expect(size).toBeLessThan(CONTENT.length / 10);
  });

  test("is as it was when the next one fails, and nothing else is left behind", async () => {
    const path = join(directory, "kept");
    await writeSnapshot(path, machine());
    const before = await readFile(path);
    for (const failing of [0, 7, 29])
      await expect(writeSnapshot(path, machine(failing))).rejects.toThrow("The state cannot be kept.");
    expect((await readFile(path)).equals(before)).toBe(true);
    expect((await readdir(directory)).filter((name) => name.includes(".new"))).toEqual([]);
    await writeSnapshot(path, machine());
  });

  test("does not replace what is no snapshot", async () => {
    const path = join(directory, "letter");
    await writeFile(path, "Dear reader");
    await expect(writeSnapshot(path, machine())).rejects.toThrow(
      /letter is there already and is no snapshot/,
    );
    expect(await readFile(path, "utf8")).toBe("Dear reader");
    await expect(readSnapshot(path)).rejects.toThrow(/is no snapshot; elvisor snapshot takes one/);
    await expect(readSnapshot(join(directory, "nothing"))).rejects.toThrow(/cannot be read \(ENOENT\)/);
    const nowhere = join(directory, "no", "place");
    await expect(writeSnapshot(nowhere, machine())).rejects.toThrow(/cannot be written \(ENOENT\)/);
  });

  test("that is damaged anywhere, or cut anywhere, is refused", async () => {
    const random = Random.ofThisRun();
    const path = join(directory, "damaged");
    await writeSnapshot(path, machine());
    const whole = await readFile(path);
    for (let trial = 0; trial < 300; trial++) {
      const bytes = trial % 2 === 0 ? Buffer.from(whole) : whole.subarray(0, random.below(whole.length));
      const at = trial < 40 ? trial : random.below(whole.length);
      if (trial % 2 === 0) bytes[at] = bytes[at]! ^ (1 << random.below(8));
      await writeFile(path, bytes);
      const refused = expect(readSnapshot(path), `seed ${random.seed}, trial ${trial}`).rejects;
      await refused.toThrow(/is damaged or not complete|is no snapshot|has version \d+, and this version/);
      await refused.toBeInstanceOf(UserError);
    }
  });
});
