import { describe, expect, test } from "vitest";
import { bareProgram } from "../../test/support/bare-program.ts";
import { Random } from "../../test/support/random.ts";
import { smallMachine } from "../../test/support/small-machine.ts";

const FULL = process.env["ELVISOR_FULL"] !== undefined;
const ROUNDS = FULL ? 125_000 : 4_000;

/**
 * Reads and writes every register of counters and timers at EL1, eight counts a round, and mixes what it reads into
 * x10. x11 counts counts that went back, x13 the rounds.
 */
const PROGRAM = bareProgram(`
        mov x10, #0
        mov x11, #0
        mov x12, #0
        mov x13, #0
        movz x14, #0x01b3
        movk x14, #0x100, lsl #32
        movz x15, #0x4321
loop:   mov x16, #4
1:      mrs x0, cntvct_el0
        bl mix_count
        mrs x0, cntpct_el0
        bl mix_count
        subs x16, x16, #1
        b.ne 1b
        mul x15, x15, x14
        add x15, x15, #99
        and x1, x15, #0x1fff
        sub x1, x1, #0x400
        msr cntp_tval_el0, x1
        and x1, x15, #3
        msr cntp_ctl_el0, x1
        mrs x0, cntv_cval_el0
        bl mix
        lsr x1, x15, #40
        mrs x2, cntvct_el0
        add x1, x1, x2
        msr cntv_cval_el0, x1
        mov x1, #1
        msr cntv_ctl_el0, x1
        mrs x0, cntv_ctl_el0
        bl mix
        mrs x0, cntp_ctl_el0
        bl mix
        mrs x0, cntp_cval_el0
        bl mix
        mrs x0, cntp_tval_el0
        bl mix
        mrs x0, cntv_tval_el0
        bl mix
        mrs x0, isr_el1
        bl mix
        add x13, x13, #1
        b loop

mix_count:
        cmp x0, x12
        cinc x11, x11, lo
        mov x12, x0
mix:    eor x10, x10, x0
        mul x10, x10, x14
        ret
`);

/** Runs on one of the paths, with the same changes of pace at the same points. */
function run(path: "scaled" | "trap", seed: number, changes: number) {
  const random = new Random(seed);
  const machine = smallMachine({
    ...{ memory: PROGRAM, cpus: 1, translationThreshold: undefined, plain: true },
    time: { scale: 0.37, path },
  });
  const { state } = machine.elements[0]!.processor;
  for (let change = 0; Number(state.x(13)) < ROUNDS; change++) {
    let turns = 0;
    machine.loop.burst(() => ++turns > 2);
    if (change < changes) machine.guestClock.setScale((1 + random.below(20_000)) / 1000);
  }
  return { hash: state.x(10), wentBack: state.x(11), rounds: state.x(13), last: state.x(12) };
}

describe("the guest's time", () => {
  test("is the same to the tick on both paths, and never goes back", () => {
    const { seed } = Random.ofThisRun();
    const scaled = run("scaled", seed, 1000);
    const trapped = run("trap", seed, 1000);
    expect(scaled.wentBack, `seed ${seed}`).toBe(0n);
    expect(trapped, `seed ${seed}`).toEqual(scaled);
  });

  test("at the machine's own pace is the machine's", () => {
    const machine = smallMachine({ memory: PROGRAM, cpus: 1, translationThreshold: undefined, plain: true });
    let turns = 0;
    machine.loop.burst(() => ++turns > 2);
    expect(Number(machine.elements[0]!.processor.state.x(12))).toBeLessThanOrEqual(
      machine.guestClock.ticks(),
    );
    expect(machine.guestClock.scale).toBe(1);
  });
});
