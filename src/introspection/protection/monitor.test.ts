import { beforeEach, describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { PAGE, TableBuilder } from "../../../test/support/table-builder.ts";
import { halves, RAM_BASE, TranslationMachine } from "../../../test/support/translation-machine.ts";
import { SERVICE_STATUS } from "../../hypervisor/services/service-table.ts";
import { FRAME_FLAGS } from "../../memory/frame-table.ts";
import { STORE_RESULT } from "../../mmu/data-access.ts";
import { GuestTrees } from "./guest-trees.ts";
import { ProtectionMonitor } from "./monitor.ts";
import {
  ACTIONS,
  buildTree,
  makeNode,
  type ProtectionAction,
  TREE_MISTAKES,
  TREE_NODE,
} from "./page-tree.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const { SUCCESS, INVALID, DENIED, NOT_FOUND } = SERVICE_STATUS;
const ROOT = RAM_BASE + 0x10_0000;
const DATA = RAM_BASE + 0x18_0000;
const FIRST = DATA / 4096;

class Setup {
  readonly machine = new TranslationMachine();
  readonly stops: string[] = [];
  readonly monitor: ProtectionMonitor;
  readonly trees: GuestTrees;
  seconds = 0;
  pc = 0x1000n;

  constructor() {
    const { map, store, ram } = this.machine;
    this.monitor = new ProtectionMonitor(map, store, {
      seconds: () => this.seconds,
      writer: () => ({ element: 0, pc: this.pc }),
      stop: (how) => this.stops.push(how),
      isTable: (page) => page === (RAM_BASE + 0x20_0000) / 4096,
    });
    this.trees = new GuestTrees(ram.inWorld(false), this.monitor);
    const tables = new TableBuilder(this.machine);
    for (let at = 0; at < 0x20_0000; at += 4096) tables.map(BigInt(RAM_BASE + at), RAM_BASE + at, PAGE);
    this.machine.setRegisters({
      ...{ SCTLR_EL1: 0x1005n, TCR_EL1: 16n | (16n << 16n) | (5n << 32n), MAIR_EL1: 0xffn },
      TTBR0_EL1: BigInt(tables.root),
    });
  }

  /** An instruction's store of 64 bits. */
  store(address: number, value: bigint): number {
    const { memory, scratch, mmu } = this.machine;
    memory.view.setBigUint64(scratch, value, true);
    return mmu.access.store(...halves(BigInt(address)), 8, 0);
  }

  /** A host's tree over the page at DATA and the next one. */
  protect(action: ProtectionAction, allowed: { first: bigint; end: bigint }[] = []) {
    const { root, memory } = buildTree([{ first: FIRST, pages: 2, action, cookie: 7 }], action);
    return this.monitor.protect("host", root, memory, allowed);
  }

  /** A sealed tree of the guest's, with its root at ROOT and the page at DATA. */
  register(action: ProtectionAction = "log"): void {
    expect(this.trees.create(BigInt(ROOT))).toEqual({ status: SUCCESS, numbers: [1n] });
    const pages = (BigInt(ACTIONS.indexOf(action)) << 32n) | 1n;
    expect(this.trees.add(1n, BigInt(DATA), pages, 9n)).toEqual({ status: SUCCESS });
    expect(this.trees.seal(1n)).toEqual({ status: SUCCESS, numbers: [1n] });
  }
}

let setup: Setup;
beforeEach(() => {
  setup = new Setup();
});

describe("a monitored page", () => {
  test("is asked about before instructions and devices write, by whatever address", () => {
    setup.machine.write64(DATA, 1n);
    setup.store(DATA + 8, 5n);
    expect(setup.protect("log")).toEqual({ handle: 1, pages: 2 });
    expect(setup.store(DATA, 2n)).toBe(STORE_RESULT.DONE);
    setup.machine.ram.write(DATA + 0x1000, Uint8Array.of(3));
    setup.machine.write64(DATA + 0x2000, 4n);
    expect(
      setup.monitor
        .writes()
        .map(({ address, before, after, writer, cookie }) => [
          ...[address, before[0], after[0], after.length, writer?.pc, cookie],
        ]),
    ).toEqual([
      [DATA, 1, 2, 8, 0x1000n, 7],
      [DATA + 0x1000, 0, 3, 1, undefined, 7],
    ]);
    expect(setup.machine.read64(DATA)).toBe(2n);
  });

  test.each([
    ["log", STORE_RESULT.DONE, 2n, []],
    ["deny", STORE_RESULT.DONE, 0n, []],
    ["inject", STORE_RESULT.FAULT, 0n, []],
    ["snapshot+pause", STORE_RESULT.DONE, 2n, ["snapshot"]],
    ["callback", STORE_RESULT.DONE, 2n, []],
    ["pause", STORE_RESULT.DONE, 2n, ["pause"]],
    ["kill", STORE_RESULT.DONE, 0n, ["kill"]],
  ] as const)("with %s", (action, result, value, stops) => {
    setup.protect(action);
    expect(setup.store(DATA, 2n)).toBe(result);
    expect(setup.machine.read64(DATA)).toBe(value);
    expect(setup.stops).toEqual(stops);
    if (result === STORE_RESULT.FAULT) {
      expect(setup.machine.mmu.access.fault).toMatchObject({ kind: "externalAbort", access: "write" });
    }
    expect(setup.machine.ram.write(DATA, Uint8Array.of(9))).toBe(true);
    expect(setup.machine.read64(DATA) & 0xffn).toBe(value === 0n ? 0n : 9n);
    expect(setup.store(DATA + 0x2000, 3n)).toBe(STORE_RESULT.DONE);
  });

  test("may be written by code that is allowed to", () => {
    setup.protect("deny", [{ first: 0x2000n, end: 0x2010n }]);
    setup.pc = 0x200cn;
    setup.store(DATA, 1n);
    setup.pc = 0x2010n;
    setup.store(DATA + 8, 1n);
    expect([setup.machine.read64(DATA), setup.machine.read64(DATA + 8)]).toEqual([1n, 0n]);
    expect(setup.monitor.writes().length).toBe(1);
  });

  test("is free again when its last tree is gone", () => {
    setup.protect("deny");
    setup.protect("log");
    expect(setup.monitor.remove(1)).toBe(true);
    expect(setup.monitor.remove(1)).toBe(false);
    setup.store(DATA, 1n);
    expect([setup.monitor.writes().length, setup.machine.read64(DATA)]).toEqual([1, 1n]);
    setup.monitor.reset();
    setup.store(DATA, 2n);
    expect(setup.monitor.writes().length).toBe(1);
    expect(setup.machine.frames.flags(setup.machine.host(DATA) >>> 12) & FRAME_FLAGS.TR_MON).toBe(0);
  });

  test("that is written all the time is told of in summaries, and still denied", () => {
    setup.protect("deny");
    for (let count = 0; count < 5000; count++) setup.store(DATA, BigInt(count + 1));
    setup.seconds = 2;
    setup.store(DATA, 1n);
    const writes = setup.monitor.writes();
    expect(writes.filter(({ kind }) => kind === "summary").map(({ count }) => count)).toEqual([5000 - 2048]);
    expect(writes.reduce((sum, { count }) => sum + count, 0)).toBe(5001);
    expect(setup.machine.read64(DATA)).toBe(0n);
  });
});

describe("a guest's tree", () => {
  test("protects its pages and itself", () => {
    setup.register();
    setup.store(DATA, 1n);
    setup.store(ROOT + 64, 0n);
    expect(setup.monitor.writes().map(({ kind, action, cookie }) => [kind, action, cookie])).toEqual([
      ["page", "log", 9],
      ["structure", "deny", 0],
    ]);
    expect(setup.trees.query(1n)).toEqual({ status: SUCCESS, numbers: [1n, 2n] });
    expect(setup.trees.add(1n, BigInt(DATA), 1n, 0n)).toEqual({ status: DENIED });
    expect(setup.trees.remove(1n)).toEqual({ status: DENIED });
    expect(setup.trees.seal(2n)).toEqual({ status: NOT_FOUND });
  });

  test("tells of every attempt on itself before it looks anything up", () => {
    const random = Random.ofThisRun();
    setup.register();
    const before = setup.machine.ram.inWorld(false);
    const image = new Uint8Array(4096);
    before.readInto(ROOT, image);
    const attempts = FULL ? 10_000 : 2_000;
    let told = 0;
    setup.monitor.onWrite = ({ kind }) => {
      if (kind === "structure") told++;
    };
    for (let count = 0; count < attempts; count++) {
      setup.seconds = count;
      const address = ROOT + random.below(512) * 8;
      if (random.below(2) === 0) setup.store(address, BigInt(random.below(2 ** 32)));
      else before.write8(address + random.below(8), random.below(256));
    }
    const after = new Uint8Array(4096);
    before.readInto(ROOT, after);
    expect([told, after], `seed ${random.seed}`).toEqual([attempts, image]);
  });

  test("that was damaged all the same counts as attacked", () => {
    setup.register();
    // Behind everybody's back, which only a defect could do.
    setup.machine.memory.view.setUint8(setup.machine.host(ROOT + 100), 1);
    setup.store(DATA, 1n);
    expect(setup.monitor.writes().map(({ kind, action }) => [kind, action])).toEqual([["structure", "deny"]]);
    expect(setup.machine.read64(DATA)).toBe(0n);
  });

  const node = (level: number, entries: readonly number[], parent = 0, pages = 1) =>
    makeNode({
      level,
      parent,
      action: "log",
      entries: entries.map((address) => ({ first: address / 4096, pages, action: "log", cookie: 0 })),
    });
  const CHILD = ROOT + 0x1000;
  test.each([
    ["not a node", () => new Uint8Array(4096).fill(1)],
    ["checksum", () => node(0, [DATA]).fill(1, 4000)],
    ["too deep", () => node(4, [])],
    ["cycle", () => node(1, [ROOT])],
    ["cycle", () => node(1, [CHILD, CHILD]), () => node(0, [], ROOT / 4096)],
    ["wrong parent", () => node(1, [CHILD]), () => node(0, [])],
    ["too deep", () => node(2, [CHILD]), () => node(0, [], ROOT / 4096)],
    ["outside memory", () => node(0, [0x7_0000_0000])],
    ["outside memory", () => node(1, [0x7_0000_0000])],
    ["page twice", () => node(0, [DATA, DATA + 0x1000], 0, 2)],
    ["node protects itself", () => node(0, [ROOT])],
    ["secret memory", () => node(0, [DATA + 0x5000])],
    ["node is a translation table", () => node(1, [RAM_BASE + 0x20_0000])],
  ] as const)("is refused: %s", (mistake, root, child?: () => Uint8Array) => {
    const { ram, frames } = setup.machine;
    frames.setFlags(setup.machine.host(DATA + 0x5000) >>> 12, FRAME_FLAGS.SECRET);
    ram.inWorld(false).write(ROOT, root());
    if (child !== undefined) ram.inWorld(false).write(CHILD, child());
    const created = setup.trees.create(BigInt(ROOT));
    const result = created.status === SUCCESS ? setup.trees.seal(1n) : created;
    expect(result).toEqual({ status: INVALID, numbers: [BigInt(TREE_MISTAKES.indexOf(mistake) + 1)] });
    expect(setup.monitor.trees).toEqual([]);
  });

  test("of any form is registered or refused, and never more", () => {
    const random = Random.ofThisRun();
    for (let round = 0; round < (FULL ? 5000 : 300); round++) {
      const memory = setup.machine.ram.inWorld(false);
      const pages = [ROOT, CHILD, ROOT + 0x2000, DATA];
      for (const page of pages) {
        const entries = Array.from({ length: random.below(5) }, () => ({
          first: pages[random.below(4)]! / 4096 + random.below(3),
          pages: random.below(3),
          action: ACTIONS[random.below(ACTIONS.length)]!,
          cookie: 0,
        }));
        const parent = random.below(2) === 0 ? 0 : pages[random.below(4)]! / 4096;
        const bytes = makeNode({ level: random.below(3), parent, action: "deny", entries });
        if (random.below(8) === 0) bytes[random.below(TREE_NODE.SIZE)] = random.below(256);
        memory.write(page, bytes);
      }
      const { status, numbers } = setup.trees.create(BigInt(ROOT));
      if (status === SUCCESS) setup.trees.seal(numbers?.[0] ?? 0n);
      for (const page of pages) setup.store(page + random.below(512) * 8, 1n);
      setup.monitor.reset();
      setup.trees.reset();
    }
  });
});

test("a large tree of the host's has several levels and finds every page", () => {
  const entries = Array.from({ length: 1000 }, (_, index) => ({
    first: RAM_BASE / 4096 + index,
    pages: 1,
    action: "log" as const,
    cookie: index,
  }));
  const { root, memory } = buildTree(entries, "log");
  expect(setup.monitor.protect("host", root, memory)).toEqual({ handle: 1, pages: 1000 });
  const random = Random.ofThisRun();
  for (let count = 0; count < 50; count++) {
    const page = random.below(512);
    setup.machine.ram.inWorld(false).write8(RAM_BASE + page * 4096, 1);
    expect(setup.monitor.writes().at(-1)).toMatchObject({ cookie: page, kind: "page" });
  }
});
