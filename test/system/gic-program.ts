import type { Random } from "../support/random.ts";
import { bareProgram, vectorTable } from "./runtime.ts";

/** A random walk over the interrupt controller, as a program that prints what it sees. */

type Level = 1 | 2 | 3;

const DISTRIBUTOR = 0x0800_0000;
const REDISTRIBUTOR = 0x080a_0000;
const SGI_FRAME = 0x080b_0000;
/** SCR_EL3: RW, HCE, NS. */
const SCR_BASE = 0x501;
const HCR_RW = 1 << 31;
const TIMER_PPI = 30;

/** INTIDs that the walk uses: SGIs, the maintenance interrupt, the timer, SPIs. */
const INTIDS = [3, 7, 12, 25, TIMER_PPI, 34, 40, 50];

const PHYSICAL = [
  "ICC_PMR_EL1",
  "ICC_BPR0_EL1",
  "ICC_BPR1_EL1",
  "ICC_CTLR_EL1",
  "ICC_IGRPEN0_EL1",
  "ICC_IGRPEN1_EL1",
  "ICC_AP0R0_EL1",
];
const READ_ONLY = ["ICC_HPPIR0_EL1", "ICC_HPPIR1_EL1", "ICC_RPR_EL1", "ICC_AP1R0_EL1", "ICC_SRE_EL1"];
const LISTS = ["ICH_LR0_EL2", "ICH_LR1_EL2", "ICH_LR2_EL2", "ICH_LR3_EL2"];
const CONTROL_STATUS = ["ICH_VTR_EL2", "ICH_MISR_EL2", "ICH_EISR_EL2", "ICH_ELRSR_EL2", "ICH_SRE"].slice(
  0,
  4,
);

/** One step: what runs at which level. `code` leaves its result in X0 and may use X1 and X2. */
interface Step {
  readonly level: Level;
  readonly what: string;
  readonly code: string;
}

function constant(register: string, value: bigint | number): string {
  const wide = BigInt.asUintN(64, BigInt(value));
  const parts = [0n, 16n, 32n, 48n].map((shift) => (wide >> shift) & 0xffffn);
  const lines = [`movz ${register}, #${parts[0]}`];
  for (let i = 1; i < 4; i++)
    if (parts[i] !== 0n) lines.push(`movk ${register}, #${parts[i]}, lsl #${16 * i}`);
  return lines.map((line) => `  ${line}`).join("\n");
}

const load = (address: number, width: "w" | "b") =>
  `${constant("x1", address)}\n  ldr${width === "b" ? "b" : ""} w0, [x1]`;
const store = (address: number, value: number, width: "w" | "b") =>
  `  mov x0, #0\n${constant("x2", value)}\n${constant("x1", address)}\n  str${width === "b" ? "b" : ""} w2, [x1]`;
const readRegister = (name: string) => `  mrs x0, ${name.toLowerCase()}`;
const writeRegister = (name: string, value: bigint | number) =>
  `  mov x0, #0\n${constant("x2", value)}\n  msr ${name.toLowerCase()}, x2\n  isb`;

/** Draws steps. What QEMU 7.2 is known to do otherwise than the architecture is left out; see each remark. */
class Walk {
  readonly steps: Step[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  draw(): void {
    const random = this.#random;
    const level = random.pick<Level>([3, 3, 2, 1]);
    const choices: [number, (level: Level) => void][] = [
      [14, (at) => this.#bitmap(at)],
      [6, (at) => this.#readBitmap(at)],
      [10, (at) => this.#priority(at)],
      [2, (at) => this.#distributor(at)],
      [2, (at) => this.#configuration(at)],
      [2, (at) => this.#route(at)],
      [3, () => this.#timer()],
      [4, () => this.#security()],
      [4, () => this.#routing()],
      [10, (at) => this.#end(at)],
      [10, (at) => this.#acknowledge(at)],
      [5, (at) => this.#softwareInterrupt(at)],
      [12, (at) => this.#hypervisor(at)],
      [12, (at) => this.#interface(at)],
    ];
    let ticket = random.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, choose] of choices) {
      ticket -= weight;
      if (ticket < 0) {
        choose(level);
        return;
      }
    }
  }

  #add(level: Level, what: string, code: string): void {
    this.steps.push({ level, what: `EL${level} ${what}`, code });
  }

  #someBits(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) value |= 1 << (this.#random.pick(INTIDS) & 31);
    return this.#random.below(4) === 0 ? this.#random.u32() : value >>> 0;
  }

  #frame(): number {
    return this.#random.below(2) === 0 ? DISTRIBUTOR + 4 : SGI_FRAME;
  }

  #bitmap(level: Level): void {
    const offset = this.#random.pick([0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0xd00]);
    const value = offset === 0x180 && this.#random.below(3) !== 0 ? 0 : this.#someBits();
    this.#write(level, this.#frame() + offset, value);
  }

  #readBitmap(level: Level): void {
    this.#read(level, this.#frame() + this.#random.pick([0x80, 0x100, 0x200, 0x300, 0xd00]));
  }

  #priority(level: Level): void {
    const intid = this.#random.pick(INTIDS);
    const address = (intid < 32 ? SGI_FRAME : DISTRIBUTOR) + 0x400 + intid;
    const value = this.#random.pick([0, 8, 0x10, 0x40, 0x80, 0x81, 0xa0, 0xf8, this.#random.below(256)]);
    this.#add(level, `priority ${intid} = ${value}`, store(address, value, "b"));
    this.#add(level, `priority ${intid}`, load(address, "b"));
  }

  #distributor(level: Level): void {
    // DS is set seldom: there is no way back.
    this.#write(
      level,
      DISTRIBUTOR,
      this.#random.below(40) === 0 ? 0x77 : this.#random.pick([7, 7, 7, 0, 5, 6]),
    );
    this.#read(level, DISTRIBUTOR);
    this.#read(level, REDISTRIBUTOR + 0x14);
    if (this.#random.below(3) === 0) this.#write(level, REDISTRIBUTOR + 0x14, this.#random.u32());
  }

  #configuration(level: Level): void {
    const address = this.#random.pick([
      SGI_FRAME + 0xc00,
      SGI_FRAME + 0xc04,
      DISTRIBUTOR + 0xc08,
      DISTRIBUTOR + 0xe08,
      SGI_FRAME + 0xe00,
    ]);
    if (this.#random.below(2) === 0) this.#write(level, address, this.#random.u32());
    this.#read(level, address);
  }

  #route(level: Level): void {
    const address = DISTRIBUTOR + 0x6000 + 8 * this.#random.pick([34, 40, 50]);
    if (this.#random.below(3) === 0) this.#write(level, address, this.#random.pick([0, 1]));
    this.#read(level, address);
    this.#write(3, address, 0);
  }

  #timer(): void {
    const on = this.#random.below(2);
    this.#add(3, `timer ${on}`, `${writeRegister("CNTP_CVAL_EL0", 0)}\n${writeRegister("CNTP_CTL_EL0", on)}`);
  }

  #security(): void {
    const scr = (SCR_BASE & ~1) | this.#random.pick([0, 1, 1, 1]) | this.#random.pick([0, 0, 2, 4, 6]);
    this.#add(3, `SCR_EL3 = ${scr.toString(16)}`, writeRegister("SCR_EL3", scr));
  }

  #routing(): void {
    const routes = this.#random.pick([0, 8, 16, 24, 24, 24]);
    this.#add(3, `HCR_EL2 routes ${routes}`, writeRegister("HCR_EL2", (HCR_RW >>> 0) + routes));
  }

  #end(level: Level): void {
    const name = this.#random.pick(["ICC_EOIR0_EL1", "ICC_EOIR1_EL1", "ICC_DIR_EL1"]);
    const intid = this.#random.below(20) === 0 ? this.#random.below(1100) : this.#random.pick(INTIDS);
    this.#writeRegister(level, name, intid);
  }

  #acknowledge(level: Level): void {
    this.#readRegister(level, this.#random.pick(["ICC_IAR0_EL1", "ICC_IAR1_EL1", "ICC_IAR1_EL1"]));
    this.#readRegister(level, "ICC_RPR_EL1");
  }

  #softwareInterrupt(level: Level): void {
    const name = this.#random.pick(["ICC_SGI1R_EL1", "ICC_SGI1R_EL1", "ICC_ASGI1R_EL1", "ICC_SGI0R_EL1"]);
    const toOthers = this.#random.below(8) === 0 ? 1n << 40n : 0n;
    const value = (BigInt(this.#random.pick([3, 7, 12])) << 24n) | this.#random.pick([1n, 1n, 0xffffn, 2n]);
    this.#writeRegister(level, name, value | toOthers);
  }

  #hypervisor(level: Level): void {
    const random = this.#random;
    const at: Level = level === 1 ? 2 : level;
    const name = random.pick([...LISTS, ...LISTS, "ICH_HCR_EL2", "ICH_VMCR_EL2", "ICH_AP0R0_EL2"]);
    // HCR: QEMU's VGRP0D condition looks at Group 1; VMCR: QEMU counts unlisted ends in both EOI modes; TC, TALL
    // and TDIR trap, which is another test's business.
    if (name === "ICH_HCR_EL2") {
      this.#writeRegister(at, name, random.below(3) === 0 ? random.u32() & 0xf800_00df : 1);
    } else if (name === "ICH_VMCR_EL2") {
      const value = random.pick([0xff00_0003, 0xff4c_0003, 0xff00_0013, random.u32() & ~0x200]);
      this.#writeRegister(at, name, value >>> 0);
    } else if (name === "ICH_AP0R0_EL2") this.#writeRegister(at, name, 0);
    else {
      const state = BigInt(random.below(16)) << 60n;
      const physical = BigInt(random.pick([25, TIMER_PPI, 34, 0x200])) << 32n;
      const virtual = BigInt(random.below(10) === 0 ? random.pick([0, 5, 1020, 8192]) : random.pick(INTIDS));
      this.#writeRegister(at, name, state | (BigInt(random.below(256)) << 48n) | physical | virtual);
    }
    this.#readRegister(at, name);
    this.#readRegister(at, random.pick(CONTROL_STATUS));
  }

  #interface(level: Level): void {
    const random = this.#random;
    const name = random.pick([...PHYSICAL, ...READ_ONLY, "ICC_CTLR_EL3", "ICC_IGRPEN1_EL3"]);
    const at: Level = name.endsWith("EL3") ? 3 : level;
    if (!READ_ONLY.includes(name) && random.below(2) === 0)
      this.#writeRegister(at, name, this.#plain(name, at));
    this.#readRegister(at, name);
  }

  /** Values whose reserved bits are zero: QEMU keeps some of those of PMR and BPR. */
  #plain(name: string, level: Level): number {
    const random = this.#random;
    if (name.includes("PMR")) return random.below(2) === 0 ? 0xff : random.below(256);
    if (name.includes("BPR")) return random.below(8);
    if (name.includes("IGRPEN")) return random.below(4) === 0 ? random.below(4) : 3;
    if (name.includes("_AP")) return 0;
    // EOImode of a virtual machine: see ICH_VMCR_EL2.
    if (name === "ICC_CTLR_EL1") return level === 1 ? random.below(2) : random.below(4);
    return random.pick([0, 0x07]);
  }

  #read(level: Level, address: number): void {
    this.#add(level, `read ${address.toString(16)}`, load(address, "w"));
  }

  #write(level: Level, address: number, value: number): void {
    this.#add(
      level,
      `write ${address.toString(16)} = ${(value >>> 0).toString(16)}`,
      store(address, value >>> 0, "w"),
    );
  }

  #readRegister(level: Level, name: string): void {
    // QEMU shows the Non-secure EOImode and CBPR also as the Secure ones.
    const mask =
      name === "ICC_CTLR_EL3" ? "\n  and x0, x0, #0xfffffffffffffff7\n  and x0, x0, #0xfffffffffffffffe" : "";
    this.#add(level, `read ${name}`, readRegister(name) + mask);
  }

  #writeRegister(level: Level, name: string, value: bigint | number): void {
    this.#add(level, `write ${name} = ${value.toString(16)}`, writeRegister(name, value));
  }
}

/** Everything let through, so that the walk begins with something to see. */
const OPENING = [
  store(DISTRIBUTOR, 7, "w"),
  writeRegister("ICC_IGRPEN0_EL1", 1),
  writeRegister("ICC_IGRPEN1_EL3", 3),
  writeRegister("ICC_PMR_EL1", 0xff),
  writeRegister("SCR_EL3", SCR_BASE),
  writeRegister("HCR_EL2", HCR_RW >>> 0),
].join("\n");

export interface GicProgram {
  readonly bytes: Uint8Array;
  /** What each printed line is about. */
  readonly steps: readonly string[];
}

/**
 * A program of about `count` random steps. Each prints a line: the result, the syndrome where the step was trapped
 * or UNDEFINED (all ones where it was left out), and ISR_EL1 as EL3 sees it afterwards.
 *
 * A step below EL3 is left out while an interrupt waits that could be taken there, since when it is taken would
 * be the machine's choice; one that the step itself causes may come, which only ends the step.
 */
export function gicProgram(random: Random, count: number): GicProgram {
  const walk = new Walk(random);
  while (walk.steps.length < count) walk.draw();
  const steps = walk.steps.map(({ level, code }, index) => {
    const body =
      level === 3
        ? `${code}\n  bl report`
        : `  adr x20, 1f\n${constant("x21", 0x3c1 | (level << 2))}\n  bl lower\n  b 2f\n1:\n${code}\n  smc #0\n2: bl report`;
    return `${index % 200 === 199 ? "  b 3f\n  .ltorg\n3:\n" : ""}${body}`;
  });
  const body = `
  adr x0, vectors3
  msr vbar_el3, x0
  adr x0, vectors2
  msr vbar_el2, x0
  adr x0, vectors1
  msr vbar_el1, x0
  b opening
${[1, 2, 3].map((level) => vectorTable(`vectors${level}`, (offset) => vector(level, offset))).join("\n")}
opening:
${OPENING}
  mov x22, #0
${steps.join("\n")}
  b finish

// Runs the code at X20 with the status X21, unless an interrupt could come between.
lower:
  mov x24, x30
  mrs x1, scr_el3
  tst x1, #1
  b.ne 1f
  // There is no Secure EL2.
  and x2, x21, #12
  cmp x2, #8
  b.eq 3f
1: mrs x2, isr_el1
  and x2, x2, #0xc0
  cbz x2, 2f
  tst x1, #6
  b.ne 3f
  mrs x1, hcr_el2
  tst x1, #0x18
  b.ne 3f
2: msr spsr_el3, x21
  msr elr_el3, x20
  eret
3: mov x22, #-1
  mov x0, #0
  ret

// Prints X0, X22 and ISR_EL1.
report:
  mov x24, x30
  cmp x22, #0
  csel x9, x0, xzr, eq
  bl hex
  mov x9, x22
  bl hex
  mrs x9, isr_el1
  bl hex
  bl newline
  mov x22, #0
  mov x30, x24
  ret
`;
  return { bytes: bareProgram(body), steps: walk.steps.map(({ what }) => what) };
}

/**
 * Exceptions end the step: SMC is how it comes back to EL3, interrupts do the same, anything else leaves its
 * syndrome in X22. At EL3 itself the instruction is skipped.
 */
function vector(level: number, offset: number): string {
  const isSynchronous = offset % 0x200 === 0;
  const isLower = offset >= 0x400;
  if (level < 3) return isSynchronous ? `  mrs x22, esr_el${level}\n  smc #0` : "  smc #0";
  if (!isSynchronous) return isLower ? "  mov x30, x24\n  ret" : "  b .";
  if (!isLower) return "  mrs x22, esr_el3\n  mrs x9, elr_el3\n  add x9, x9, #4\n  msr elr_el3, x9\n  eret";
  return `  mrs x9, esr_el3
  lsr x10, x9, #26
  cmp x10, #0x17
  csel x22, x22, x9, eq
  mov x30, x24
  ret`;
}
