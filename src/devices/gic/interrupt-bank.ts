import { arrayField, type StateField } from "../../base/state-fields.ts";
import type { Register } from "../register-table.ts";
import { GICD_CTLR, GROUP0, GROUP1_NON_SECURE, GROUP1_SECURE, type Group } from "./constants.ts";

/** GICD_CTLR, which every bank consults. `value` holds the Secure view; ARE is always set. */
export interface DistributorControl {
  value: number;
}

/** True while all accesses see and control all interrupts: one security state. */
export function securityDisabled(control: DistributorControl): boolean {
  return (control.value & GICD_CTLR.DISABLE_SECURITY) !== 0;
}

/**
 * State of some interrupts, 32 to a word: all SPIs in the distributor, or the SGIs and PPIs of one
 * redistributor. The registers that both have are {@link bankRegisters}.
 */
export class InterruptBank {
  readonly words: number;
  readonly implemented: Uint32Array;
  readonly group: Uint32Array;
  readonly groupModifier: Uint32Array;
  readonly enabled: Uint32Array;
  /** Pending by an edge or by software; cleared by acknowledging. */
  readonly latch: Uint32Array;
  /** The input wires. */
  readonly level: Uint32Array;
  readonly edge: Uint32Array;
  readonly active: Uint32Array;
  /** All eight bits are kept; the CPU interface uses the upper {@link PRIORITY_BITS}. */
  readonly priority: Uint8Array;
  /** GICD_NSACR and GICR_NSACR fields, 0 to 3. */
  readonly nonSecureAccess: Uint8Array;
  readonly #control: DistributorControl;
  readonly #changed: (word: number) => void;

  /** `implemented` has a word per 32 interrupts; `changed` is called after each change of a word's state. */
  constructor(implemented: readonly number[], control: DistributorControl, changed: (word: number) => void) {
    this.words = implemented.length;
    this.implemented = Uint32Array.from(implemented);
    const bitmap = () => new Uint32Array(this.words);
    this.group = bitmap();
    this.groupModifier = bitmap();
    this.enabled = bitmap();
    this.latch = bitmap();
    this.level = bitmap();
    this.edge = bitmap();
    this.active = bitmap();
    this.priority = new Uint8Array(this.words * 32);
    this.nonSecureAccess = new Uint8Array(this.words * 32);
    this.#control = control;
    this.#changed = changed;
  }

  stateFields(): readonly StateField[] {
    const { group, groupModifier, enabled, latch, level, edge, active, priority, nonSecureAccess } = this;
    const arrays = { group, groupModifier, enabled, latch, level, edge, active, priority, nonSecureAccess };
    return Object.entries(arrays).map(([name, array]) => arrayField(name, array));
  }

  /** Wires keep their level: they belong to the devices. */
  reset(alwaysEdge: number, allNonSecure: boolean): void {
    for (const bitmap of [this.groupModifier, this.enabled, this.latch, this.active]) bitmap.fill(0);
    this.edge.fill(alwaysEdge);
    for (let word = 0; word < this.words; word++)
      this.group[word] = allNonSecure ? this.implemented[word]! : 0;
    this.priority.fill(0);
    this.nonSecureAccess.fill(0);
    for (let word = 0; word < this.words; word++) this.#changed(word);
  }

  setLevel(index: number, level: boolean): void {
    const word = index >>> 5;
    const mask = 1 << (index & 31);
    if (((this.level[word]! & mask) !== 0) === level) return;
    if (level) {
      this.level[word]! |= mask;
      if ((this.edge[word]! & mask) !== 0) this.latch[word]! |= mask;
    } else this.level[word]! &= ~mask;
    this.#changed(word);
  }

  setPending(index: number): void {
    this.latch[index >>> 5]! |= 1 << (index & 31);
    this.#changed(index >>> 5);
  }

  activate(index: number): void {
    const word = index >>> 5;
    const mask = 1 << (index & 31);
    this.active[word]! |= mask;
    this.latch[word]! &= ~mask;
    this.#changed(word);
  }

  deactivate(index: number): void {
    this.active[index >>> 5]! &= ~(1 << (index & 31));
    this.#changed(index >>> 5);
  }

  pending(word: number): number {
    return this.latch[word]! | (this.level[word]! & ~this.edge[word]!);
  }

  /** Interrupts of a word that may be forwarded: pending, enabled, not active, their group enabled. */
  ready(word: number): number {
    const candidates = this.pending(word) & this.enabled[word]! & ~this.active[word]!;
    return candidates === 0 ? 0 : candidates & this.#enabledGroups(word);
  }

  groupOf(index: number): Group {
    const word = index >>> 5;
    const mask = 1 << (index & 31);
    if ((this.group[word]! & mask) !== 0) return GROUP1_NON_SECURE;
    if (!securityDisabled(this.#control) && (this.groupModifier[word]! & mask) !== 0) return GROUP1_SECURE;
    return GROUP0;
  }

  #enabledGroups(word: number): number {
    const { value } = this.#control;
    const group = this.group[word]!;
    const modifier = securityDisabled(this.#control) ? 0 : this.groupModifier[word]!;
    let mask = 0;
    if (value & GICD_CTLR.ENABLE_GROUP0) mask |= ~group & ~modifier;
    if (value & GICD_CTLR.ENABLE_GROUP1_SECURE) mask |= ~group & modifier;
    if (value & GICD_CTLR.ENABLE_GROUP1_NON_SECURE) mask |= group;
    return mask;
  }

  /**
   * Interrupts of a word that an access may see: all, or for a Non-secure access those of Non-secure Group 1 and
   * those whose GICD_NSACR field is at least `access` (1 to 3; 0 means that the field does not help).
   */
  visible(word: number, secure: boolean, access = 0): number {
    const implemented = this.implemented[word]!;
    if (secure || securityDisabled(this.#control)) return implemented;
    let mask = this.group[word]!;
    if (access > 0)
      for (let bit = 0; bit < 32; bit++)
        if (this.nonSecureAccess[word * 32 + bit]! >= access) mask |= 1 << bit;
    return mask & implemented;
  }

  /** True when security registers (groups, NSACR) answer this access. */
  administrable(secure: boolean): boolean {
    return secure || securityDisabled(this.#control);
  }

  /** Non-secure accesses see the lower half of the priority range, shifted to fill eight bits. */
  readPriority(index: number, secure: boolean): number {
    if ((this.visible(index >>> 5, secure) & (1 << (index & 31))) === 0) return 0;
    const priority = this.priority[index]!;
    return this.administrable(secure) ? priority : (priority << 1) & 0xff;
  }

  writePriority(index: number, value: number, secure: boolean): void {
    if ((this.visible(index >>> 5, secure) & (1 << (index & 31))) === 0) return;
    this.priority[index] = this.administrable(secure) ? value : 0x80 | (value >>> 1);
    this.#changed(index >>> 5);
  }

  /** True when registers that exist only with two security states answer this access. */
  distinguishable(secure: boolean): boolean {
    return secure && !securityDisabled(this.#control);
  }

  /** Writes the bits of `mask` in one of the bitmaps. */
  update(bitmap: Uint32Array, word: number, value: number, mask: number): void {
    bitmap[word] = (bitmap[word]! & ~mask) | (value & mask);
    this.#changed(word);
  }

  /** Two bits per interrupt, sixteen interrupts in `half`; the upper bit says edge-triggered. */
  readConfiguration(half: number, secure: boolean): number {
    const word = half >>> 1;
    const edge = (this.edge[word]! & this.visible(word, secure)) >>> ((half & 1) * 16);
    let value = 0;
    for (let i = 0; i < 16; i++) if (edge & (1 << i)) value |= 2 << (2 * i);
    return value;
  }

  writeConfiguration(half: number, value: number, secure: boolean): void {
    const word = half >>> 1;
    const shift = (half & 1) * 16;
    let edge = 0;
    for (let i = 0; i < 16; i++) if (value & (2 << (2 * i))) edge |= 1 << (i + shift);
    this.update(this.edge, word, edge, this.visible(word, secure) & (0xffff << shift));
  }

  readNonSecureAccess(half: number): number {
    let value = 0;
    for (let i = 0; i < 16; i++) value |= this.nonSecureAccess[half * 16 + i]! << (2 * i);
    return value;
  }

  writeNonSecureAccess(half: number, value: number): void {
    for (let i = 0; i < 16; i++) {
      const index = half * 16 + i;
      if ((this.implemented[index >>> 5]! & (1 << (index & 31))) !== 0)
        this.nonSecureAccess[index] = (value >>> (2 * i)) & 3;
    }
  }
}

/** A register whose written ones act and whose zeros do not. */
interface Action {
  readonly register: string;
  readonly offset: number;
  readonly shows: (bank: InterruptBank, word: number) => number;
  readonly changes: (bank: InterruptBank) => Uint32Array;
  /** What the written ones set the bits to. */
  readonly to: 0 | -1;
  /** GICD_NSACR field values from which on Non-secure accesses reach the bits; 0: never. */
  readonly access: { readonly read: number; readonly write: number };
}

const ENABLED = {
  shows: (bank: InterruptBank, word: number) => bank.enabled[word]!,
  changes: (bank: InterruptBank) => bank.enabled,
  access: { read: 0, write: 0 },
};
const PENDING = {
  shows: (bank: InterruptBank, word: number) => bank.pending(word),
  changes: (bank: InterruptBank) => bank.latch,
};
const ACTIVE = {
  shows: (bank: InterruptBank, word: number) => bank.active[word]!,
  changes: (bank: InterruptBank) => bank.active,
  access: { read: 2, write: 0 },
};

const ACTIONS: readonly Action[] = [
  { register: "ISENABLER", offset: 0x100, to: -1, ...ENABLED },
  { register: "ICENABLER", offset: 0x180, to: 0, ...ENABLED },
  { register: "ISPENDR", offset: 0x200, to: -1, ...PENDING, access: { read: 1, write: 1 } },
  { register: "ICPENDR", offset: 0x280, to: 0, ...PENDING, access: { read: 2, write: 2 } },
  { register: "ISACTIVER", offset: 0x300, to: -1, ...ACTIVE },
  { register: "ICACTIVER", offset: 0x380, to: 0, ...ACTIVE },
];

/**
 * The registers that GICD and GICR's SGI frame share, at the same offsets (IHI 0069, tables 12-25 and 12-29).
 * `name` makes a full register name.
 */
export function bankRegisters<Device>(options: {
  words: number;
  name: (register: string) => string;
  bankOf: (device: Device) => InterruptBank;
  /** The first registers ICFGR are read-only. */
  fixedConfigurationHalves: number;
  /** NSACR fields there are, 16 to a register, and whether they open registers or only SGI generation. */
  nonSecureAccess: { halves: number; opensRegisters: boolean };
}): Register<Device>[] {
  const { words, name, bankOf, fixedConfigurationHalves, nonSecureAccess } = options;
  const opened = (access: number) => (nonSecureAccess.opensRegisters ? access : 0);
  const action = ({ register, offset, shows, changes, to, access }: Action): Register<Device> => ({
    name: name(register),
    offset,
    count: words,
    read: (device, word, secure) => {
      const bank = bankOf(device);
      return shows(bank, word) & bank.visible(word, secure, opened(access.read));
    },
    write: (device, value, word, secure) => {
      const bank = bankOf(device);
      bank.update(changes(bank), word, to, value & bank.visible(word, secure, opened(access.write)));
    },
  });
  /** Bitmaps that decide about security themselves. */
  const group = (
    register: string,
    offset: number,
    bitmap: (bank: InterruptBank) => Uint32Array,
    answers: (bank: InterruptBank, secure: boolean) => boolean,
  ): Register<Device> => ({
    name: name(register),
    offset,
    count: words,
    read: (device, word, secure) => {
      const bank = bankOf(device);
      return answers(bank, secure) ? bitmap(bank)[word]! : 0;
    },
    write: (device, value, word, secure) => {
      const bank = bankOf(device);
      if (answers(bank, secure)) bank.update(bitmap(bank), word, value, bank.implemented[word]!);
    },
  });
  return [
    group(
      "IGROUPR",
      0x80,
      (bank) => bank.group,
      (bank, secure) => bank.administrable(secure),
    ),
    ...ACTIONS.map(action),
    {
      name: name("IPRIORITYR"),
      offset: 0x400,
      count: words * 32,
      unit: 1,
      read: (device, index, secure) => bankOf(device).readPriority(index, secure),
      write: (device, value, index, secure) => bankOf(device).writePriority(index, value, secure),
    },
    {
      name: name("ICFGR"),
      offset: 0xc00,
      count: words * 2,
      read: (device, half, secure) => bankOf(device).readConfiguration(half, secure),
      write: (device, value, half, secure) => {
        if (half >= fixedConfigurationHalves) bankOf(device).writeConfiguration(half, value, secure);
      },
    },
    group(
      "IGRPMODR",
      0xd00,
      (bank) => bank.groupModifier,
      (bank, secure) => bank.distinguishable(secure),
    ),
    {
      name: name("NSACR"),
      offset: 0xe00,
      count: nonSecureAccess.halves,
      read: (device, half, secure) => {
        const bank = bankOf(device);
        return bank.distinguishable(secure) ? bank.readNonSecureAccess(half) : 0;
      },
      write: (device, value, half, secure) => {
        const bank = bankOf(device);
        if (bank.distinguishable(secure)) bank.writeNonSecureAccess(half, value);
      },
    },
  ];
}
