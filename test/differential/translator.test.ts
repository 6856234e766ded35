import { expect, test } from "vitest";
import { assemble } from "../../src/isa/assembler.ts";
import { ACCESS_FAULTS } from "../support/access-faults.ts";
import { EngineContest } from "../support/engine-contest.ts";
import { LAYOUT, PAGE_KINDS } from "../support/engine-machine.ts";
import { Random } from "../support/random.ts";
import { ACCESSING_ROWS, PROGRAM_ROWS, ProgramMaker, writePointer } from "../support/random-program.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const TIME_LIMIT = 3_600_000;
/** Random programs, and how many share a pair of machines. */
const PROGRAMS = FULL ? 6000 : 120;
const PROGRAMS_OF_A_PAIR = 100;

/** Compiled code is freed when the event loop gets its turn. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("random programs do the same in both engines", { timeout: TIME_LIMIT }, async () => {
  const random = Random.ofThisRun();
  console.log(`${PROGRAMS} programs of ${PROGRAM_ROWS.length} rows, seed ${random.seed}`);
  const maker = new ProgramMaker(random);
  let contest = new EngineContest();
  let [instructions, inRegions, tracksRegisters] = [0, 0, true];
  for (let number = 0; number < PROGRAMS; number++) {
    if (number % PROGRAMS_OF_A_PAIR === PROGRAMS_OF_A_PAIR - 1) {
      // Every other pair has --dbt-regtrack off.
      tracksRegisters = !tracksRegisters;
      contest = new EngineContest({ tracksRegisters });
    }
    const before = contest.translated.interpreter.translator!.statistics().instructions;
    const program = maker.make();
    contest.load(program);
    // Short stops first, as code is translated between them; then whole runs.
    for (const [count, stride] of [
      [1000, 100],
      [6000, 3000],
    ] as const) {
      const difference = contest.run(random, program.data, count, stride);
      expect(difference, `program ${number} of seed ${random.seed}`).toBeUndefined();
      instructions += count;
    }
    inRegions += contest.translated.interpreter.translator!.statistics().instructions - before;
    await breathe();
  }
  console.log(
    `${((100 * inRegions) / instructions).toFixed(0)} % of ${instructions} instructions in regions`,
  );
  expect(inRegions).toBeGreaterThan(instructions / 2);
});

/** Programs whose every access is disturbed in turn, and how many ways are tried on each access. */
const DISTURBED_PROGRAMS = FULL ? 60 : 8;
const WAYS = FULL ? ACCESS_FAULTS.length : 8;

test("each access in turn made to fault does the same in both engines", { timeout: TIME_LIMIT }, async () => {
  const random = Random.ofThisRun();
  console.log(`${DISTURBED_PROGRAMS} programs, seed ${random.seed}`);
  const maker = new ProgramMaker(random, ACCESSING_ROWS);
  const met = new Set<string>();
  let contest = new EngineContest();
  let next = random.below(ACCESS_FAULTS.length);
  for (let number = 0; number < DISTURBED_PROGRAMS; number++) {
    if (number % PROGRAMS_OF_A_PAIR === PROGRAMS_OF_A_PAIR - 1) contest = new EngineContest();
    const program = maker.make();
    contest.load(program);
    contest.run(random, program.data, 1000, 100);
    for (const [index, site] of program.sites.entries()) {
      for (let way = 0; way < WAYS; way++) {
        const fault = ACCESS_FAULTS[next++ % ACCESS_FAULTS.length]!;
        const target = fault.target(site, random);
        if (target === undefined) continue;
        const data = program.data.slice();
        writePointer(data, index, site, target);
        const difference = contest.run(random, data, 600, 400);
        const where = `access ${index} (${site.row}) ${fault.name}, program ${number} of seed ${random.seed}`;
        expect(difference, where).toBeUndefined();
        for (const exception of contest.plain.exceptions) {
          met.add(/ESR_EL1 (\w+)/.exec(exception)?.[1] ?? "");
        }
      }
    }
    await breathe();
  }
  console.log(`${contest.instructions} instructions, ${met.size} kinds of syndrome`);
  expect(met.size).toBeGreaterThan(15);
});

/** Walks all data pages with a store whose faults find the flags of the comparison before the last jump back. */
const COMPARING_LOOP = `
1: umulh x6, x5, x4
   ldr x2, [x0]
   add x0, x0, #24
   ldur x1, [x0, #-8]
   add x1, x1, x26
   add x7, x7, #8
   str x1, [x3, x7]
   cmp x25, x0
   b.hi 1b
   adds w4, w4, w1
   b.mi 2f
   subs x5, x5, x2
2: cmp x0, x0
   sub x0, x0, #4032
   b.eq 1b
3: b 3b`;

test("an access that faults finds the flags of a comparison before the loop's last jump", async () => {
  const random = Random.ofThisRun();
  const { bytes } = assemble(COMPARING_LOOP, { origin: BigInt(LAYOUT.code) });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4, true));
  const x = new Array<bigint>(31).fill(0n);
  [x[0], x[3], x[25], x[26]] = [BigInt(LAYOUT.data), BigInt(LAYOUT.data), BigInt(LAYOUT.data) + 4032n, 1n];
  const data = new Uint8Array(PAGE_KINDS.length * 4096).map(() => random.below(256));
  const contest = new EngineContest();
  contest.load({
    pieces: [{ address: LAYOUT.code, words }],
    sites: [],
    settings: { level: 0, alignmentChecks: false, hardwareFlags: false, pan: false },
    start: {
      ...{ pc: BigInt(LAYOUT.code), sp: BigInt(LAYOUT.data), x, v: new Array<bigint>(32).fill(0n) },
      ...{ nzcv: 0, fpcr: 0, fpsr: 0 },
    },
    end: BigInt(LAYOUT.code + 4 * (words.length - 1)),
    data,
  });
  for (const stride of [7, 100, 3000]) {
    expect(contest.run(random, data, 40_000, stride), `seed ${random.seed}`).toBeUndefined();
    await breathe();
  }
  expect(contest.plain.exceptions.length).toBeGreaterThan(100);
});
