import { describe, expect, it } from "vitest";
import { ProcessorMachine } from "../../test/support/processor-machine.ts";
import { Random } from "../../test/support/random.ts";
import { type SystemRegisterName, systemRegister } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { FAST_CONDITIONS, type FastCondition } from "./fast-registers.ts";

const ONE = 1n << 48n;
const STEPS = process.env["ELVISOR_FULL"] === undefined ? 5_000 : 100_000;
/** No vector. */
const PLACE = 0x8000n;
const COUNTERS = {
  CNTPCT_EL0: { condition: "physical counter", start: PE_LAYOUT.COUNTER_PHYSICAL_START },
  CNTVCT_EL0: { condition: "virtual counter", start: PE_LAYOUT.COUNTER_VIRTUAL_START },
} as const satisfies Partial<Record<SystemRegisterName, { condition: FastCondition; start: number }>>;
type Counter = keyof typeof COUNTERS;

/** What generated code would read; undefined where it must ask. */
function inline({ processor, clock }: ProcessorMachine, name: Counter): bigint | undefined {
  const { condition, start } = COUNTERS[name];
  const { state, base } = processor;
  if (((state.word(PE_LAYOUT.FAST_REGISTERS) >> FAST_CONDITIONS.indexOf(condition)) & 1) === 0)
    return undefined;
  const slot = (offset: number): bigint => state.doubleWords[(base + offset) >>> 3]!;
  const passed = BigInt(clock.ticks()) - BigInt.asIntN(64, slot(PE_LAYOUT.COUNTER_FROM));
  return BigInt.asUintN(64, slot(start) + ((passed * slot(PE_LAYOUT.COUNTER_FACTOR)) >> 48n));
}

/** What the processor reads; undefined where the access traps. */
function asked({ processor }: ProcessorMachine, name: Counter): bigint | undefined {
  const { state } = processor;
  state.pc = PLACE;
  processor.execute("readSystemRegister", systemRegister(name).encoding, 9, 0);
  return [PLACE, PLACE + 4n].includes(state.pc) ? state.x(9) : undefined;
}

const OPTIONS = [
  { secure: false, virtualization: false },
  { secure: false, virtualization: true },
  { secure: true, virtualization: true },
] as const;

describe.each(OPTIONS)("counts that generated code reads with %j", (options) => {
  it("are the processor's at every level, whatever traps and whatever changes", () => {
    const random = Random.ofThisRun();
    const machine = new ProcessorMachine(options);
    const { processor, clock, guestClock } = machine;
    const highest = options.secure ? 3 : options.virtualization ? 2 : 1;
    const bits = (count: number): bigint => BigInt(random.below(2 ** count));
    const above = (level: number, name: SystemRegisterName, value: () => bigint) => (): void => {
      if (processor.state.el >= level && highest >= level) machine.set(name, value());
    };
    const changes = [
      () => clock.advance(random.below(2 ** random.below(30))),
      () => guestClock.setScale(random.below(4) === 0 ? 1 : random.below(100_000) / 1000),
      above(1, "CNTKCTL_EL1", () => bits(10)),
      above(2, "CNTHCTL_EL2", () => bits(12)),
      above(2, "CNTVOFF_EL2", () => bits(40)),
      above(2, "CNTSCALE_EL2", () => (random.below(2) === 0 ? ONE : bits(32) << 20n)),
      above(2, "CNTREBASE_EL2", () => bits(40)),
      above(2, "HCR_EL2", () => (bits(1) << 34n) | (bits(1) << 27n) | (1n << 31n)),
      above(3, "SCR_EL3", () => 0x530n | bits(1) | (bits(1) << 18n)),
    ];
    const counts = { inline: 0, asked: 0, trapped: 0 };
    for (let step = 0; step < STEPS; step++) {
      changes[random.below(changes.length)]!();
      if (random.below(3) === 0) {
        const { el } = processor.state;
        if (el === 0 || random.below(8) === 0) {
          processor.start({ pc: Number(PLACE), arguments: [], level: highest, systemRegisters: [] });
        } else {
          const target = random.below(el + 1);
          machine.set(`SPSR_EL${el}`, BigInt(0x3c0 | (target << 2) | (target === 0 ? 0 : 1)));
          machine.set(`ELR_EL${el}`, PLACE);
          processor.execute("exceptionReturn", 0, 0, 0);
        }
      }
      for (const name of ["CNTPCT_EL0", "CNTVCT_EL0"] as const) {
        const wanted = inline(machine, name);
        const { el } = processor.state;
        if (wanted === undefined) counts.asked++;
        else counts.inline++;
        const given = asked(machine, name);
        if (given === undefined) counts.trapped++;
        if (wanted !== undefined) expect(given, `seed ${random.seed}, step ${step}, EL${el}`).toBe(wanted);
      }
    }
    for (const count of Object.values(counts))
      expect(count, JSON.stringify(counts)).toBeGreaterThan(STEPS / 50);
  });
});
