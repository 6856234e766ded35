import { describe, expect, test } from "vitest";
import { assemble } from "../../src/isa/assembler.ts";
import { EngineMachine, LAYOUT, PAGE_KINDS } from "../support/engine-machine.ts";
import { Random } from "../support/random.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
/** Rounds of the guests that matter most; the others do {@link PART} of them. */
const ROUNDS = FULL ? 1_000_000 : 100_000;
const PART = 0.1;
const TIME_LIMIT = 3_600_000;
/** More instructions than any of these guests needs for a round. */
const LONGEST_ROUND = 500;

const ENGINES = [
  { engine: "the interpreter", threshold: undefined },
  { engine: "the translator", threshold: 1 },
  { engine: "a translator that waits", threshold: 60 },
] as const;

interface Guest {
  readonly name: string;
  /**
   * A round: leaves in X0 what it computed and in X1 what is right; X19 is the round's number, from 1. X20 to
   * X25 are kept, X2 to X18 are free. It is called by BL and ends in `ret x28`; labels that begin with
   * `round` are its own.
   */
  readonly round: string;
  readonly level?: 0 | 1;
  /** Once, before the first round. */
  readonly start?: string;
  readonly isMain?: boolean;
}

const SYNCHRONIZE = "dc cvau, x9\n dsb ish\n ic ivau, x9\n dsb ish\n isb";
const FUNCTION = LAYOUT.code + 5 * 4096;

/** MOVZ W0, #(round & 0xffff) in W2. */
const MOVZ = "and x1, x19, #0xffff\n mov w2, #0x52800000\n orr w2, w2, w1, lsl #5";
const RETURN = "movz w3, #0x03c0\n movk w3, #0xd65f, lsl #16";
const call = (register: string) => `mov x28, x30\n blr ${register}\n`;

const GUESTS: readonly Guest[] = [
  {
    name: "writes a function in another page, with cache maintenance",
    round: `${MOVZ}\n ${RETURN}\n ldr x9, =${FUNCTION}\n stp w2, w3, [x9]\n ${SYNCHRONIZE}\n ${call("x9")} ret x28`,
  },
  {
    name: "writes a function in another page and says nothing",
    isMain: true,
    round: `${MOVZ}\n ${RETURN}\n ldr x9, =${FUNCTION}\n stp w2, w3, [x9]\n ${call("x9")} ret x28`,
  },
  {
    name: "writes a function beside the writer, in its own granule",
    isMain: true,
    round: `${MOVZ}\n adr x9, round_f\n str w2, [x9]\n ${call("x9")} ret x28\nround_f: movz w0, #0\n ret`,
  },
  {
    name: "writes the very next instruction",
    round: `${MOVZ}\n adr x9, 1f\n str w2, [x9]\n1: movz w0, #0\n mov x28, x30\n ret x28`,
  },
  {
    name: "writes into the loop that it is in",
    round: `${MOVZ}\n adr x9, 2f\n mov x0, #0\n mov x4, #3\n1: str w2, [x9]\n nop\n2: movz w0, #0
 subs x4, x4, #1\n b.ne 1b\n mov x28, x30\n ret x28`,
  },
  {
    name: "changes the number of turns of a generated loop",
    // X0 = 3 * (1 + round % 16): a loop whose count is an immediate of its own.
    round: `and x1, x19, #15\n add x1, x1, #1\n mov w2, #0x52800000\n orr w2, w2, w1, lsl #5\n add w2, w2, #4
 adr x9, round_f\n str w2, [x9, #4]\n add x1, x1, x1, lsl #1\n ${call("x9")} ret x28
 .balign 64\nround_f: mov x0, #0\n movz w4, #0\n1: add x0, x0, #3\n subs x4, x4, #1\n b.ne 1b\n ret`,
  },
  {
    name: "turns a branch round",
    round: `and x1, x19, #1\n mov w2, #0x14000000\n add w2, w2, #1\n add w2, w2, w1, lsl #1\n adr x9, round_f\n str w2, [x9]
 ${call("x9")} ret x28\n .balign 64\nround_f: b .\n mov x0, #0\n ret\n mov x0, #1\n ret`,
  },
  {
    name: "writes bytes",
    // MOVZ W0, #imm16: bits 20:5. The low byte of the immediate is in bits 12:5.
    round: `and x1, x19, #7\n lsl w2, w1, #5\n ldr x9, =${FUNCTION}\n strb w2, [x9]\n ${call("x9")} ret x28`,
    start: `mov w2, #0x52800000\n ${RETURN}\n ldr x9, =${FUNCTION}\n stp w2, w3, [x9]`,
  },
  {
    name: "writes by exclusive stores",
    round: `${MOVZ}\n adr x9, round_f\n1: ldxr w4, [x9]\n stxr w5, w2, [x9]\n cbnz w5, 1b\n ${call("x9")} ret x28
 .balign 64\nround_f: movz w0, #0\n ret`,
  },
  {
    name: "writes by atomic swaps",
    round: `${MOVZ}\n adr x9, round_f\n swpal w2, w4, [x9]\n ${call("x9")} ret x28
 .balign 64\nround_f: movz w0, #0\n ret`,
  },
  {
    name: "writes beside the writer and moves the address on",
    round: `${MOVZ}\n adr x9, round_f\n mov x10, x9\n str w2, [x9], #4\n mov x28, x30\n blr x10\n sub x4, x9, x10
 add x0, x0, x4\n sub x0, x0, #4\n ret x28\n .balign 64\nround_f: movz w0, #0\n ret`,
  },
  {
    name: "writes a store over itself that moves its address on",
    round: `mov x1, #4\n adr x9, 1f\n mov x10, x9\n ldr w2, [x9]\n1: str w2, [x9], #4\n sub x0, x9, x10\n mov x28, x30\n ret x28`,
  },
  {
    name: "gets the status of exclusive stores to code",
    round: `${MOVZ}\n adr x9, round_f\n mov x4, #0x5555\n mov x0, #0x7777\n1: ldxr w4, [x9]\n mov w5, #9\n stxr w5, w2, [x9]
 cbnz w5, 1b\n mov x6, x0\n ${call("x9")} mov x7, #0x7777\n cmp x6, x7\n cinv x0, x0, ne\n ret x28
 .balign 64\nround_f: movz w0, #0\n ret`,
  },
  {
    name: "gets what atomic swaps find in code",
    // The function that was there before the round returned the number of the round before.
    round: `${MOVZ}\n adr x9, round_f\n sub w5, w2, #0x20\n mov w4, #0\n swpal w2, w4, [x9]\n sub w4, w4, w5\n tst x19, #0xffff
 csel w4, wzr, w4, eq\n ${call("x9")} add x0, x0, x4\n ret x28\n .balign 64\nround_f: movz w0, #0\n ret`,
  },
  {
    name: "writes by vector stores across two pages",
    round: `${MOVZ}\n ${RETURN}\n ldr x9, =${FUNCTION + 4096 - 8}\n mov w4, #0x201f\n movk w4, #0xd503, lsl #16\n ins v0.s[0], w4\n ins v0.s[1], w4\n ins v0.s[2], w2\n ins v0.s[3], w3
 str q0, [x9]\n ${call("x9")} ret x28`,
  },
  {
    name: "zeroes a block of code and writes it again",
    round: `${MOVZ}\n ${RETURN}\n ldr x9, =${FUNCTION}\n dc zva, x9\n stp w2, w3, [x9]\n ${call("x9")} ret x28`,
  },
  {
    name: "uses the page for data between its uses for code",
    round: `${MOVZ}\n ${RETURN}\n ldr x9, =${FUNCTION}\n mov x4, #64\n1: sub x4, x4, #1\n ldr x5, [x9, x4, lsl #3]
 add x5, x5, x19\n str x5, [x9, x4, lsl #3]\n cbnz x4, 1b\n stp w2, w3, [x9]\n ${call("x9")} ret x28`,
  },
  {
    name: "builds a new function further on in the page each time",
    round: `${MOVZ}\n ${RETURN}\n ldr x9, =${FUNCTION}\n and x4, x19, #0x1ff\n add x9, x9, x4, lsl #3\n stp w2, w3, [x9]
 ${call("x9")} ret x28`,
  },
  {
    name: "writes through another address of the same frame",
    level: 1,
    round: `${MOVZ}\n adr x9, round_f\n ldr x4, =${LAYOUT.kernelCode - LAYOUT.code}\n sub x4, x9, x4\n str w2, [x4]\n ${call("x9")} ret x28
 .balign 64\nround_f: movz w0, #0\n ret`,
  },
  {
    name: "calls a function that rewrites its caller's next instruction",
    round: `${MOVZ}\n adr x9, 1f\n mov x28, x30\n bl round_f\n1: movz w0, #0\n ret x28\nround_f: str w2, [x9]\n ret`,
  },
];

/** Calls the round ROUNDS times and counts in X20 how often it was wrong. */
function program({ round, start = "nop" }: Guest, rounds: number): string {
  return `${start}\n mov x19, #0\n mov x20, #0\n ldr x21, =${rounds}
again: add x19, x19, #1\n mov x0, #-1\n bl round\n cmp x0, x1\n cinc x20, x20, ne\n cmp x19, x21\n b.ne again
end: b .\n .balign 64\nround: ${round}\n`;
}

function machineFor(guest: Guest, rounds: number, threshold: number | undefined): EngineMachine {
  const { level = 0 } = guest;
  const machine = new EngineMachine(threshold === undefined ? {} : { threshold });
  const origin = BigInt(level === 1 ? LAYOUT.kernelCode : LAYOUT.code);
  const { bytes, symbols } = assemble(program(guest, rounds), { origin });
  machine.ram.write(LAYOUT.code, bytes);
  machine.end = symbols.get("end")!;
  const x = new Array<bigint>(31).fill(0n);
  const settings = { level, alignmentChecks: false, hardwareFlags: false, pan: false } as const;
  const start = { pc: origin, sp: 0n, x, v: [], nzcv: 0, fpcr: 0, fpsr: 0 };
  machine.restart(settings, start, new Uint8Array(PAGE_KINDS.length * 4096));
  return machine;
}

/** Runs to the end in pieces of random length: code is translated between them. */
async function runToEnd(machine: EngineMachine, random: Random, rounds: number): Promise<void> {
  let rest = rounds * LONGEST_ROUND + 1000;
  for (let pieces = 0; machine.processor.state.pc !== machine.end && rest > 0; pieces++) {
    rest -= machine.run(random.below(4000));
    if (pieces % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe.each(ENGINES)("code that is rewritten runs right in $engine", ({ threshold }) => {
  test.each(GUESTS)("when a guest $name", { timeout: TIME_LIMIT }, async (guest) => {
    const random = Random.ofThisRun();
    const rounds = guest.isMain === true ? ROUNDS : ROUNDS * PART;
    const machine = machineFor(guest, rounds, threshold);
    await runToEnd(machine, random, rounds);
    const { state } = machine.processor;
    const where = `seed ${random.seed}`;
    expect(machine.exceptions[0], where).toBeUndefined();
    expect(state.x(20), `wrong rounds, ${where}`).toBe(0n);
    expect(state.x(19), `rounds, ${where}`).toBe(BigInt(rounds));
    // A translator that waits may find nothing that stays as it is for long enough.
    if (threshold === 1) expect(machine.interpreter.translator!.regions).toBeGreaterThan(0);
  });
});

/** A machine with these pieces of code, about to execute at the first. */
function machineWith(
  pieces: readonly { readonly at: number; readonly source: string }[],
  options: { threshold?: number; recordPages?: number },
): EngineMachine {
  const machine = new EngineMachine(options);
  for (const { at, source } of pieces) machine.ram.write(at, assemble(source, { origin: BigInt(at) }).bytes);
  const settings = { level: 0, alignmentChecks: false, hardwareFlags: false, pan: false } as const;
  const x = new Array<bigint>(31).fill(0n);
  const start = { pc: BigInt(pieces[0]!.at), sp: 0n, x, v: [], nzcv: 0, fpcr: 0, fpsr: 0 };
  machine.restart(settings, start, new Uint8Array(PAGE_KINDS.length * 4096));
  return machine;
}

describe.each(ENGINES)("in $engine", ({ threshold }) => {
  const options = threshold === undefined ? {} : { threshold };

  test("code that a device writes counts from the next instruction on", { timeout: TIME_LIMIT }, () => {
    // X0 counts calls, X1 adds up what the function adds.
    const main = `1: ldr x9, =${FUNCTION}\n blr x9\n add x0, x0, #1\n b 1b`;
    const machine = machineWith(
      [
        { at: LAYOUT.code, source: main },
        { at: FUNCTION, source: "add x1, x1, #1\n ret" },
      ],
      options,
    );
    const { state } = machine.processor;
    const random = Random.ofThisRun();
    for (let change = 1; change <= (FULL ? 20_000 : 2000); change++) {
      const added = random.below(4096);
      const word = new Uint8Array(assemble(`add x1, x1, #${added}`).bytes);
      expect(machine.ram.write(FUNCTION, word)).toBe(true);
      // Not between the addition and its count.
      while (state.pc !== BigInt(FUNCTION)) machine.runExactly(1);
      const [calls, sum] = [state.x(0), state.x(1)];
      machine.run(random.below(3000));
      while (state.pc !== BigInt(FUNCTION)) machine.runExactly(1);
      const where = `change ${change}, seed ${random.seed}`;
      expect(state.x(1) - sum, where).toBe((state.x(0) - calls) * BigInt(added));
    }
    expect(machine.exceptions).toEqual([]);
  });

  test("a guest that goes to a new page with every instruction", { timeout: TIME_LIMIT }, () => {
    // A ring through all pages, each time 8 bytes further on; every page counts in a register of its own.
    const steps = FULL ? 500 : 60;
    const places = LAYOUT.codePages * steps;
    const pieces = Array.from({ length: places }, (_, place) => {
      const [page, step] = [place % LAYOUT.codePages, Math.floor(place / LAYOUT.codePages)];
      const next = (place + 1) % places;
      const at = LAYOUT.code + page * 4096 + step * 8;
      const to = LAYOUT.code + (next % LAYOUT.codePages) * 4096 + Math.floor(next / LAYOUT.codePages) * 8;
      return { at, source: `add x${page}, x${page}, #1\n b ${to}` };
    });
    const machine = machineWith(pieces, { ...options, recordPages: 8 });
    const random = Random.ofThisRun();
    const rings = FULL ? 20 : 2;
    let executed = 0;
    while (executed < rings * places * 2) executed += machine.run(random.below(5000));
    const { state } = machine.processor;
    const sum = Array.from({ length: LAYOUT.codePages }, (_, page) => state.x(page)).reduce((a, b) => a + b);
    expect(sum, `seed ${random.seed}`).toBe(BigInt(Math.ceil(executed / 2)));
    expect(machine.interpreter.records.evictions).toBeGreaterThan(300);
  });
});

test("code that was rewritten just before it would have been translated is translated later", () => {
  // Calls the function until X1 is 0, then waits for X5.
  const main = `1: ldr x9, =${FUNCTION}\n2: cbz x1, 3f\n sub x1, x1, #1\n blr x9\n b 2b
3: cbnz x6, 4f\n mov x6, #1\n ldr w7, [x9]\n str w7, [x9]\n4: cbz x5, 4b\n mov x5, #0\n b 2b`;
  const machine = machineWith(
    [
      { at: LAYOUT.code, source: main },
      { at: FUNCTION, source: "add x2, x2, #1\n ret" },
    ],
    { threshold: 60 },
  );
  const { state } = machine.processor;
  const translator = machine.interpreter.translator!;
  state.setX(1, 100n);
  machine.run(3000);
  expect([state.x(2), state.x(6)]).toEqual([100n, 1n]);
  const before = translator.regions;
  for (let round = 0; round < 10; round++) {
    state.setX(1, 100n);
    state.setX(5, 1n);
    machine.run(3000);
  }
  expect(state.x(2)).toBe(1100n);
  expect(translator.regions).toBe(before + 1);
});
