import { describe, expect, it } from "vitest";
import { ProcessorMachine } from "../../test/support/processor-machine.ts";
import { Random } from "../../test/support/random.ts";

const ONE = 1n << 48n;
const FAR = 1n << 40n;
const TICKS = 4_000;

/** A machine at EL2. */
function machineAt2(): ProcessorMachine {
  const machine = new ProcessorMachine();
  machine.enter(2);
  return machine;
}

describe("CNTSCALE_EL2 and CNTREBASE_EL2", () => {
  it("are EL2's, and as if they were not there after reset", () => {
    const machine = machineAt2();
    machine.clock.advance(77);
    expect([machine.get("CNTSCALE_EL2"), machine.get("CNTREBASE_EL2")]).toEqual([ONE, 77n]);
    machine.set("CNTSCALE_EL2", ONE / 2n);
    machine.processor.reset();
    machine.enter(2);
    expect([machine.get("CNTSCALE_EL2"), machine.get("CNTREBASE_EL2")]).toEqual([ONE, 77n]);
    machine.enter(1);
    expect(machine.get("CNTVCT_EL0")).toBe(77n);
    for (const name of ["CNTSCALE_EL2", "CNTREBASE_EL2"] as const) {
      // UNDEFINED: the register that was to be loaded is as before, PC is at EL1's vectors.
      expect(machine.get(name)).toBe(0xdeadn);
      expect(machine.processor.state.pc).toBe(0x200n);
    }
  });

  it("set what counters show below EL2, without jumps, for any scale", () => {
    const random = Random.ofThisRun();
    const machine = machineAt2();
    machine.set("CNTVOFF_EL2", 1_000n);
    let [start, guestStart, scale] = [0n, 0n, ONE];
    for (let change = 0; change < 500; change++) {
      machine.clock.advance(random.below(1 << random.below(24)));
      const now = BigInt(machine.clock.ticks());
      const expected = guestStart + (((now - start) * scale) >> 48n);
      const at = `seed ${random.seed}, change ${change}`;
      expect([machine.get("CNTPCT_EL0"), machine.get("CNTREBASE_EL2")], at).toEqual([now, expected]);
      machine.enter(1);
      expect(machine.get("CNTPCT_EL0"), at).toBe(expected);
      expect(machine.get("CNTVCT_EL0"), at).toBe(BigInt.asUintN(64, expected - 1_000n));
      machine.enter(1, { nonSecure: false });
      expect(machine.get("CNTPCT_EL0"), at).toBe(now);
      machine.enter(2);
      [start, guestStart] = [now, expected];
      scale = random.below(8) === 0 ? 0n : BigInt(random.below(2 ** 32)) << BigInt(random.below(20));
      machine.set("CNTSCALE_EL2", scale);
      if (random.below(8) === 0) {
        guestStart = BigInt(random.below(2 ** 32));
        machine.set("CNTREBASE_EL2", guestStart);
      }
    }
  });

  it("make timers below EL2 due at the first tick that reaches their value, and no others", () => {
    const random = Random.ofThisRun();
    for (let round = 0; round < 40; round++) {
      const machine = machineAt2();
      machine.clock.advance(random.below(1_000));
      machine.set("CNTVOFF_EL2", 20n);
      machine.set("CNTP_CVAL_EL0", machine.get("CNTREBASE_EL2") + BigInt(random.below(1_000)));
      machine.set("CNTV_CVAL_EL0", machine.get("CNTREBASE_EL2") + BigInt(random.below(1_000)));
      machine.set("CNTHP_CVAL_EL2", BigInt(machine.clock.ticks() + 100));
      for (const name of ["CNTP_CTL_EL0", "CNTV_CTL_EL0", "CNTHP_CTL_EL2"] as const) machine.set(name, 1n);
      // Half of the time after the timers are armed already.
      machine.set("CNTSCALE_EL2", ONE / 100n + (BigInt(random.below(1 << 20)) << 30n));
      for (let tick = 0; tick < TICKS; tick++) {
        const count = machine.get("CNTREBASE_EL2");
        const wanted = {
          physical: count >= machine.get("CNTP_CVAL_EL0"),
          virtual: BigInt.asUintN(64, count - 20n) >= machine.get("CNTV_CVAL_EL0"),
          hypervisor: machine.get("CNTPCT_EL0") >= machine.get("CNTHP_CVAL_EL2"),
        };
        expect(machine.lines, `seed ${random.seed}, round ${round}`).toMatchObject(wanted);
        if (wanted.physical && wanted.virtual && wanted.hypervisor) break;
        machine.clock.advance(1);
      }
    }
  });

  it("stop time below EL2, and move it, with the timers", () => {
    const machine = machineAt2();
    machine.set("CNTP_CVAL_EL0", 100n);
    machine.set("CNTP_CTL_EL0", 1n);
    machine.set("CNTSCALE_EL2", 0n);
    machine.clock.advance(Number(FAR));
    expect([machine.lines.physical, machine.get("CNTREBASE_EL2")]).toEqual([false, 0n]);
    machine.set("CNTREBASE_EL2", 100n);
    expect(machine.lines.physical).toBe(true);
    machine.set("CNTREBASE_EL2", 99n);
    expect(machine.lines.physical).toBe(false);
    machine.set("CNTSCALE_EL2", ONE / 4n);
    machine.clock.advance(3);
    expect(machine.lines.physical).toBe(false);
    machine.clock.advance(1);
    expect(machine.lines.physical).toBe(true);
    machine.set("CNTREBASE_EL2", 2n ** 64n - 1n);
    expect(machine.get("CNTREBASE_EL2")).toBe(2n ** 53n - 1n);
  });

  it("set the pace of EL1's event stream", () => {
    const machine = machineAt2();
    const eventEnable = 1n << 2n;
    machine.set("CNTSCALE_EL2", ONE / 2n);
    machine.set("CNTKCTL_EL1", eventEnable | (3n << 4n));
    const ends: number[] = [];
    for (let tick = 0; tick < 100; tick++) {
      machine.processor.execute("waitForEvent", 0, 0, 0);
      const wasAsleep = machine.processor.sleeping;
      machine.clock.advance(1);
      if (wasAsleep && !machine.processor.sleeping) ends.push(machine.clock.ticks());
    }
    // The bit of weight 8 becomes one every 16 counts.
    expect(ends).toEqual([16, 48, 80]);
  });
});
