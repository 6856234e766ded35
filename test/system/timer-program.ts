import { constant, type LevelStep, set, stepProgram } from "./level-steps.ts";

/** A timer's registers, its counter and its interrupt. */
interface TimerNames {
  readonly name: string;
  readonly control: string;
  readonly compare: string;
  readonly value: string;
  readonly counter: string;
  readonly interrupt: number;
}

const timer = (
  name: string,
  stem: string,
  level: string,
  counter: string,
  interrupt: number,
): TimerNames => ({
  name,
  control: `${stem}_ctl_${level}`,
  compare: `${stem}_cval_${level}`,
  value: `${stem}_tval_${level}`,
  counter,
  interrupt,
});

const PHYSICAL = timer("physical", "cntp", "el0", "cntpct_el0", 30);
const VIRTUAL = timer("virtual", "cntv", "el0", "cntvct_el0", 27);
const HYPERVISOR = timer("hypervisor", "cnthp", "el2", "cntpct_el0", 26);
const HYPERVISOR_VIRTUAL = timer("hypervisor virtual", "cnthv", "el2", "cntpct_el0", 28);
const SECURE = timer("secure", "cntps", "el1", "cntpct_el0", 29);
const TIMERS = [PHYSICAL, VIRTUAL, HYPERVISOR, HYPERVISOR_VIRTUAL, SECURE];

const PENDING = 0x080b_0200n;
const ACTIVE = 0x080b_0300n;
const TIMER_INTERRUPTS = TIMERS.reduce((bits, { interrupt }) => bits | (1n << BigInt(interrupt)), 0n);
const FAR = (1n << 64n) - 1n;
const RW = 1n << 31n;
const [E2H, TGE] = [1n << 34n, 1n << 27n];
const SCR_NON_SECURE = 0xd31n;
const SCR_ST = 1n << 11n;

const at3 = (name: string, code: string): LevelStep => ({ name, level: 3, code });

/** A count that is larger than the offsets, interrupt controller and everything else in the open. */
const SETUP = `
1: mrs x0, cntpct_el0
  lsr x0, x0, #21
  cbz x0, 1b
${set("scr_el3", SCR_NON_SECURE)}
${set("hcr_el2", RW)}
${set("cnthctl_el2", 3n)}
${set("cntkctl_el1", 0x303n)}
${set("cntvoff_el2", 0n)}
${set("icc_sre_el3", 15n)}
  isb
  movz x1, #0x800, lsl #16
  mov w2, #0x37
  str w2, [x1]
  ldr x1, =0x080a0014
  str wzr, [x1]
  ldr x1, =0x080b0080
  str wzr, [x1]
  ldr x1, =0x080b0100
  ldr w2, =0x${TIMER_INTERRUPTS.toString(16)}
  str w2, [x1]
${set("icc_pmr_el1", 0xffn)}
${set("icc_igrpen0_el1", 1n)}
${TIMERS.map(({ control }) => `  msr ${control}, xzr`).join("\n")}
`;

/** X0 = the timers' bits of a word of the redistributor. */
const interruptBits = (address: bigint): string =>
  `${constant("x1", address)}\n  ldr w0, [x1]\n  ldr w1, =0x${TIMER_INTERRUPTS.toString(16)}\n  and w0, w0, w1`;

/** CTL in bits 3:0, pending interrupts above. */
const outcome = ({ control }: TimerNames): string =>
  `  isb\n${interruptBits(PENDING)}\n  mrs x1, ${control}\n  orr x0, x1, x0, lsl #4`;

/** Waits until the interrupt pends, but not for ever. */
const untilPending = ({ interrupt }: TimerNames): string => `
${constant("x1", PENDING)}
${constant("x2", 1n << 24n)}
8: ldr w3, [x1]
  tbnz w3, #${interrupt}, 9f
  subs x2, x2, #1
  b.ne 8b
9:`;

/** What the comparator says; `offset` is CNTVOFF_EL2. */
function arithmetic(names: TimerNames, offset: bigint): LevelStep[] {
  const { name, control, compare, value, counter } = names;
  const title = `${name}, CNTVOFF_EL2 ${BigInt.asIntN(64, offset)}`;
  const begin = set("cntvoff_el2", offset);
  // QEMU 7.2 hangs when CVAL and the offset exceed 64 bits together.
  const far = offset === 0n ? FAR : FAR - (1n << 48n);
  const steps = [at3(`${title}: begin`, `${begin}\n  msr ${control}, xzr`)];
  for (const control0 of [0n, FAR, 2n, 1n, 3n, 4n, 0n]) {
    for (const compare0 of [far, 0n, 0x7fff_ffff_ffff_ffffn]) {
      steps.push(
        at3(
          `${title}: CTL ${control0}, CVAL ${compare0.toString(16)}`,
          `${set(compare, compare0)}\n${set(control, control0)}\n  isb\n  mrs x0, ${compare}\n  mrs x1, ${control}\n  eor x0, x0, x1, lsl #8`,
        ),
      );
    }
  }
  steps.push(at3(`${title}: enabled`, set(control, 1n)));
  for (const written of [0n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0xdead_7000_0000n]) {
    steps.push(
      at3(
        `${title}: TVAL = ${written.toString(16)}: CVAL is the count and TVAL's sign extension`,
        `  mrs x1, ${counter}
${constant("x2", written)}
  msr ${value}, x2
  isb
  mrs x3, ${compare}
  isb
  mrs x4, ${counter}
  sxtw x2, w2
  sub x3, x3, x2
  sub x0, x3, x1
  sub x5, x4, x3
  orr x0, x0, x5
  lsr x0, x0, #32
  mrs x1, ${control}
  orr x0, x1, x0, lsl #4`,
      ),
    );
  }
  for (const compare0 of [0n, 0x12_3456_7890n, far, 1n << 40n]) {
    steps.push(
      at3(
        `${title}: CVAL = ${compare0.toString(16)}: TVAL is the low half of what is left`,
        `${set(compare, compare0)}
  isb
  mrs x1, ${counter}
  isb
  mrs x2, ${value}
  isb
  mrs x3, ${counter}
  lsr x4, x2, #32
  sub w1, w7, w1
  sub w5, w1, w2
  sub w3, w7, w3
  sub w6, w2, w3
  orr w5, w5, w6
  lsr w5, w5, #30
  orr x0, x5, x4, lsl #4
  mrs x1, ${control}
  orr x0, x1, x0, lsl #4`,
      ),
    );
  }
  steps.push(at3(`${title}: end`, `  msr ${control}, xzr\n  msr cntvoff_el2, xzr`));
  return steps;
}

/** The offset decides whether the condition holds, also when it changes. */
function offsetSteps(): LevelStep[] {
  const { control, compare } = VIRTUAL;
  const moved = (offset: bigint) =>
    at3(
      `virtual, condition after CNTVOFF_EL2 = ${offset}`,
      `${set("cntvoff_el2", offset)}\n${outcome(VIRTUAL)}`,
    );
  return [
    at3("virtual, CVAL = 2^62", `${set(compare, 1n << 62n)}\n${set(control, 1n)}\n${outcome(VIRTUAL)}`),
    ...[-(1n << 62n), -(1n << 61n), -(1n << 63n), 1n << 62n, 0n].map(moved),
    at3(
      "physical does not see it",
      `${set(PHYSICAL.compare, 1n << 62n)}\n${set(PHYSICAL.control, 1n)}\n${set("cntvoff_el2", -(1n << 62n))}\n${outcome(PHYSICAL)}`,
    ),
    at3("virtual off", `  msr ${control}, xzr\n  msr ${PHYSICAL.control}, xzr\n  msr cntvoff_el2, xzr`),
  ];
}

/** What the count at each level shows of CNTVOFF_EL2 = 2^60: its topmost bits. */
function counterSteps(): LevelStep[] {
  const steps: LevelStep[] = [];
  for (const [setting, hcr] of [
    ["", RW],
    [", E2H", RW | E2H],
    [", host", RW | E2H | TGE],
    [", TGE", RW | TGE],
  ] as const) {
    steps.push(
      at3(
        `counters${setting}`,
        `${set("cntvoff_el2", 1n << 60n)}\n${set("hcr_el2", hcr)}\n${set("cnthctl_el2", 0xf03n)}`,
      ),
    );
    for (const level of [0, 1, 2, 3] as const) {
      if (level === 1 && (hcr & TGE) !== 0n) continue;
      for (const counter of ["cntvct_el0", "cntpct_el0"]) {
        steps.push({
          name: `${counter} at EL${level}${setting}`,
          level,
          code: `  mrs x0, ${counter}\n  lsr x0, x0, #56`,
        });
      }
    }
  }
  steps.push(
    at3("counters, end", `${set("hcr_el2", RW)}\n  msr cntvoff_el2, xzr\n${set("cnthctl_el2", 3n)}`),
  );
  return steps;
}

function interruptSteps(names: TimerNames): LevelStep[] {
  const { name, control, compare, value, counter } = names;
  const soon = (ticks: bigint) =>
    `  mrs x1, ${counter}\n${constant("x2", ticks)}\n  add x1, x1, x2\n  msr ${compare}, x1\n${set(control, 1n)}\n  isb`;
  const acknowledge = "  isb\n  mrs x0, icc_iar0_el1\n  mov x26, x0";
  return [
    at3(`${name}: not yet`, `${soon(1n << 40n)}\n${outcome(names)}`),
    at3(`${name}: the time comes`, `${soon(6250n)}\n${untilPending(names)}\n${outcome(names)}`),
    at3(`${name}: IMASK`, `${set(control, 3n)}\n${outcome(names)}`),
    at3(`${name}: unmasked`, `${set(control, 1n)}\n${outcome(names)}`),
    at3(`${name}: TVAL in the future`, `${set(value, 0x7fff_ffffn)}\n${outcome(names)}`),
    at3(`${name}: TVAL zero`, `${set(value, 0n)}\n${outcome(names)}`),
    at3(`${name}: disabled`, `${set(control, 0n)}\n${outcome(names)}`),
    at3(`${name}: highest priority pending`, `${set(control, 1n)}\n  isb\n  mrs x0, icc_hppir0_el1`),
    at3(`${name}: acknowledged`, acknowledge),
    at3(`${name}: active and pending`, outcome(names)),
    at3(`${name}: active`, `${set(control, 2n)}\n${outcome(names)}`),
    at3(`${name}: active bits`, interruptBits(ACTIVE)),
    at3(`${name}: end of interrupt`, `  msr icc_eoir0_el1, x26\n  isb\n${interruptBits(ACTIVE)}`),
    at3(`${name}: nothing left`, "  mrs x0, icc_hppir0_el1"),
    at3(`${name}: WFI until it comes`, `${soon(31250n)}\n  wfi\n${untilPending(names)}\n${outcome(names)}`),
    at3(`${name}: off`, `${set(control, 0n)}\n${outcome(names)}`),
  ];
}

/** Registers that software below EL2 uses; what is read of them does not matter. */
const SEEN = [
  ...[PHYSICAL, VIRTUAL].flatMap(({ control, compare, value, counter }) => [
    control,
    compare,
    value,
    counter,
  ]),
  "cntfrq_el0",
];
const HIDDEN = [HYPERVISOR, HYPERVISOR_VIRTUAL, SECURE].flatMap(({ control, compare, value }) => [
  control,
  compare,
  value,
]);

function accesses(title: string, level: LevelStep["level"], registers: readonly string[]): LevelStep[] {
  return registers.flatMap((register) => {
    const read = {
      name: `${title}: MRS ${register} at EL${level}`,
      level,
      code: `  mrs x0, ${register}\n  mov x0, #1`,
    };
    if (/cntpct|cntvct|cntfrq/.test(register)) return [read];
    return [
      read,
      {
        name: `${title}: MSR ${register} at EL${level}`,
        level,
        code: `  msr ${register}, xzr\n  mov x0, #1`,
      },
    ];
  });
}

/** Who may use which timer, by every combination of the bits that decide it. */
function accessSteps(): LevelStep[] {
  const steps: LevelStep[] = [];
  const section = (
    title: string,
    settings: Readonly<Record<string, bigint>>,
    levels: readonly LevelStep["level"][],
    registers: readonly string[],
  ) => {
    steps.push(
      at3(
        title,
        Object.entries(settings)
          .map(([register, value]) => set(register, value))
          .join("\n"),
      ),
    );
    for (const level of levels) steps.push(...accesses(title, level, registers));
  };
  for (let bits = 0n; bits < 16n; bits++) {
    const el0 = (bits & 3n) | ((bits & 12n) << 6n);
    section(`CNTKCTL_EL1 ${el0.toString(16)}`, { cnthctl_el2: 3n, cntkctl_el1: el0 }, [0], SEEN);
    section(
      `CNTHCTL_EL2 ${el0.toString(16)}, host`,
      { hcr_el2: RW | E2H | TGE, cnthctl_el2: el0 },
      [0],
      SEEN,
    );
    steps.push(at3("back", set("hcr_el2", RW)));
  }
  for (let bits = 0n; bits < 4n; bits++) {
    for (const el0 of [0x303n, 0n]) {
      const title = `CNTHCTL_EL2 ${bits}, CNTKCTL_EL1 ${el0.toString(16)}`;
      section(title, { hcr_el2: RW, cnthctl_el2: bits, cntkctl_el1: el0 }, [0, 1, 2], SEEN);
      section(`${title}, TGE`, { hcr_el2: RW | TGE }, [0], SEEN);
      section(`E2H, ${title}`, { hcr_el2: RW | E2H, cnthctl_el2: bits << 10n }, [0, 1, 2], SEEN);
    }
  }
  steps.push(at3("open", `${set("hcr_el2", RW)}\n${set("cnthctl_el2", 3n)}\n${set("cntkctl_el1", 0x303n)}`));
  for (const scr of [SCR_NON_SECURE, SCR_NON_SECURE & ~SCR_ST]) {
    section(`SCR_EL3 ${scr.toString(16)}`, { scr_el3: scr }, [0, 1, 2, 3], HIDDEN);
    section(`SCR_EL3 ${(scr & ~1n).toString(16)}`, { scr_el3: scr & ~1n }, [0, 1, 3], HIDDEN);
  }
  steps.push(at3("open again", set("scr_el3", SCR_NON_SECURE)));
  return steps;
}

/** EL1's names at EL2 with E2H, and EL2's own names for EL1's timers. */
function redirectionSteps(): LevelStep[] {
  const steps: LevelStep[] = [];
  const pairs = [
    [PHYSICAL.compare, HYPERVISOR.compare, "cntp_cval_el02"],
    [VIRTUAL.compare, HYPERVISOR_VIRTUAL.compare, "cntv_cval_el02"],
    [PHYSICAL.control, HYPERVISOR.control, "cntp_ctl_el02"],
    [VIRTUAL.control, HYPERVISOR_VIRTUAL.control, "cntv_ctl_el02"],
    ["cntkctl_el1", "cnthctl_el2", "cntkctl_el12"],
  ] as const;
  for (const [name, hypervisor, second] of pairs) {
    const clean = `  msr ${name}, xzr\n  msr ${hypervisor}, xzr`;
    steps.push(at3(`${name}: clean`, clean));
    for (const [setting, hcr] of [
      ["E2H", RW | E2H],
      ["host", RW | E2H | TGE],
    ] as const) {
      steps.push(
        at3(
          `${setting}, ${name}`,
          `${clean}\n${set("hcr_el2", hcr)}\n${name === "cntkctl_el1" ? "" : set("cnthctl_el2", 0xf03n)}`,
        ),
      );
      steps.push({
        name: `${setting}: write ${name} at EL2`,
        level: 2,
        code: `${set(name, 2n)}\n  mrs x0, ${hypervisor}`,
      });
      steps.push({
        name: `${setting}: write ${second} at EL2`,
        level: 2,
        code: `  mov x7, #3\n  msr ${second}, x7\n  mrs x0, ${name}`,
      });
      if (setting === "host" && name !== "cntkctl_el1") {
        steps.push({
          name: `${setting}: write ${name} at EL0`,
          level: 0,
          code: `  mov x7, #1\n  msr ${name}, x7\n  mrs x0, ${name}\n  and x0, x0, #3`,
        });
      }
      steps.push(
        at3(
          `${setting}: ${name} at EL3`,
          `  mrs x0, ${name}\n  and x0, x0, #3\n  mrs x1, ${hypervisor}\n  and x1, x1, #3\n  orr x0, x0, x1, lsl #4`,
        ),
      );
    }
    steps.push(at3(`${name}: done`, `${set("hcr_el2", RW)}\n${clean}`));
  }
  steps.push(at3("redirection done", `${set("cnthctl_el2", 3n)}\n${set("cntkctl_el1", 0x303n)}`));
  return steps;
}

const FREQUENCY: readonly LevelStep[] = [
  at3("CNTFRQ_EL0", "  mrs x0, cntfrq_el0"),
  { name: "CNTFRQ_EL0 from EL2", level: 2, code: "  msr cntfrq_el0, xzr\n  mrs x0, cntfrq_el0" },
  at3("CNTFRQ_EL0 from EL3", `${set("cntfrq_el0", 0x1234_5678n)}\n  mrs x0, cntfrq_el0`),
];

export interface TimerProgram {
  readonly bytes: Uint8Array;
  /** What each printed line is about. */
  readonly steps: readonly string[];
}

const OFFSETS = [0n, 0x12_3456n, -(10n ** 12n), 1n << 63n];

/** Programs that try the generic timers of one processing element. */
export function timerPrograms(): readonly TimerProgram[] {
  const parts = [
    [
      ...TIMERS.flatMap((names) =>
        (names === VIRTUAL ? OFFSETS : OFFSETS.slice(0, 2)).flatMap((offset) => arithmetic(names, offset)),
      ),
      ...offsetSteps(),
      ...counterSteps(),
      ...redirectionSteps(),
    ],
    // QEMU 7.2's board does not connect the hypervisor's virtual timer; src/cpu/timers.test.ts has it.
    [...TIMERS.filter((names) => names !== HYPERVISOR_VIRTUAL).flatMap(interruptSteps), ...FREQUENCY],
    accessSteps(),
  ];
  return parts.map((steps) => ({ bytes: stepProgram(SETUP, steps), steps: steps.map(({ name }) => name) }));
}
