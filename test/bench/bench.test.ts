import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { kernelWorkload } from "../../bench/build/kernel-workload.ts";
import { CONTENDERS } from "../../bench/contenders.ts";
import { GROUPS, ITEMS, type KernelItem, selectItems } from "../../bench/items.ts";
import { MarkerReader, PROMPT } from "../../bench/measure/markers.ts";
import { type Measurement, type RunResult, runProcess } from "../../bench/measure/run-process.ts";
import { hotWordsFile } from "../../bench/profile.ts";
import { report } from "../../bench/report.ts";
import { checksumDifferences, counted, slowdown, speedup } from "../../bench/results.ts";
import { geometricMean, median } from "../../bench/statistics.ts";
import { alignTable } from "../../bench/table.ts";
import { commandFor } from "../../bench/workload.ts";
import { HOT_WORDS, WARM_WORDS } from "../../src/engine/interpreter/hot-words.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const ROOT = join(import.meta.dirname, "..", "..");

function bench(...words: string[]) {
  return spawnSync(process.execPath, [join(ROOT, "dist", "bench", "main.js"), ...words], {
    encoding: "utf8",
  });
}

describe("npm run bench", () => {
  beforeAll(() => {
    execFileSync(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-b", "bench"], {
      cwd: ROOT,
    });
  });

  test("measures bare programs, which compute the same everywhere", { timeout: 60_000 }, () => {
    const file = join(temporaryDirectory(), "all.json");
    const { status, stdout, stderr } = bench(...["crc32", "--runs", "1", "--scale", "0.01", "--json", file]);
    expect(stderr).toContain("crc32, QEMU cortex-a57, run 1 of 1: ");
    expect(stdout).toContain("| crc32 ");
    expect(stdout).not.toContain("Wrong or unfinished");
    expect(status).toBe(0);
    const { results } = JSON.parse(readFileSync(file, "utf8")) as {
      results: { repetitions: Record<string, Measurement>[] }[];
    };
    for (const { repetitions } of results) {
      expect(Object.keys(repetitions[0]!).sort()).toEqual(Object.keys(CONTENDERS).sort());
      const { native, interpreter, translator } = repetitions[0]!;
      expect(translator!.checksum).toBe(native!.checksum);
      expect(interpreter!.counts["instructions"]).toBeGreaterThan(10_000);
      expect(interpreter!.peakBytes).toBeGreaterThan(2 ** 20);
    }
  });

  test("says what is wrong with its arguments", () => {
    const cases: [string[], RegExp][] = [
      [["crc33"], /no group or item of that name/],
      [["--runs", "0"], /from 1 to 999/],
      [["--with", "interpreter,qemu"], /"qemu" is none of native,/],
      [["--scale", "-1"], /above 0/],
    ];
    for (const [words, message] of cases) {
      const { status, stderr } = bench(...words);
      expect(stderr).toMatch(message);
      expect(status).toBe(2);
    }
  });
});

describe("runProcess()", () => {
  const shell = (script: string, limit = 20) =>
    runProcess({ program: "sh", arguments: ["-c", script], reports: true }, limit);

  test("measures between markers and takes the counts", async () => {
    const { measured, failure } = await shell(
      `echo noise; echo @start a; sleep 0.2; echo @end a 0f 12; echo '{"a":{"instructions":7}}' >&3`,
    );
    const a = measured.get("a")!;
    expect(a).toMatchObject({ checksum: "0f", work: 12, counts: { instructions: 7 } });
    expect(a.seconds).toBeGreaterThan(0.19);
    expect(failure).toBeUndefined();
  });

  test("counts the time of children that have ended", async () => {
    const { measured } = await shell(
      "echo @start a; sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo @end a 0",
    );
    expect(measured.get("a")!.cpuSeconds).toBeGreaterThan(0.02);
  });

  test("ends a boot at its prompt", async () => {
    const { measured } = await shell(`printf 'boot\\n${PROMPT} '; exec sleep 100`);
    expect([...measured.keys()]).toEqual(["boot"]);
  });

  test("says how a run went wrong, and keeps what was complete", async () => {
    const cases: [Promise<RunResult>, RegExp][] = [
      [shell("echo @start a"), /ended in the middle of a/],
      [shell("echo oops"), /without a result.*oops/s],
      [shell("echo @exception ESR 1; exec sleep 100"), /took an exception \(ESR 1\)/],
      [shell("echo @start a; exec sleep 100", 0.3), /did not end within 0.3/],
      [
        runProcess({ program: "no-such-program", arguments: [], reports: false }, 1),
        /cannot be run \(ENOENT\)/,
      ],
    ];
    for (const [run, message] of cases) expect((await run).failure).toMatch(message);
    const { measured } = await shell("echo @start a; echo @end a 1; echo @start b");
    expect([...measured.keys()]).toEqual(["a"]);
  });
});

describe("markers", () => {
  test("are found whatever the pieces in which they come", () => {
    const reader = new MarkerReader();
    const text = `[0.1] kernel\r\n@start x\r\n\n@end x 00ff\r\n~ ${PROMPT} `;
    expect([...text].flatMap((character) => reader.read(character))).toEqual([
      { kind: "start", item: "x" },
      { kind: "end", item: "x", checksum: "00ff", work: undefined },
      { kind: "prompt" },
    ]);
  });
});

describe("items", () => {
  test("have names of their own, each a group", () => {
    const names = ITEMS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { group } of ITEMS) expect(GROUPS).toHaveProperty(group);
  });

  test("are chosen by group or name", () => {
    expect(selectItems(["memory", "crc32"]).items.map(({ name }) => name)).toEqual([
      "crc32",
      "memory-copy",
      "pointer-chase",
    ]);
    expect(selectItems([]).items).toEqual(ITEMS);
    expect(selectItems(["x", "boot"]).unknown).toEqual(["x"]);
  });

  test("with FEAT_LSE are not given to a core without it", async () => {
    const item = ITEMS.find(({ name }) => name === "atomics-lse") as KernelItem;
    const workload = await kernelWorkload(item, 0.001);
    expect(commandFor(CONTENDERS["cortex-a57"], workload, "")).toBeUndefined();
    expect(commandFor(CONTENDERS["neoverse-n1"], workload, "")).toBeDefined();
  });
});

function measurement(seconds: number, checksum = "1", counts: Record<string, number> = {}): Measurement {
  return { seconds, cpuSeconds: seconds / 2, peakBytes: 2 ** 20, checksum, work: undefined, counts };
}

describe("results", () => {
  const item = ITEMS.find(({ name }) => name === "crc32")!;
  const result = {
    item,
    repetitions: [
      [4, 6, 2],
      [9, 3, 1],
      [1, 1, 10],
    ].map(
      ([a57, n1, ours]) =>
        new Map([
          ["native", measurement(1)],
          ["cortex-a57", measurement(a57!)],
          ["neoverse-n1", measurement(n1!)],
          [
            "translator",
            measurement(ours!, "1", { instructions: ours! * 5e6, regionInstructions: 60, regionEntries: 4 }),
          ],
        ] as const),
    ),
  };

  test("compare with the faster QEMU of the same repetition", () => {
    expect(speedup(result, "translator", "wall")).toBe(2);
    expect(slowdown(result, "translator", "wall")).toBe(2);
    expect(counted(result, "translator")).toMatchObject({
      millionsPerSecond: 5,
      perEntry: 15,
      walksPerThousand: undefined,
    });
    const text = report([result], ["native", "cortex-a57", "neoverse-n1", "translator"], "wall");
    expect(text).toContain(
      "translator against QEMU: **2.00 times as fast**; floor 1.5, goal 2.5: above the floor.",
    );
  });

  test("name checksums that differ, except where the host rounds otherwise", () => {
    const wrong = new Map([
      ["native", measurement(1, "2")],
      ["cortex-a57", measurement(1, "0003")],
      ["translator", measurement(1, "4")],
    ] as const);
    const differences = (rounds: boolean) =>
      checksumDifferences({ item: { ...(item as KernelItem), rounds }, repetitions: [wrong, wrong] });
    expect(differences(false)).toEqual([
      "crc32: native computes 2, QEMU cortex-a57 computes 0003.",
      "crc32: translator computes 4, QEMU cortex-a57 computes 0003.",
    ]);
    expect(differences(true)).toHaveLength(1);
  });

  test("are averaged by median and geometric mean", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1])).toBe(2.5);
    expect(median([])).toBeUndefined();
    expect(geometricMean([1, 4, 16])).toBeCloseTo(4);
  });

  test("stand in aligned columns", () => {
    expect(
      alignTable([
        ["a", "bb"],
        ["long", "1"],
      ]),
    ).toBe("| a    |  bb |\n| ---- | --: |\n| long |   1 |\n");
  });
});

test("the profile is written as hot-words.ts is", () => {
  const own = readFileSync(join(ROOT, "src", "engine", "interpreter", "hot-words.ts"), "utf8");
  const share = Number(/\((\d+) % of/.exec(own)?.[1]);
  expect(hotWordsFile(HOT_WORDS, WARM_WORDS, share)).toBe(own);
});
