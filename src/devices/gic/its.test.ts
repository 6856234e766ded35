import { expect, test } from "vitest";
import { edgeWord, FUZZ_ACCESSES, fuzzDevice } from "../../../test/support/device-fuzz.ts";
import { FlatMemory } from "../../../test/support/flat-memory.ts";
import { Random } from "../../../test/support/random.ts";
import type { InterruptContext } from "../../base/interrupt-controller.ts";
import { GicV3 } from "./gic-v3.ts";
import { ITS_COMMAND } from "./its.ts";

const BASE = 0x4000_0000;
const QUEUE = BASE;
const QUEUE_BYTES = 0x1000;
const DEVICES = BASE + 0x1_0000;
const COLLECTIONS = BASE + 0x2_0000;
const PROPERTIES = BASE + 0x3_0000;
const PENDING = BASE + 0x5_0000;
const TRANSLATIONS = BASE + 0x8_0000;
const FRAME = 0x2_0000;

const EL1: InterruptContext = {
  el: 1,
  nonSecure: true,
  imo: false,
  fmo: false,
  scrIrq: false,
  scrFiq: false,
};
const SPURIOUS = 1023n;

function build(peCount = 2) {
  const memory = new FlatMemory(BASE, 1 << 20);
  const reports: string[] = [];
  const gic = new GicV3({
    peCount,
    affinities: Array.from({ length: peCount }, (_, aff0) => ({ aff0, aff1: 0, aff2: 0, aff3: 0 })),
    security: false,
    virtualization: false,
    lpiMemory: memory,
    onSignal: () => {},
    log: { report: (device, what) => reports.push(`${device}: ${what}`) },
  });
  const its = gic.translationService!;
  const write64 = (offset: number, value: number, high = 0) => {
    its.write(offset, 4, value >>> 0);
    its.write(offset + 4, 4, high >>> 0);
  };
  let queued = 0;
  const command = (code: number, device: number, event: [number, number], third: number[], fourth = 0) => {
    const words = [code, device, ...event, ...third, fourth, 0];
    for (const [index, word] of words.entries()) memory.write32(QUEUE + queued + 4 * index, word >>> 0);
    queued = (queued + 32) % QUEUE_BYTES;
    its.write(0x88, 4, queued);
    expect(its.read(0x90, 4)).toBe(queued);
  };
  const acknowledge = (pe = 0) => gic.cpuInterface(pe).read("ICC_IAR1_EL1", EL1);
  const end = (intid: bigint, pe = 0) => gic.cpuInterface(pe).write("ICC_EOIR1_EL1", intid, EL1);
  return { gic, its, memory, reports, write64, command, acknowledge, end };
}

/** The same with everything switched on, device 5 with 32 events, and collection n on element n. */
function ready() {
  const machine = build();
  const { gic, its, memory, write64, command } = machine;
  gic.distributor.write(0, 4, 2);
  memory.write(PROPERTIES, new Uint8Array(1024).fill(0xa1));
  for (const pe of [0, 1]) {
    gic.redistributors.write(pe * FRAME + 0x70, 4, PROPERTIES | 15);
    gic.redistributors.write(pe * FRAME + 0x78, 4, PENDING + pe * 0x1_0000);
    gic.redistributors.write(pe * FRAME, 4, 1);
    gic.cpuInterface(pe).write("ICC_PMR_EL1", 0xf0n, EL1);
    gic.cpuInterface(pe).write("ICC_IGRPEN1_EL1", 1n, EL1);
  }
  write64(0x100, DEVICES, 0x8000_0000);
  write64(0x108, COLLECTIONS, 0x8000_0000);
  write64(0x80, QUEUE, 0x8000_0000);
  its.write(0, 4, 1);
  command(ITS_COMMAND.MAPD, 5, [4, 0], [TRANSLATIONS, 0x8000_0000]);
  for (const pe of [0, 1]) command(ITS_COMMAND.MAPC, 0, [0, 0], [pe | (pe << 16), 0x8000_0000]);
  return machine;
}

test("a message becomes the LPI that the tables say, on the element that its collection names", () => {
  const { its, command, acknowledge, end, reports } = ready();
  command(ITS_COMMAND.MAPTI, 5, [3, 8200], [1, 0]);
  command(ITS_COMMAND.MAPI, 5, [7, 0], [0, 0]);
  its.translate(5, 3);
  expect([acknowledge(0), acknowledge(1)]).toEqual([SPURIOUS, 8200n]);
  end(8200n, 1);
  expect(acknowledge(1)).toBe(SPURIOUS);
  command(ITS_COMMAND.MOVI, 5, [3, 0], [0, 0]);
  its.translate(5, 3);
  expect([acknowledge(1), acknowledge(0)]).toEqual([SPURIOUS, 8200n]);
  expect(reports).toEqual(["gic-its: event mapped to INTID 7, which is no LPI"]);
});

test("what waits for one element moves to another, and back to memory when LPIs are switched off", () => {
  const { gic, memory, command, acknowledge } = ready();
  for (const event of [1, 2, 3]) {
    command(ITS_COMMAND.MAPTI, 5, [event, 8192 + event], [0, 0]);
    command(ITS_COMMAND.INT, 5, [event, 0], [0, 0]);
  }
  command(ITS_COMMAND.MOVALL, 0, [0, 0], [0, 0], 1 << 16);
  expect([acknowledge(0), acknowledge(1)]).toEqual([SPURIOUS, 8193n]);
  gic.redistributors.write(FRAME, 4, 0);
  expect(memory.read32(PENDING + 0x1_0000 + 1024)).toBe(0b1100);
  gic.redistributors.write(FRAME, 4, 1);
  gic.cpuInterface(1).write("ICC_EOIR1_EL1", 8193n, EL1);
  expect(acknowledge(1)).toBe(8194n);
});

test("priority and enable come from the configuration table; CLEAR and DISCARD take away", () => {
  const { memory, command, acknowledge, end } = ready();
  for (const event of [1, 2, 3, 4]) command(ITS_COMMAND.MAPTI, 5, [event, 8192 + event], [0, 0]);
  memory.write8(PROPERTIES + 2, 0x41);
  memory.write8(PROPERTIES + 3, 0x20);
  for (const event of [1, 2, 3, 4]) command(ITS_COMMAND.INT, 5, [event, 0], [0, 0]);
  command(ITS_COMMAND.CLEAR, 5, [1, 0], [0, 0]);
  expect([acknowledge(), acknowledge()]).toEqual([8194n, SPURIOUS]);
  memory.write8(PROPERTIES + 3, 0x21);
  command(ITS_COMMAND.INV, 5, [3, 0], [0, 0]);
  expect(acknowledge()).toBe(8195n);
  command(ITS_COMMAND.DISCARD, 5, [4, 0], [0, 0]);
  for (const intid of [8195n, 8194n]) end(intid);
  expect(acknowledge()).toBe(SPURIOUS);
});

test("commands that cannot be are passed over, each with its reason", () => {
  const { command, reports } = ready();
  command(0x77, 0, [0, 0], [0, 0]);
  command(ITS_COMMAND.MAPD, 5, [31, 0], [TRANSLATIONS, 0x8000_0000]);
  command(ITS_COMMAND.MAPD, 0x1_0000, [4, 0], [TRANSLATIONS, 0x8000_0000]);
  command(ITS_COMMAND.MAPC, 0, [0, 0], [3 | (7 << 16), 0x8000_0000]);
  command(ITS_COMMAND.MAPTI, 5, [32, 8192], [0, 0]);
  command(ITS_COMMAND.MAPTI, 6, [0, 8192], [0, 0]);
  command(ITS_COMMAND.MAPTI, 5, [0, 0x1_0000], [0, 0]);
  command(ITS_COMMAND.INT, 5, [9, 0], [0, 0]);
  command(ITS_COMMAND.INVALL, 0, [0, 0], [77, 0]);
  command(ITS_COMMAND.MOVALL, 0, [0, 0], [9 << 16, 0], 1 << 16);
  expect(reports).toHaveLength(10);
});

test("tables outside memory, or full of anything, lead nowhere", () => {
  const { its, memory, write64, command, acknowledge } = ready();
  command(ITS_COMMAND.MAPTI, 5, [1, 8193], [0, 0]);
  const lost = () => {
    its.translate(5, 1);
    return acknowledge();
  };
  const device = DEVICES + 8 * 5;
  const good = memory.read64(device)!;
  for (const bad of [
    0n,
    (1n << 63n) | 4n,
    (1n << 63n) | 0xf_ffff_ffff_ff04n,
    good | 0x1fn,
    (1n << 64n) - 1n,
  ]) {
    memory.write64(device, bad);
    expect(lost()).toBe(SPURIOUS);
  }
  memory.write64(device, good);
  for (const [high, low] of [
    [0x8000_0000, 0],
    [0xc000_0000, DEVICES],
    [0xc00f_ffff, 0xffff_ff00],
    [0, DEVICES],
  ] as const) {
    its.write(0, 4, 0);
    write64(0x100, low, high);
    its.write(0, 4, 1);
    expect(lost()).toBe(SPURIOUS);
  }
});

test("random registers, commands and tables never throw", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`its fuzz seed ${random.seed}`);
  const { gic, its, memory, reports } = build();
  fuzzDevice(its, random);
  for (let round = 0; round < FUZZ_ACCESSES / 500; round++) {
    gic.reset();
    const inside = () => BASE + random.below(1 << 20);
    for (let i = 0; i < 2000; i++) memory.write64(BASE + random.below(1 << 17) * 8, random.u64());
    gic.distributor.write(0, 4, 3);
    for (const pe of [0, 1]) {
      gic.redistributors.write(pe * FRAME + 0x70, 4, random.below(4) === 0 ? edgeWord(random) : inside());
      gic.redistributors.write(pe * FRAME + 0x78, 4, random.below(4) === 0 ? edgeWord(random) : inside());
      gic.redistributors.write(pe * FRAME, 4, 1);
    }
    for (const offset of [0x80, 0x100, 0x108]) {
      its.write(offset, 4, random.below(8) === 0 ? edgeWord(random) : inside());
      its.write(offset + 4, 4, random.pick([0x8000_0000, 0xc000_0000, edgeWord(random)]));
    }
    its.write(0, 4, 1);
    for (let step = 0; step < 50; step++) {
      // Half of the commands are known ones, the rest is what lies there.
      const queue = its.queueBase[0]! & 0xffff_f000;
      const at = (queue >>> 0) + its.readOffset;
      if (random.below(2) === 0) memory.write32(at, random.pick(Object.values(ITS_COMMAND)));
      if (random.below(2) === 0) memory.write32(at + 4, random.below(4));
      if (random.below(2) === 0) memory.write32(at + 8, random.below(8));
      its.write(0x88, 4, random.below(8) === 0 ? edgeWord(random) : (its.readOffset + 32) & 0xfff);
      its.translate(random.below(4), random.below(8));
      for (const pe of [0, 1]) gic.cpuInterface(pe).read("ICC_IAR1_EL1", EL1);
    }
    reports.length = 0;
  }
});
