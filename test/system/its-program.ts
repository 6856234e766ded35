import { ITS_COMMAND } from "../../src/devices/gic/its.ts";
import type { Random } from "../support/random.ts";
import { bareProgram } from "./runtime.ts";

/** A random walk over the translation service and LPIs, as a program that prints what it sees. */

const ITS = 0x0808_0000;
const DISTRIBUTOR = 0x0800_0000;
const REDISTRIBUTOR = 0x080a_0000;
const FIRST_LPI = 8192;

/** Places in RAM, which is zero at the start. */
const QUEUE = 0x4110_0000;
const QUEUE_BYTES = 0x2000;
const DEVICES = 0x4111_0000;
const SECOND_LEVEL = 0x4112_0000;
const COLLECTIONS = 0x4113_0000;
const PROPERTIES = 0x4114_0000;
const PENDING = 0x4116_0000;
const TRANSLATIONS = 0x4118_0000;

/** Devices of the walk, their EventID bits, LPIs and collections. */
const DEVICE_IDS = [0, 1, 8, 0x1fff];
const EVENT_BITS = [1, 3, 5, 5];
const LPIS = 24;
const COLLECTION_IDS = [0, 1, 5, 200];

interface Step {
  readonly what: string;
  /** Leaves its result in X0 and may use X1, X2 and X3. */
  readonly code: string;
}

export interface ItsProgramOptions {
  /** Device table in two levels. */
  readonly indirect: boolean;
  /** At EL3, with two security states. */
  readonly secure: boolean;
}

function constant(register: string, value: bigint | number): string {
  const wide = BigInt.asUintN(64, BigInt(value));
  const parts = [0n, 16n, 32n, 48n].map((shift) => (wide >> shift) & 0xffffn);
  const lines = [`movz ${register}, #${parts[0]}`];
  for (let i = 1; i < 4; i++)
    if (parts[i] !== 0n) lines.push(`movk ${register}, #${parts[i]}, lsl #${16 * i}`);
  return lines.map((line) => `  ${line}`).join("\n");
}

const load = (address: number, form = "ldr w0") => `${constant("x1", address)}\n  ${form}, [x1]`;
const store = (address: number, value: bigint | number, form = "str w2") =>
  `  mov x0, #0\n${constant("x2", value)}\n${constant("x1", address)}\n  ${form}, [x1]`;
const read = (name: string) => `  mrs x0, ${name.toLowerCase()}`;
const write = (name: string, value: number) =>
  `  mov x0, #0\n${constant("x2", value)}\n  msr ${name.toLowerCase()}, x2\n  isb`;

class Walk {
  readonly steps: Step[] = [];
  readonly #random: Random;
  #queued = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  draw(): void {
    const choices: [number, () => void][] = [
      [3, () => this.#mapDevice()],
      [3, () => this.#mapCollection()],
      [12, () => this.#mapEvent()],
      [4, () => this.#event(ITS_COMMAND.MOVI)],
      [20, () => this.#event(ITS_COMMAND.INT)],
      [4, () => this.#event(ITS_COMMAND.CLEAR)],
      [3, () => this.#event(ITS_COMMAND.DISCARD)],
      [3, () => this.#event(ITS_COMMAND.INV)],
      [1, () => this.#command("MOVALL", [ITS_COMMAND.MOVALL, 0, 0, 0])],
      [1, () => this.#command("SYNC", [ITS_COMMAND.SYNC, 0, 0, 0])],
      [12, () => this.#property()],
      [10, () => this.#acknowledge()],
      [3, () => this.#mask()],
      [2, () => this.#enable()],
      [6, () => this.#message()],
      [3, () => this.#registers()],
    ];
    let ticket = this.#random.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, choose] of choices) {
      ticket -= weight;
      if (ticket < 0) {
        choose();
        return;
      }
    }
  }

  #add(what: string, code: string): void {
    this.steps.push({ what, code });
  }

  /** Four double words at the queue's end, which moves on. */
  #command(what: string, words: readonly (bigint | number)[]): void {
    const at = QUEUE + this.#queued;
    this.#queued = (this.#queued + 32) % QUEUE_BYTES;
    const stores = words.map((word, index) => store(at + 8 * index, word, "str x2"));
    const start = `${store(ITS + 0x88, this.#queued, "str x2")}\n${load(ITS + 0x90, "ldr x0")}`;
    this.#add(what, `${stores.join("\n")}\n  dsb sy\n${start}`);
  }

  #device(): number {
    const random = this.#random;
    return random.below(25) === 0 ? random.pick([0x2000, 0xffff, 0x1_0000]) : random.pick(DEVICE_IDS);
  }

  #mapDevice(): void {
    const random = this.#random;
    const device = this.#device();
    const index = Math.max(0, DEVICE_IDS.indexOf(device));
    const valid = random.below(6) === 0 ? 0n : 1n << 63n;
    const table = BigInt(TRANSLATIONS + index * 0x1000);
    this.#command(`MAPD ${device} ${valid}`, [
      BigInt(ITS_COMMAND.MAPD) | (BigInt(device) << 32n),
      EVENT_BITS[index]! - 1,
      valid | table,
      0,
    ]);
  }

  #mapCollection(): void {
    const random = this.#random;
    const valid = random.below(6) === 0 ? 0n : 1n << 63n;
    const collection = random.pick(COLLECTION_IDS);
    const target = random.below(12) === 0 ? 1n : 0n;
    this.#command(`MAPC ${collection} to ${target} ${valid}`, [
      ITS_COMMAND.MAPC,
      0,
      valid | (target << 16n) | BigInt(collection),
      0,
    ]);
  }

  #intid(): number {
    const random = this.#random;
    return random.below(20) === 0
      ? random.pick([0, 40, 8191, 0xffff, 0x1_0000, 0x4000])
      : FIRST_LPI + random.below(LPIS);
  }

  #mapEvent(): void {
    const random = this.#random;
    const device = this.#device();
    const collection = random.pick(COLLECTION_IDS);
    if (random.below(12) === 0) {
      const event = random.below(2) === 0 ? this.#intid() : random.below(32);
      this.#command(`MAPI ${device} ${event}`, [
        BigInt(ITS_COMMAND.MAPI) | (BigInt(device) << 32n),
        event,
        collection,
        0,
      ]);
      return;
    }
    const [event, intid] = [random.below(34), this.#intid()];
    this.#command(`MAPTI ${device} ${event} ${intid} ${collection}`, [
      BigInt(ITS_COMMAND.MAPTI) | (BigInt(device) << 32n),
      BigInt(event) | (BigInt(intid) << 32n),
      collection,
      0,
    ]);
  }

  #event(code: number): void {
    const random = this.#random;
    const device = this.#device();
    const event = random.below(34);
    const collection = random.pick(COLLECTION_IDS);
    this.#command(`command ${code} of ${device} ${event} ${collection}`, [
      BigInt(code) | (BigInt(device) << 32n),
      event,
      collection,
      0,
    ]);
  }

  /** A new configuration counts when it has been invalidated. */
  #property(): void {
    const random = this.#random;
    const lpi = random.below(LPIS);
    const value = random.pick([0x01, 0x81, 0xa1, 0xa0, 0xf9, random.below(256)]);
    this.#add(`LPI ${FIRST_LPI + lpi} = ${value.toString(16)}`, store(PROPERTIES + lpi, value, "strb w2"));
    this.#command("MAPC 0 to 0", [ITS_COMMAND.MAPC, 0, 1n << 63n, 0]);
    this.#command("INVALL 0", [ITS_COMMAND.INVALL, 0, 0, 0]);
  }

  #acknowledge(): void {
    this.#add("IAR1", `${read("ICC_IAR1_EL1")}\n  mov x22, x0`);
    if (this.#random.below(3) === 0) this.#add("read RPR", read("ICC_RPR_EL1"));
    this.#add("EOIR1", "  mov x0, x22\n  msr icc_eoir1_el1, x22\n  isb");
  }

  #mask(): void {
    const random = this.#random;
    const value = random.pick([0xff, 0xff, 0xf0, 0x80, 0xa0, 0]);
    this.#add(`PMR = ${value}`, write("ICC_PMR_EL1", value));
    this.#add("PMR = 255", write("ICC_PMR_EL1", 0xff));
    if (random.below(3) === 0) {
      this.#add("GICD_CTLR = 0", store(DISTRIBUTOR, 0));
      this.#add("GICD_CTLR = 7", store(DISTRIBUTOR, 7));
    }
  }

  /** LPIs off, a look at the pending table, LPIs on; or the service off and on. */
  #enable(): void {
    if (this.#random.below(2) === 0) {
      this.#add("EnableLPIs = 0", store(REDISTRIBUTOR, 0));
      this.#event(ITS_COMMAND.INT);
      this.#add("pending table", load(PENDING + FIRST_LPI / 8));
      this.#add("EnableLPIs = 1", store(REDISTRIBUTOR, 1));
    } else {
      this.#add("GITS_CTLR = 0", store(ITS, 0));
      this.#message();
      this.#add("GITS_CTLR = 1", store(ITS, 1));
    }
    this.#add("GICR_CTLR", load(REDISTRIBUTOR));
    this.#add("GITS_CTLR", load(ITS));
  }

  #message(): void {
    const event = this.#random.below(4);
    this.#add(`message ${event}`, store(ITS + 0x1_0040, event));
  }

  #registers(): void {
    const offset = this.#random.pick([0x8, 0x80, 0x88, 0x90, 0x100, 0x108, 0x110, 0xffe0]);
    this.#add(`read GITS ${offset.toString(16)}`, load(ITS + offset, offset < 0xffe0 ? "ldr x0" : "ldr w0"));
    this.#add("read GICR_PROPBASER", load(REDISTRIBUTOR + 0x70, "ldr x0"));
    this.#add("read GICR_PENDBASER", load(REDISTRIBUTOR + 0x78, "ldr x0"));
  }
}

function opening({ indirect, secure }: ItsProgramOptions): string {
  const valid = 1n << 63n;
  // 4 KiB pages: 512 entries a page, so the highest device is in the 16th page of the second level.
  const devices = indirect ? valid | (1n << 62n) | BigInt(DEVICES) : valid | BigInt(DEVICES) | 15n;
  const pages = indirect
    ? [0, 15].map((page) => store(DEVICES + 8 * page, valid | BigInt(SECOND_LEVEL + page * 0x1000), "str x2"))
    : [];
  return [
    store(DISTRIBUTOR, 7),
    ...(secure ? [write("SCR_EL3", 0x501)] : []),
    write("ICC_IGRPEN1_EL1", 1),
    write("ICC_PMR_EL1", 0xff),
    ...pages,
    store(REDISTRIBUTOR + 0x70, BigInt(PROPERTIES) | 14n, "str x2"),
    store(REDISTRIBUTOR + 0x78, PENDING, "str x2"),
    store(REDISTRIBUTOR, 1),
    store(ITS + 0x100, devices, "str x2"),
    store(ITS + 0x108, valid | BigInt(COLLECTIONS), "str x2"),
    store(ITS + 0x80, valid | BigInt(QUEUE) | 1n, "str x2"),
    store(ITS + 0x88, 0, "str x2"),
    store(ITS, 1),
  ].join("\n");
}

export interface ItsProgram {
  readonly bytes: Uint8Array;
  /** What each printed line is about. */
  readonly steps: readonly string[];
}

/** About `count` random steps. Each prints its result, the highest pending interrupt and ISR_EL1. */
export function itsProgram(random: Random, count: number, options: ItsProgramOptions): ItsProgram {
  const walk = new Walk(random);
  while (walk.steps.length < count) walk.draw();
  const steps = walk.steps.map(
    ({ code }, index) => `${index % 200 === 199 ? "  b 3f\n  .ltorg\n3:\n" : ""}${code}\n  bl report`,
  );
  const body = `
${opening(options)}
${steps.join("\n")}
  b finish

// Prints X0, the highest pending interrupt and ISR_EL1.
report:
  mov x24, x30
  mov x9, x0
  bl hex
  mrs x9, icc_hppir1_el1
  bl hex
  mrs x9, isr_el1
  bl hex
  bl newline
  mov x30, x24
  ret
`;
  return { bytes: bareProgram(body), steps: walk.steps.map(({ what }) => what) };
}
