import { describe, expect, it } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { PAGE, TableBuilder } from "../../../test/support/table-builder.ts";
import { halves, probe, RAM_BASE, TranslationMachine } from "../../../test/support/translation-machine.ts";
import { FRAME_SIZE } from "../../memory/machine-memory.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import { type MissFunctions, missFunctions } from "./miss-module.ts";
import { ShadowTables } from "./shadow-tables.ts";

const STORES = process.env["ELVISOR_FULL"] === undefined ? 20_000 : 1_000_000;
const ELEMENTS = 4;
/** Where the tables' own pages and their neighbours are mapped, writable. */
const WINDOW = 0x10_0000n;
const WINDOW_PAGES = 12;
const AREA = RAM_BASE + 0x20_0000;

function setUp(records?: number) {
  const machine = new TranslationMachine({
    elements: ELEMENTS,
    shadow: records === undefined ? {} : { records },
  });
  const tables = new TableBuilder(machine, { area: AREA });
  for (let page = 0; page < WINDOW_PAGES; page++) {
    tables.map(WINDOW + BigInt(page * FRAME_SIZE), AREA + (page - 2) * FRAME_SIZE, PAGE);
  }
  const root = BigInt(tables.root);
  for (let element = 0; element < ELEMENTS; element++) {
    machine.setRegisters(
      {
        SCTLR_EL1: 0x1005n,
        TCR_EL1: 16n | (16n << 16n) | (2n << 30n) | (5n << 32n),
        TTBR0_EL1: root,
        TTBR1_EL1: root,
        MAIR_EL1: 0xffn,
      },
      element,
    );
  }
  return { machine, tables };
}

describe("records of writes to tables", () => {
  it("are exactly the changes of the tables, whoever writes and however", () => {
    const random = Random.ofThisRun();
    const { machine } = setUp(4096);
    const shadow = machine.shadow!;
    const { buffers } = shadow;
    const misses = machine.elements.map(({ mmu: { access } }) => {
      const host: MissFunctions = {
        slowLoad: (_, ...operands) => access.load(...operands),
        slowStore: (_, ...operands) => access.store(...operands),
        prepareWrite: (_, ...operands) => access.prepareWrite(...operands),
      };
      return missFunctions({ map: machine.map, buffers }, host);
    });
    // Links all tables that the window needs.
    for (let page = 0; page < WINDOW_PAGES; page++) {
      machine.mmu.access.load(...halves(WINDOW + BigInt(page * FRAME_SIZE)), 8, 0);
    }
    shadow.drain();
    // The copies are what replaying the records makes of the tables' first contents.
    const frames = [...new Set(tracedFrames(machine))];
    expect(frames.length).toBe(4);
    const copies = new Map(frames.map((frame) => [frame, contents(machine, frame)]));
    let records = 0;
    const replay = (): void => {
      buffers.drain(({ frame, first, length, oldLow, oldHigh, newLow, newHigh }) => {
        records++;
        const copy = copies.get(frame)!;
        if (length === 64) copy.fill(0, first, first + 64);
        else {
          const view = new DataView(copy.buffer);
          expect([view.getInt32(first, true), view.getInt32(first + 4, true)]).toEqual([oldLow, oldHigh]);
          view.setInt32(first, newLow, true);
          view.setInt32(first + 4, newHigh, true);
        }
      });
      for (const frame of frames) expect(copies.get(frame)).toEqual(contents(machine, frame));
    };
    try {
      for (let count = 0; count < STORES; count++) {
        const element = random.below(ELEMENTS);
        buffers.turnOf(element);
        store(machine, misses[element]!, element, random);
        if (count % 512 === 0) replay();
      }
      replay();
    } catch (error) {
      throw new Error(`ELVISOR_SEED=${random.seed}`, { cause: error });
    }
    expect(records).toBeGreaterThan(STORES / 8);
  });
});

function tracedFrames(machine: TranslationMachine): number[] {
  const first = machine.host(AREA - 2 * FRAME_SIZE) / FRAME_SIZE;
  return Array.from({ length: WINDOW_PAGES }, (_, page) => first + page).filter((frame) =>
    machine.store.trace.has(frame, "TR_PT"),
  );
}

function contents(machine: TranslationMachine, frame: number): Uint8Array {
  return machine.memory.bytes.slice(frame * FRAME_SIZE, (frame + 1) * FRAME_SIZE);
}

/** One store of any width anywhere in the tables' upper halves, where nothing is mapped, or beside the tables. */
function store(machine: TranslationMachine, misses: MissFunctions, element: number, random: Random): void {
  const { base, mmu } = machine.elements[element]!;
  const page = random.below(WINDOW_PAGES);
  const offset = 2048 + random.below(2048 - 64);
  const address = WINDOW + BigInt(page * FRAME_SIZE + offset);
  const size = random.pick([1, 2, 4, 8, 8, 8, 16, 32, 64]);
  const aligned = random.below(2) === 0 ? address - (address % BigInt(size)) : address;
  const { bytes } = machine.memory;
  for (let byte = 0; byte < 64; byte++) bytes[base + PE_LAYOUT.SCRATCH + byte] = random.below(256);
  const [low, high] = halves(aligned);
  switch (random.below(5)) {
    case 0: {
      // DMA, the loader, a debugger.
      const source = bytes.slice(base + PE_LAYOUT.SCRATCH, base + PE_LAYOUT.SCRATCH + size);
      machine.ram.write(AREA + (page - 2) * FRAME_SIZE + Number(aligned % 4096n), source);
      return;
    }
    case 1:
      mmu.access.zeroBlock(low & ~63, high, 64);
      return;
    case 2: {
      // A read-modify-write: in place where the answer is no SCRATCH.
      const place = misses.prepareWrite(base, low & ~7, high, 8, 0);
      const scratch = base + PE_LAYOUT.SCRATCH;
      machine.memory.view.setBigUint64(place, random.u64(), true);
      if (place === scratch) misses.slowStore(base, low & ~7, high, 8, 0);
      return;
    }
    default: {
      const fast = probe(machine, { address: aligned, size, tag: SOFT_TLB.WRITE_TAG, element });
      const scratch = base + PE_LAYOUT.SCRATCH;
      if (fast !== undefined) bytes.copyWithin(fast, scratch, scratch + size);
      else misses.slowStore(base, low, high, size, 0);
    }
  }
}

describe("the rule by which faults are delivered", () => {
  it("no element faults on an entry that another made valid before it told", () => {
    const { machine, tables } = setUp();
    const target = 0x30_0000n;
    tables.map(target, RAM_BASE + 0x50_0000, PAGE);
    const entry = tables.descriptorAddress(target, 3);
    const valid = machine.read64(entry);
    for (let round = 0; round < 2000; round++) {
      const [writer, reader] = [round % ELEMENTS, (round + 1) % ELEMENTS];
      machine.shadow!.buffers.turnOf(reader);
      machine.write64(entry, 0n);
      for (const { mmu } of machine.elements) mmu.invalidate("VAAE1", target >> 12n, true);
      const { access } = machine.elements[reader]!.mmu;
      // The reader has the entry as absent.
      expect(access.load(...halves(target), 8, 0)).toBe(0);
      machine.shadow!.buffers.turnOf(writer);
      machine.write64(entry, valid);
      machine.shadow!.buffers.turnOf(reader);
      expect(access.load(...halves(target), 8, 0)).not.toBe(0);
    }
    expect(machine.shadow!.statistics.drains).toBeGreaterThan(2000);
  });
});

describe("changes of mappings", () => {
  it("are announced at drains, with addresses and both descriptors", () => {
    const { machine, tables } = setUp();
    const seen: string[] = [];
    machine.shadow!.onDrain = ({ level, addresses, old, new: now }) => {
      seen.push(
        `${level} ${addresses.map((address) => address.toString(16))} ${old.toString(16)} ${now.toString(16)}`,
      );
    };
    machine.mmu.access.load(...halves(WINDOW), 8, 0);
    const entry = tables.descriptorAddress(WINDOW, 3);
    const before = machine.read64(entry);
    machine.write64(entry, 0n);
    machine.mmu.invalidate("VMALLE1", 0n, true);
    expect(seen).toEqual([`3 ${WINDOW.toString(16)} ${before.toString(16)} 0`]);
    expect(machine.shadow).toBeInstanceOf(ShadowTables);
  });
});
