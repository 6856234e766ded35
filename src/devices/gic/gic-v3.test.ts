import { expect, test } from "vitest";
import { edgeWord, FUZZ_ACCESSES, fuzzDevice } from "../../../test/support/device-fuzz.ts";
import { Random } from "../../../test/support/random.ts";
import {
  ICC_REGISTERS,
  ICH_REGISTERS,
  type InterruptContext,
  type InterruptRegister,
  type InterruptSignals,
} from "../../base/interrupt-controller.ts";
import { GicV3, type GicV3Options } from "./gic-v3.ts";

const NON_SECURE: InterruptContext = {
  el: 1,
  nonSecure: true,
  imo: false,
  fmo: false,
  scrIrq: false,
  scrFiq: false,
};
const EL3: InterruptContext = { ...NON_SECURE, el: 3, nonSecure: false };
const QUIET: InterruptSignals = { irq: false, fiq: false, virq: false, vfiq: false };

function build(options: Partial<GicV3Options> = {}) {
  const peCount = options.peCount ?? 1;
  const signals: InterruptSignals[] = Array.from({ length: peCount }, () => QUIET);
  let changes = 0;
  const gic = new GicV3({
    peCount,
    affinities: Array.from({ length: peCount }, (_, aff0) => ({ aff0, aff1: 0, aff2: 0, aff3: 0 })),
    security: false,
    virtualization: false,
    onSignal: (pe, value) => {
      signals[pe] = value;
      changes++;
    },
    ...options,
  });
  const read = (register: InterruptRegister, context = NON_SECURE, pe = 0) =>
    gic.cpuInterface(pe).read(register, context);
  const write = (register: InterruptRegister, value: bigint, context = NON_SECURE, pe = 0) =>
    gic.cpuInterface(pe).write(register, value, context);
  return { gic, signals, changes: () => changes, read, write };
}

/** A single-state controller as Linux sets it up: Group 1, priority 0xa0, everything let through. */
function ready(options: Partial<GicV3Options> = {}) {
  const all = build(options);
  const { gic, write } = all;
  gic.distributor.write(0, 4, 3);
  for (let offset = 0x84; offset < 0xa4; offset += 4) gic.distributor.write(offset, 4, 0xffff_ffff);
  for (let offset = 0x420; offset < 0x520; offset += 4) gic.distributor.write(offset, 4, 0xa0a0_a0a0);
  for (let pe = 0; pe < (options.peCount ?? 1); pe++) {
    gic.redistributors.write(pe * 0x20000 + 0x10080, 4, 0xffff_ffff);
    for (let offset = 0x10400; offset < 0x10420; offset += 4)
      gic.redistributors.write(pe * 0x20000 + offset, 4, 0xa0a0_a0a0);
    gic.redistributors.write(pe * 0x20000 + 0x10100, 4, 0xffff_ffff);
    write("ICC_PMR_EL1", 0xf0n, NON_SECURE, pe);
    write("ICC_IGRPEN1_EL1", 1n, NON_SECURE, pe);
  }
  return all;
}

test("identification is that of QEMU's virt board", () => {
  const { gic, read } = build();
  expect(gic.distributor.read(0, 4)).toBe(0x50);
  expect(gic.distributor.read(4, 4)).toBe(0x0378_0007);
  expect(gic.distributor.read(0xffe8, 4)).toBe(0x3b);
  expect(gic.redistributors.read(0xffe0, 4)).toBe(0x93);
  expect(read("ICC_CTLR_EL1")).toBe(0x8c00n);
  expect(read("ICC_SRE_EL1")).toBe(7n);
  expect(read("ICC_BPR1_EL1")).toBe(3n);
  expect(read("ICC_AP1R1_EL1")).toBe("undefined");
  expect(read("ICC_SRE_EL2")).toBe("undefined");
  expect(read("ICH_VTR_EL2")).toBe("undefined");
  expect(build({ security: true }).gic.distributor.read(4, 4)).toBe(0x0378_0407);
});

test("each redistributor tells its affinity, and the last one says so", () => {
  const { gic } = build({ peCount: 3 });
  const types = [0, 1, 2].map((pe) => [
    gic.redistributors.read(pe * 0x20000 + 8, 4),
    gic.redistributors.read(pe * 0x20000 + 12, 4),
  ]);
  expect(types).toEqual([
    [0x0100_0000, 0],
    [0x0100_0100, 1],
    [0x0100_0210, 2],
  ]);
});

test("a level interrupt is signalled, acknowledged, ended, and comes back while its wire stays high", () => {
  const { gic, signals, read, write } = ready();
  gic.distributor.write(0x104, 4, 1 << 1);
  const line = gic.spi(1);
  line.set(true);
  expect(signals[0]).toEqual({ ...QUIET, irq: true });
  expect(read("ICC_IAR1_EL1")).toBe(33n);
  expect(signals[0]).toEqual(QUIET);
  expect(read("ICC_RPR_EL1")).toBe(0xa0n);
  write("ICC_EOIR1_EL1", 33n);
  expect(signals[0]!.irq).toBe(true);
  line.set(false);
  expect(signals[0]!.irq).toBe(false);
  expect(read("ICC_IAR1_EL1")).toBe(1023n);
});

test("an edge interrupt stays pending after its wire falls and is taken once", () => {
  const { gic, signals, read, write } = ready();
  gic.distributor.write(0xc08, 4, 2 << 4);
  gic.distributor.write(0x104, 4, 1 << 2);
  gic.spi(2).set(true);
  gic.spi(2).set(false);
  expect(signals[0]!.irq).toBe(true);
  expect(read("ICC_IAR1_EL1")).toBe(34n);
  write("ICC_EOIR1_EL1", 34n);
  expect(read("ICC_IAR1_EL1")).toBe(1023n);
});

test("a better priority preempts, an equal group priority does not", () => {
  const { gic, signals, read, write } = ready();
  gic.distributor.write(0x104, 4, 0xff);
  gic.spi(1).set(true);
  expect(read("ICC_IAR1_EL1")).toBe(33n);
  gic.spi(2).set(true);
  expect(signals[0]!.irq).toBe(false);
  gic.distributor.write(0x423, 1, 0x80);
  gic.spi(3).set(true);
  expect(signals[0]!.irq).toBe(true);
  expect(read("ICC_IAR1_EL1")).toBe(35n);
  expect(read("ICC_RPR_EL1")).toBe(0x80n);
  expect(read("ICC_AP1R0_EL1")).toBe(0x0011_0000n);
  write("ICC_EOIR1_EL1", 35n);
  expect(read("ICC_RPR_EL1")).toBe(0xa0n);
});

test("with EOImode set, ending only drops the priority", () => {
  const { gic, signals, read, write } = ready();
  gic.distributor.write(0x104, 4, 2);
  write("ICC_CTLR_EL1", 2n);
  gic.spi(1).set(true);
  expect(read("ICC_IAR1_EL1")).toBe(33n);
  write("ICC_EOIR1_EL1", 33n);
  expect(read("ICC_RPR_EL1")).toBe(0xffn);
  expect(signals[0]!.irq).toBe(false);
  expect(gic.distributor.read(0x304, 4)).toBe(2);
  write("ICC_DIR_EL1", 33n);
  expect(signals[0]!.irq).toBe(true);
});

test("SGIs reach the listed elements, or all but the sender", () => {
  const { read, write, signals } = ready({ peCount: 4 });
  write("ICC_SGI1R_EL1", (5n << 24n) | 0b1010n);
  expect(signals.map((signal) => signal.irq)).toEqual([false, true, false, true]);
  expect(read("ICC_IAR1_EL1", NON_SECURE, 3)).toBe(5n);
  write("ICC_SGI1R_EL1", (7n << 24n) | (1n << 40n), NON_SECURE, 2);
  expect(signals.map((signal) => signal.irq)).toEqual([true, true, false, false]);
  expect(read("ICC_HPPIR1_EL1", NON_SECURE, 0)).toBe(7n);
  write("ICC_SGI1R_EL1", (1n << 24n) | (1n << 16n) | 1n);
  expect(read("ICC_HPPIR1_EL1", NON_SECURE, 0)).toBe(7n);
});

test("a change of route moves a pending interrupt", () => {
  const { gic, signals } = ready({ peCount: 2 });
  gic.distributor.write(0x104, 4, 2);
  gic.spi(1).set(true);
  expect(signals.map((signal) => signal.irq)).toEqual([true, false]);
  gic.distributor.write(0x6000 + 33 * 8, 4, 1);
  expect(signals.map((signal) => signal.irq)).toEqual([false, true]);
  gic.distributor.write(0x6000 + 33 * 8 + 4, 4, 1);
  expect(signals.map((signal) => signal.irq)).toEqual([false, false]);
});

test("with two security states, Non-secure accesses see Non-secure Group 1 only", () => {
  const { gic } = build({ security: true });
  gic.distributor.write(0x84, 4, 0x0000_ffff, true);
  gic.distributor.write(0x104, 4, 0xffff_ffff, true);
  expect(gic.distributor.read(0x104, 4, false)).toBe(0x0000_ffff);
  expect(gic.distributor.read(0x84, 4, false)).toBe(0);
  gic.distributor.write(0x420, 1, 0x40, false);
  expect(gic.distributor.read(0x420, 1, true)).toBe(0xa0);
  expect(gic.distributor.read(0x420, 1, false)).toBe(0x40);
  gic.distributor.write(0x430, 1, 0x40, false);
  expect(gic.distributor.read(0x430, 1, true)).toBe(0);
  gic.distributor.write(0, 4, 0x77, false);
  expect(gic.distributor.read(0, 4, true)).toBe(0x32);
  expect(gic.distributor.read(0, 4, false)).toBe(0x12);
});

test("Group 1 of the other security state arrives as FIQ", () => {
  const { gic, signals, write } = build({ security: true });
  gic.distributor.write(0, 4, 7, true);
  gic.distributor.write(0x84, 4, 2, true);
  gic.distributor.write(0x104, 4, 2, true);
  write("ICC_IGRPEN1_EL3", 3n, EL3);
  write("ICC_PMR_EL1", 0xf8n, EL3);
  gic.spi(1).set(true);
  expect(signals[0]).toEqual({ ...QUIET, fiq: true });
  gic.cpuInterface(0).executionStateChanged(1, true);
  expect(signals[0]).toEqual({ ...QUIET, irq: true });
  gic.cpuInterface(0).executionStateChanged(1, false);
  expect(signals[0]).toEqual({ ...QUIET, fiq: true });
});

test("a list register raises a virtual interrupt, and ending it ends the physical one", () => {
  const guest: InterruptContext = { ...NON_SECURE, imo: true, fmo: true };
  const hypervisor: InterruptContext = { ...NON_SECURE, el: 2 };
  const { gic, signals, read, write } = ready({ virtualization: true });
  const ppi = gic.ppi(0, 11);
  ppi.set(true);
  expect(read("ICC_IAR1_EL1", hypervisor)).toBe(27n);
  write("ICC_CTLR_EL1", 2n, hypervisor);
  write("ICC_EOIR1_EL1", 27n, hypervisor);
  expect(read("ICH_VTR_EL2", hypervisor)).toBe(0x90b8_0003n);
  write("ICH_LR1_EL2", (1n << 62n) | (3n << 60n) | (0xa0n << 48n) | (27n << 32n) | 27n, hypervisor);
  write("ICH_HCR_EL2", 1n, hypervisor);
  expect(signals[0]!.virq).toBe(false);
  write("ICC_PMR_EL1", 0xf0n, guest);
  write("ICC_IGRPEN1_EL1", 1n, guest);
  expect(signals[0]!.virq).toBe(true);
  expect(read("ICC_IAR1_EL1", guest)).toBe(27n);
  expect(signals[0]!.virq).toBe(false);
  expect(gic.redistributors.read(0x10300, 4)).toBe(1 << 27);
  write("ICC_EOIR1_EL1", 27n, guest);
  expect(gic.redistributors.read(0x10300, 4)).toBe(0);
  expect(read("ICH_ELRSR_EL2", hypervisor)).toBe(15n);
  expect(signals[0]!.irq).toBe(true);
});

test("the underflow condition raises the maintenance interrupt", () => {
  const hypervisor: InterruptContext = { ...NON_SECURE, el: 2 };
  const { signals, read, write } = ready({ virtualization: true });
  write("ICH_HCR_EL2", 3n, hypervisor);
  expect(read("ICH_MISR_EL2", hypervisor)).toBe(2n);
  expect(signals[0]!.irq).toBe(true);
  expect(read("ICC_IAR1_EL1", hypervisor)).toBe(25n);
  write("ICH_HCR_EL2", 1n, hypervisor);
  write("ICC_EOIR1_EL1", 25n, hypervisor);
  expect(signals[0]!.irq).toBe(false);
});

test("reset silences everything but keeps the wires", () => {
  const { gic, signals } = ready();
  gic.distributor.write(0x104, 4, 2);
  gic.spi(1).set(true);
  gic.reset();
  expect(signals[0]).toEqual(QUIET);
  expect(gic.distributor.read(0x104, 4)).toBe(0);
  expect(gic.distributor.read(0x204, 4)).toBe(2);
});

test("random accesses of every width never throw, and signals follow what can be acknowledged", {
  timeout: 300_000,
}, () => {
  const random = Random.ofThisRun();
  console.log(`gic fuzz seed ${random.seed}`);
  for (const [security, virtualization] of [
    [false, false],
    [false, true],
    [true, true],
  ] as const) {
    const { gic, read, write, signals } = build({ peCount: 2, security, virtualization });
    for (let round = 0; round < 20; round++) {
      fuzzDevice(gic.distributor, random, FUZZ_ACCESSES / 60);
      fuzzDevice(gic.redistributors, random, FUZZ_ACCESSES / 60);
      for (let i = 0; i < FUZZ_ACCESSES / 60; i++) {
        const pe = random.below(2);
        const context: InterruptContext = {
          el: random.pick(security ? [1, 2, 3] : [1, 2]),
          nonSecure: !security || random.below(2) === 0,
          imo: random.below(2) === 0,
          fmo: random.below(2) === 0,
          scrIrq: random.below(2) === 0,
          scrFiq: random.below(2) === 0,
        };
        const register = random.pick([...ICC_REGISTERS, ...ICH_REGISTERS]);
        gic.cpuInterface(pe).executionStateChanged(context.el, context.nonSecure);
        if (random.below(2) === 0) read(register, context, pe);
        else write(register, (BigInt(edgeWord(random)) << 32n) | BigInt(edgeWord(random)), context, pe);
        if (random.below(4) === 0) gic.spi(random.below(256)).set(random.below(2) === 0);
        if (random.below(4) === 0) gic.ppi(pe, random.below(16)).set(random.below(2) === 0);
        // The incremental result equals one computed from nothing.
        if (i % 50 === 0 && !security) {
          const before = signals.map((signal) => ({ ...signal }));
          gic.controlChanged();
          gic.distributor.write(0xffd0, 4, 0);
          expect(signals).toEqual(before);
        }
      }
    }
  }
});
