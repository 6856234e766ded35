import { expect, test } from "vitest";
import { EngineContest } from "../support/engine-contest.ts";
import { Random } from "../support/random.ts";
import { PROGRAM_ROWS, ProgramMaker } from "../support/random-program.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const TIME_LIMIT = 3_600_000;
/** Random programs, and how many share a pair of machines. */
const PROGRAMS = FULL ? 20_000 : 120;
const PROGRAMS_OF_A_PAIR = 100;

/** Compiled code is freed when the event loop gets its turn. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("random programs do the same in both engines", { timeout: TIME_LIMIT }, async () => {
  const random = Random.ofThisRun();
  console.log(`${PROGRAMS} programs of ${PROGRAM_ROWS.length} rows, seed ${random.seed}`);
  const maker = new ProgramMaker(random);
  let contest = new EngineContest();
  let [instructions, inRegions] = [0, 0];
  for (let number = 0; number < PROGRAMS; number++) {
    if (number % PROGRAMS_OF_A_PAIR === PROGRAMS_OF_A_PAIR - 1) contest = new EngineContest();
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
