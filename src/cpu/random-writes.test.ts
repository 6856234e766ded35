import { describe, expect, it } from "vitest";
import { ProcessorMachine, RAM_BASE } from "../../test/support/processor-machine.ts";
import { Random } from "../../test/support/random.ts";
import type { ProcessorOperation } from "../isa/semantics.ts";
import { SYSTEM_INSTRUCTIONS } from "../isa/system-registers/system-instructions.ts";
import { SYSTEM_REGISTERS } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const OPERATIONS = FULL ? 300_000 : 30_000;

const OTHERS: readonly ProcessorOperation[] = [
  "undefinedInstruction",
  "supervisorCall",
  "hypervisorCall",
  "secureMonitorCall",
  "breakpoint",
  "halt",
  "exceptionReturn",
  "waitForInterrupt",
  "waitForEvent",
  "sendEvent",
  "sendEventLocal",
  "yield",
  "stackAlignmentCheck",
];

/** Values that sit on edges as often as not. */
function value(random: Random): bigint {
  switch (random.below(6)) {
    case 0:
      return 0n;
    case 1:
      return (1n << 64n) - 1n;
    case 2:
      return 1n << BigInt(random.below(64));
    case 3:
      return BigInt(RAM_BASE + random.below(1 << 20));
    case 4:
      return BigInt(random.u32());
    default:
      return random.u64();
  }
}

describe.each([
  { secure: true, virtualization: true },
  { secure: false, virtualization: true },
  { secure: true, virtualization: false },
  { secure: false, virtualization: false },
])("any sequence of operations with %o", (options) => {
  it("neither throws nor leaves a state that cannot be", () => {
    const random = Random.ofThisRun();
    console.log(`seed ${random.seed}`);
    const machine = new ProcessorMachine(options);
    const { processor, clock } = machine;
    const { state } = processor;
    const highest = options.secure ? 3 : options.virtualization ? 2 : 1;
    for (let step = 0; step < OPERATIONS; step++) {
      if (random.below(1000) === 0) processor.reset();
      for (let register = 0; register < 4; register++) state.setX(register, value(random));
      const rt = random.below(4);
      const known = random.below(8) !== 0;
      const encoding = known ? random.pick(SYSTEM_REGISTERS).encoding : 0x8000 | random.below(0x8000);
      switch (random.below(8)) {
        case 0:
        case 1:
          processor.execute("readSystemRegister", encoding, rt, 0);
          break;
        case 2:
        case 3:
          processor.execute("writeSystemRegister", encoding, rt, 0);
          break;
        case 4:
          processor.execute(
            "systemInstruction",
            known ? random.pick(SYSTEM_INSTRUCTIONS).encoding : 0x4000 | random.below(0x4000),
            rt,
            0,
          );
          break;
        case 5:
          processor.execute("writeProcessState", random.below(8), random.below(8), random.below(16));
          break;
        case 6:
          processor.execute(random.pick(OTHERS), random.below(65536), 0, 0);
          break;
        default:
          clock.advance(random.below(1000));
          processor.setInterruptSignals({
            irq: random.below(2) === 0,
            fiq: random.below(2) === 0,
            virq: random.below(2) === 0,
            vfiq: random.below(2) === 0,
          });
          if (processor.needsCarefulMode) processor.beforeInstruction();
          processor.serviceAttention();
      }
      expect(state.el).toBeLessThanOrEqual(highest);
      if (state.el === 0) expect(state.word(PE_LAYOUT.SPSEL)).toBe(0);
      expect(state.word(PE_LAYOUT.NON_SECURE)).toBe(processor.privilege.secure ? 0 : 1);
    }
  });
});
