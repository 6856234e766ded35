import { assert } from "../base/errors.ts";
import type { InterruptLine } from "../base/interrupt-line.ts";
import { numberField, numberFields, type StateField } from "../base/state-fields.ts";
import type { AccessWidth, MmioDevice } from "../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "./access-log.ts";
import { identificationRows, type Register, RegisterFile } from "./register-table.ts";

const SIZE = 0x1000;
const LINES = 8;

/** What the registers act on; see {@link Pl061}. */
interface Gpio {
  direction: number;
  levelSense: number;
  bothEdges: number;
  event: number;
  mask: number;
  alternate: number;
  readonly levels: number;
  readonly raw: number;
  writeOutputs(value: number, mask: number): void;
  clearEdges(mask: number): void;
  update(): void;
}

type Field = "direction" | "levelSense" | "bothEdges" | "event" | "mask" | "alternate";

function field(name: string, offset: number, key: Field): Register<Gpio> {
  return {
    name,
    offset,
    read: (gpio) => gpio[key],
    write: (gpio, value) => {
      gpio[key] = value & 0xff;
      gpio.update();
    },
  };
}

/** Arm DDI 0190 (PL061), table 3-1. */
export const PL061_REGISTERS: readonly Register<Gpio>[] = [
  {
    // Bits 9:2 of the address say which lines the access is about.
    name: "GPIODATA<mask>",
    offset: 0x000,
    count: 256,
    read: (gpio, mask) => gpio.levels & mask,
    write: (gpio, value, mask) => gpio.writeOutputs(value, mask),
  },
  field("GPIODIR", 0x400, "direction"),
  field("GPIOIS", 0x404, "levelSense"),
  field("GPIOIBE", 0x408, "bothEdges"),
  field("GPIOIEV", 0x40c, "event"),
  field("GPIOIE", 0x410, "mask"),
  { name: "GPIORIS", offset: 0x414, read: (gpio) => gpio.raw },
  { name: "GPIOMIS", offset: 0x418, read: (gpio) => gpio.raw & gpio.mask },
  { name: "GPIOIC", offset: 0x41c, write: (gpio, value) => gpio.clearEdges(value) },
  field("GPIOAFSEL", 0x420, "alternate"),
  ...identificationRows<Gpio>(0xfd0, [0, 0, 0, 0, 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]),
];

/** Arm PrimeCell general-purpose input and output (PL061): eight lines, pulled down, each with an interrupt. */
export class Pl061 implements MmioDevice, Gpio {
  readonly name: string;
  readonly size = SIZE;
  direction = 0;
  levelSense = 0;
  bothEdges = 0;
  event = 0;
  mask = 0;
  alternate = 0;
  #inputs = 0;
  #outputs = 0;
  #edges = 0;
  #seen = 0;
  readonly #line: InterruptLine;
  readonly #onOutput: (line: number, level: boolean) => void;
  readonly #registers: RegisterFile<Gpio>;

  constructor(options: {
    name?: string;
    line: InterruptLine;
    /** Called when the guest changes a line that is an output. */
    onOutput?: (line: number, level: boolean) => void;
    log?: AccessLog;
  }) {
    this.name = options.name ?? "pl061";
    this.#line = options.line;
    this.#onOutput = options.onOutput ?? (() => {});
    this.#registers = new RegisterFile<Gpio>(this.name, PL061_REGISTERS, SIZE, options.log ?? SILENT_LOG);
  }

  read(offset: number, width: AccessWidth): number {
    return this.#registers.read(this, offset, width, false);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.#registers.write(this, offset, width, value, false);
  }

  reset(): void {
    this.direction = 0;
    this.levelSense = 0;
    this.bothEdges = 0;
    this.event = 0;
    this.mask = 0;
    this.alternate = 0;
    this.#outputs = 0;
    this.#edges = 0;
    this.#seen = this.levels;
    this.update();
  }

  stateFields(): readonly StateField[] {
    const registers = {
      direction: 0xff,
      levelSense: 0xff,
      bothEdges: 0xff,
      event: 0xff,
      mask: 0xff,
      alternate: 0xff,
    };
    const byte = (name: string, get: () => number, set: (value: number) => void) =>
      numberField(name, 0xff, get, set);
    return [
      ...numberFields<keyof typeof registers>(this, registers),
      byte(
        "inputs",
        () => this.#inputs,
        (value) => {
          this.#inputs = value;
        },
      ),
      byte(
        "outputs",
        () => this.#outputs,
        (value) => {
          this.#outputs = value;
        },
      ),
      byte(
        "edges",
        () => this.#edges,
        (value) => {
          this.#edges = value;
        },
      ),
      byte(
        "seen",
        () => this.#seen,
        (value) => {
          this.#seen = value;
        },
      ),
    ];
  }

  stateRestored(): void {
    this.#line.set((this.raw & this.mask) !== 0);
  }

  /** The wire into line `index` (0 to 7). A key press is a rise and a later fall. */
  input(index: number): InterruptLine {
    assert(index >= 0 && index < LINES, `GPIO line ${index} does not exist`);
    return {
      set: (level) => {
        this.#inputs = level ? this.#inputs | (1 << index) : this.#inputs & ~(1 << index);
        this.update();
      },
    };
  }

  get levels(): number {
    return (this.#outputs & this.direction) | (this.#inputs & ~this.direction);
  }

  get raw(): number {
    const asserted = ~(this.levels ^ this.event) & this.levelSense;
    return (asserted | (this.#edges & ~this.levelSense)) & 0xff;
  }

  writeOutputs(value: number, mask: number): void {
    const writable = mask & this.direction;
    this.#outputs = (this.#outputs & ~writable) | (value & writable);
    this.update();
  }

  clearEdges(mask: number): void {
    this.#edges &= ~mask;
    this.update();
  }

  update(): void {
    const { levels } = this;
    const changed = levels ^ this.#seen;
    this.#seen = levels;
    const inputs = changed & ~this.direction & ~this.levelSense;
    this.#edges |= inputs & (this.bothEdges | ~(levels ^ this.event)) & 0xff;
    for (let line = 0; line < LINES; line++)
      if (changed & this.direction & (1 << line)) this.#onOutput(line, (levels & (1 << line)) !== 0);
    this.#line.set((this.raw & this.mask) !== 0);
  }
}
