import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guestView, Introspection } from "../../src/machine/introspection.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { countedRun, MEMORY_BYTES } from "../support/counted-run.ts";
import { Random } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";
import { writeVmcore } from "../support/vmcore.ts";

/** A scan of Debian's kernel and its programs against drgn, which walks the tables in a dump of the machine's memory. */

const FULL = process.env["ELVISOR_FULL"] === "1";
/** To the shell, or only until the kernel has its own tables. */
const INSTRUCTIONS = FULL ? 1.5e9 : 1.5e8;
const ADDRESSES = 10_000;
const LIMIT = 600_000;
const PAGE = 4096;
const BASE = VIRT_MAP.ram.base;
const OUTPUT = 0xffff_ffff_f000n;

/** Where the kernel keeps what dumps are to say about it: a page of its own that begins with its release. */
function vmcoreInformation(ram: Buffer): number {
  for (let at = 0; at < ram.length; at += PAGE) {
    if (ram.toString("latin1", at, at + 13) === "OSRELEASE=6.1") return at;
  }
  throw new Error("the kernel has no VMCOREINFO");
}

interface Place {
  readonly tables: bigint;
  readonly address: bigint;
  /** Physical address of the byte; undefined where nothing is mapped. */
  readonly physical: number | undefined;
}

test(
  `drgn finds ${ADDRESSES} addresses where the scan does`,
  async () => {
    const random = Random.ofThisRun();
    const { machine } = await countedRun({
      ...{ kernel: "kernel:6.1-cloud", cpus: 1, virtualization: false },
      ...{ instructions: INSTRUCTIONS, roundsInBurst: () => 1000 },
    });
    const { reader } = guestView(machine);
    const introspection = new Introspection(machine);
    const { scans } = introspection.scan({ space: FULL ? "all" : "current", half: FULL ? "both" : "kernel" });
    const ranges = scans.flatMap((half) => half.ranges.map((range) => ({ half, range })));
    const kernel = ranges.filter(({ half }) => half.half === "kernel");
    /** Every address at which the kernel has a byte of RAM. */
    const kernelAddresses = (physical: number): bigint[] =>
      kernel.flatMap(({ range: { start, physical: first, size } }) => {
        const offset = physical - Number(first ?? 2 ** 60);
        return offset >= 0 && offset < size ? [BigInt(start) + BigInt(offset)] : [];
      });

    // Each page that is no table says where it is, so that what is read at an address is its translation.
    const ram = Buffer.concat(
      Array.from({ length: MEMORY_BYTES / 2 ** 20 }, (_, index) =>
        reader.readPhysical(BASE + index * 2 ** 20, 2 ** 20),
      ),
    );
    expect(ram.length).toBe(MEMORY_BYTES);
    const tables = new Set<number>();
    const collect = (table: number, level: number): void => {
      tables.add(table);
      for (let entry = 0; entry < 512 && level < 3; entry++) {
        const descriptor = ram.readBigUInt64LE(table - BASE + entry * 8);
        if ((descriptor & 3n) === 3n) collect(Number(descriptor & OUTPUT), level + 1);
      }
    };
    for (const half of scans) collect(Number(half.tables), 0);
    const information = ram.subarray(vmcoreInformation(ram));
    const text = Buffer.from(information.subarray(0, information.indexOf(0)));
    for (let at = BASE; at < BASE + MEMORY_BYTES; at += PAGE) {
      if (tables.has(at)) continue;
      for (let word = 0; word < PAGE; word += 8) ram.writeBigUInt64LE(BigInt(at + word), at - BASE + word);
    }

    const places: Place[] = [];
    while (places.length < ADDRESSES) {
      const { half, range } = ranges[random.below(ranges.length)]!;
      const { start, end, size, physical } = range;
      const isKernel = half.half === "kernel";
      const root = isKernel ? 0n : kernelAddresses(Number(half.tables))[0]!;
      // One of 16 is just behind a range, where the next one may begin.
      const isBehind = random.below(16) === 0;
      const offset = random.below(size / 8) * 8;
      const address = isBehind ? BigInt(end) : BigInt(start) + BigInt(offset);
      if (address >= 1n << 64n) continue;
      const at = physical === undefined ? undefined : Number(physical) + offset;
      if (at !== undefined && (at < BASE || at >= BASE + MEMORY_BYTES || tables.has(at - (at % PAGE))))
        continue;
      if (isBehind && half.ranges.some((next) => next.start === end)) continue;
      places.push({ tables: root, address, physical: isBehind ? undefined : at });
    }

    withTemporaryDirectory((directory) => {
      const file = join(directory, "vmcore");
      // drgn reads tables by their virtual addresses, which it has to begin with.
      const known = [...tables].flatMap((physical) =>
        kernelAddresses(physical).map((virtual) => ({ virtual, physical })),
      );
      writeFileSync(file, writeVmcore(text, BASE, ram, known));
      const input = places
        .map((place) => `${place.tables.toString(16)} ${place.address.toString(16)}\n`)
        .join("");
      const script = join(import.meta.dirname, "../support/drgn-translate.py");
      const options = { input, encoding: "utf8", maxBuffer: 2 ** 26 } as const;
      const { stdout, stderr, status } = spawnSync(
        "drgn",
        ["--quiet", "--no-default-symbols", "--core", file, script],
        options,
      );
      expect([status, stderr]).toEqual([0, ""]);
      const found = stdout.trim().split("\n");
      const wrong = places.flatMap(({ tables: root, address, physical }, index) =>
        found[index] === `${physical ?? "none"}` ? [] : [{ root, address, physical, found: found[index] }],
      );
      expect(found.length).toBe(places.length);
      expect(wrong.slice(0, 5), `seed ${random.seed}`).toEqual([]);
      const ofPrograms = places.filter((place) => place.tables !== 0n).length;
      console.log(`drgn: ${places.length} addresses, ${ofPrograms} of programs`);
      if (FULL) expect(ofPrograms).toBeGreaterThan(ADDRESSES / 10);
    });
  },
  LIMIT,
);
