import { describe, expect, test } from "vitest";
import { bareProgram } from "../../test/support/bare-program.ts";
import { Random } from "../../test/support/random.ts";
import { smallMachine } from "../../test/support/small-machine.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";
import type { Machine } from "./machine.ts";
import type { TimeSource } from "./machine-clock.ts";

const FULL = process.env["ELVISOR_FULL"] !== undefined;
/** Reads of both counters between two changes of the pace, and how many changes. */
const READS = 10_000;
const PHASES = FULL ? 100 : 10;

/**
 * The machine's time is what the program leaves in memory: it goes on by random steps, up to 2^22 at first and 2^38 now
 * and then, so that the same reads come at the same ticks whoever performs them. Each phase of x17 reads of both
 * counters mixes what it reads into x10 and ends at `pause`, where the program waits until x18 is not 0. x11 counts
 * counts that went back.
 */
const TIME = VIRT_MAP.ram.base + 0x10_0000;
const PROGRAM = bareProgram(`
        mov x19, #0x40000000
        movk x19, #0x10, lsl #16
        mov x10, #0
        mov x11, #0
        mov x12, #0
        movz x14, #0x01b3
        movk x14, #0x100, lsl #32
        movz x15, #0x4321
        mov x21, #0
pause:  cbz x18, pause
        mov x18, #0
        mov x17, #${READS / 2}
1:      mul x15, x15, x14
        add x15, x15, #99
        lsr x0, x15, #42
        ands xzr, x15, #0xfff000
        b.ne 2f
        lsr x0, x15, #26
2:      add x21, x21, x0
        str x21, [x19]
        mrs x0, cntvct_el0
        mrs x1, cntpct_el0
        cmp x0, x12
        cinc x11, x11, lo
        mov x12, x1
        eor x10, x10, x0
        mul x10, x10, x14
        eor x10, x10, x1
        mul x10, x10, x14
        subs x17, x17, #1
        b.ne 1b
        b pause
`);

/** Ticks that the guest's memory says. */
class RememberedTime implements TimeSource {
  machine: Machine | undefined;
  asked = 0;

  ticks(): number {
    this.asked++;
    return Number(this.machine?.guest.read64(TIME) ?? 0n);
  }
  wallSeconds(): number {
    return 0;
  }
  continueAt(): void {}
}

function run(seed: number, inlinesCounters: boolean, threshold: number | undefined) {
  const random = new Random(seed);
  const source = new RememberedTime();
  const machine = smallMachine({
    ...{ memory: PROGRAM, cpus: 1, translationThreshold: threshold, plain: true },
    ...{ timeSource: source, inlinesCounters, time: { scale: 0.37, path: "scaled" } },
  });
  source.machine = machine;
  const { state } = machine.elements[0]!.processor;
  for (let phase = 0; phase < PHASES; phase++) {
    machine.guestClock.setScale(phase % 5 === 0 ? 1 : (1 + random.below(100_000)) / 1000);
    state.setX(18, 1n);
    machine.loop.burst(() => state.x(17) === 0n && state.x(18) === 0n);
  }
  const inRegions = Number(machine.interpreter.translator?.statistics().instructions ?? 0);
  return { seen: { hash: state.x(10), wentBack: state.x(11), last: state.x(12) }, inRegions };
}

describe("counters that generated code reads by itself", () => {
  test(`give the same as the processor does in ${PHASES * READS} reads, and never go back`, () => {
    const { seed } = Random.ofThisRun();
    const asked = run(seed, false, undefined);
    expect(asked.seen.wentBack, `seed ${seed}`).toBe(0n);
    const inInterpreter = run(seed, true, undefined);
    expect(inInterpreter.seen, `seed ${seed}`).toEqual(asked.seen);
    const inRegions = run(seed, true, 10);
    expect(inRegions.seen, `seed ${seed}`).toEqual(asked.seen);
    // All but the first rounds, and no other way out of the loop than its end.
    expect(inRegions.inRegions).toBeGreaterThan(PHASES * READS * 7);
  });
});
