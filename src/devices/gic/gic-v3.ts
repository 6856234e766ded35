import { assert } from "../../base/errors.ts";
import type { InterruptCpuInterface, InterruptSignals } from "../../base/interrupt-controller.ts";
import { FIRST_PPI, FIRST_SPI } from "../../base/interrupt-ids.ts";
import type { InterruptLine } from "../../base/interrupt-line.ts";
import { arrayField, nestedFields, numberField, type StateField } from "../../base/state-fields.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { MmioDevice } from "../../memory/mmio-device.ts";
import { type AccessLog, SILENT_LOG } from "../access-log.ts";
import { RegisterFile } from "../register-table.ts";
import {
  DISTRIBUTOR_SIZE,
  GICD_CTLR,
  GROUP0,
  GROUP1_SECURE,
  INTID_COUNT,
  REDISTRIBUTOR_SIZE,
  SPI_COUNT,
} from "./constants.ts";
import { CpuInterface } from "./cpu-interface.ts";
import { DISTRIBUTOR_REGISTERS, type DistributorState } from "./distributor.ts";
import { type DistributorControl, InterruptBank, securityDisabled } from "./interrupt-bank.ts";
import { InterruptTranslationService } from "./its.ts";
import type { LpiState } from "./lpi-state.ts";
import type { InterruptCore, SgiRequest } from "./physical-interface.ts";
import { type Affinity, REDISTRIBUTOR_REGISTERS, Redistributor } from "./redistributor.ts";

/** The shape of an interrupt controller. */
export interface GicV3Options {
  readonly peCount: number;
  /** MPIDR affinity of each element, in the order of the elements. */
  readonly affinities: readonly Affinity[];
  /** The machine has EL3: two security states until software gives one up. */
  readonly security: boolean;
  /** The machine has EL2: list registers, virtual CPU interface, maintenance interrupt. */
  readonly virtualization: boolean;
  /** After reset all interrupts are in Non-secure Group 1: for kernels started without Secure firmware. */
  readonly resetNonSecure?: boolean;
  /** Non-secure memory: with it there are LPIs, and a translation service for them. */
  readonly lpiMemory?: GuestMemory;
  /** Called when the signals of an element change. Must not call back into the controller. */
  readonly onSignal: (pe: number, signals: InterruptSignals) => void;
  readonly log?: AccessLog;
}

/**
 * A GICv3 (Arm IHI 0069) as on QEMU's `virt` board: affinity routing always on, SPIs, PPIs, SGIs and LPIs, one or
 * two security states, virtual CPU interfaces; no 1-of-N routing, no memory-mapped CPU interface.
 *
 * Cost: each change of an interrupt updates the ready bitmaps of its word of 32, and only processing elements
 * that this touches choose their best interrupt again, among ready ones.
 */
export class GicV3 implements InterruptCore, DistributorState {
  readonly distributor: MmioDevice;
  readonly redistributors: MmioDevice;
  readonly translationService: InterruptTranslationService | undefined;
  readonly hasLpis: boolean;
  readonly control: DistributorControl = { value: 0 };
  readonly spis: InterruptBank;
  readonly routes = new Uint32Array(2 * INTID_COUNT);
  readonly security: boolean;
  readonly #options: GicV3Options;
  readonly #redistributors: readonly Redistributor[];
  readonly #cpuInterfaces: readonly CpuInterface[];
  /** Index of the element each SPI is routed to, -1 for none. */
  readonly #target = new Int16Array(INTID_COUNT);
  readonly #dirty: Uint8Array;

  constructor(options: GicV3Options) {
    assert(options.affinities.length === options.peCount, "a GIC needs one affinity per element");
    this.#options = options;
    this.security = options.security;
    this.hasLpis = options.lpiMemory !== undefined;
    this.#dirty = new Uint8Array(options.peCount);
    const implemented = Array.from({ length: INTID_COUNT / 32 }, (_, word) => (word === 0 ? 0 : ~0));
    this.spis = new InterruptBank(implemented, this.control, (word) => this.#refreshSpis(word));
    this.#redistributors = options.affinities.map(
      (affinity, index) =>
        new Redistributor(
          { index, affinity, isLast: index === options.peCount - 1 },
          this.control,
          () => {
            this.#dirty[index] = 1;
          },
          options.lpiMemory,
        ),
    );
    this.#cpuInterfaces = this.#redistributors.map(
      (redistributor) =>
        new CpuInterface(this, redistributor, options, () => {
          this.#dirty[redistributor.index] = 1;
          this.#settle();
        }),
    );
    const log = options.log ?? SILENT_LOG;
    this.distributor = this.#distributorDevice(log);
    this.redistributors = this.#redistributorDevice(log);
    this.translationService = this.#makeTranslationService(log);
    this.reset();
  }

  /** Back to the state after power-on, except for the levels of the wires. */
  reset(): void {
    const { DISABLE_SECURITY, ARE_SECURE, ARE_NON_SECURE } = GICD_CTLR;
    this.control.value = this.security ? ARE_SECURE | ARE_NON_SECURE : DISABLE_SECURITY | ARE_SECURE;
    this.routes.fill(0);
    const allNonSecure = this.security && this.#options.resetNonSecure === true;
    for (let intid = FIRST_SPI; intid < INTID_COUNT; intid++) this.#target[intid] = this.#route(intid);
    this.spis.reset(0, allNonSecure);
    for (const redistributor of this.#redistributors) redistributor.reset(allNonSecure);
    this.translationService?.reset();
    for (const cpu of this.#cpuInterfaces) cpu.reset();
    this.#dirty.fill(1);
    this.#settle();
  }

  stateFields(): readonly StateField[] {
    const { control } = this;
    return [
      numberField(
        "control",
        0xffff_ffff,
        () => control.value >>> 0,
        (value) => {
          control.value = value;
        },
      ),
      arrayField("routes", this.routes),
      ...nestedFields("spis", this.spis.stateFields()),
      ...this.#redistributors.flatMap((each, index) =>
        nestedFields(`redistributor${index}`, each.stateFields()),
      ),
      ...this.#cpuInterfaces.flatMap((each, index) => nestedFields(`cpu${index}`, each.stateFields())),
      ...nestedFields("its", this.translationService?.stateFields() ?? []),
    ];
  }

  stateRestored(): void {
    for (let intid = FIRST_SPI; intid < INTID_COUNT; intid++) this.#target[intid] = this.#route(intid);
    for (const { lpis } of this.#redistributors) lpis?.stateRestored();
    this.controlChanged();
    this.#settle();
  }

  /** Wire of SPI `n` (0 to 255; INTID 32 + n). */
  spi(n: number): InterruptLine {
    assert(n >= 0 && n < SPI_COUNT, `SPI ${n} does not exist`);
    return this.#line(this.spis, FIRST_SPI + n);
  }

  /** Wire of PPI `n` (0 to 15; INTID 16 + n) of element `pe`. PPI 9 is the controller's own maintenance interrupt. */
  ppi(pe: number, n: number): InterruptLine {
    assert(n >= 0 && n < FIRST_SPI - FIRST_PPI, `PPI ${n} does not exist`);
    return this.#line(this.#redistributor(pe).bank, FIRST_PPI + n);
  }

  cpuInterface(pe: number): InterruptCpuInterface {
    return this.#cpuInterfaces[this.#redistributor(pe).index]!;
  }

  controlChanged(): void {
    for (let word = 1; word < this.spis.words; word++) this.#refreshSpis(word);
    for (const redistributor of this.#redistributors) {
      redistributor.refreshPrivate();
      redistributor.lpis?.invalidate();
    }
    this.#dirty.fill(1);
  }

  routeChanged(intid: number): void {
    const old = this.#target[intid]!;
    this.#target[intid] = this.#route(intid);
    if (old >= 0) {
      const redistributor = this.#redistributors[old]!;
      const word = intid >>> 5;
      redistributor.setReadySpis(word, redistributor.readySpis[word]! & ~(1 << (intid & 31)));
      this.#dirty[old] = 1;
    }
    this.#refreshSpis(intid >>> 5);
  }

  sendSgi({ intid, group, fromNonSecure, targets }: SgiRequest): void {
    for (const redistributor of this.#redistributors) {
      if (!targets(redistributor)) continue;
      const { bank } = redistributor;
      const configured = bank.groupOf(intid);
      // A Secure Group 1 request may raise an interrupt that is configured as Group 0.
      const matches = group === configured || (group === GROUP1_SECURE && configured === GROUP0);
      if (!matches) continue;
      if (fromNonSecure && !securityDisabled(this.control)) {
        const access = bank.nonSecureAccess[intid]!;
        if ((configured === GROUP0 && access < 1) || (configured === GROUP1_SECURE && access < 2)) continue;
      }
      bank.setPending(intid);
    }
  }

  #redistributor(pe: number): Redistributor {
    const redistributor = this.#redistributors[pe];
    assert(redistributor !== undefined, `processing element ${pe} does not exist`);
    return redistributor;
  }

  #line(bank: InterruptBank, intid: number): InterruptLine {
    return {
      set: (level) => {
        bank.setLevel(intid, level);
        this.#settle();
      },
    };
  }

  #route(intid: number): number {
    const [low, high] = [this.routes[2 * intid]!, this.routes[2 * intid + 1]!];
    return this.#options.affinities.findIndex(
      ({ aff0, aff1, aff2, aff3 }) =>
        (low & 0xff_ffff) === ((aff2 << 16) | (aff1 << 8) | aff0) && (high & 0xff) === aff3,
    );
  }

  /** Hands a word's ready interrupts to the elements they are routed to. */
  #refreshSpis(word: number): void {
    const ready = this.spis.ready(word);
    for (const redistributor of this.#redistributors) {
      let mine = 0;
      for (let rest = ready; rest !== 0; rest &= rest - 1) {
        const bit = 31 - Math.clz32(rest & -rest);
        if (this.#target[word * 32 + bit] === redistributor.index) mine |= 1 << bit;
      }
      // A ready interrupt may have changed its priority or group: choose again although the bitmap is equal.
      if (mine === 0 && redistributor.readySpis[word] === 0) continue;
      redistributor.setReadySpis(word, mine);
      this.#dirty[redistributor.index] = 1;
    }
  }

  /** Brings best interrupts, maintenance interrupts and signals of all touched elements up to date. */
  #settle(): void {
    for (let pe = 0; pe < this.#dirty.length; pe++) {
      if (this.#dirty[pe] === 0) continue;
      const cpu = this.#cpuInterfaces[pe]!;
      cpu.updateMaintenance();
      this.#dirty[pe] = 0;
      cpu.redistributor.selectBest(this.spis);
      if (cpu.updateSignals()) this.#options.onSignal(pe, cpu.signals);
    }
  }

  #makeTranslationService(log: AccessLog): InterruptTranslationService | undefined {
    const { lpiMemory: memory } = this.#options;
    if (memory === undefined) return undefined;
    const lpis = this.#redistributors.map((each): LpiState => {
      assert(each.lpis !== undefined, "a redistributor beside a translation service has LPIs");
      return each.lpis;
    });
    return new InterruptTranslationService({ memory, lpis, settle: () => this.#settle(), log });
  }

  #distributorDevice(log: AccessLog): MmioDevice {
    const name = "gic-distributor";
    const file = new RegisterFile<DistributorState>(name, DISTRIBUTOR_REGISTERS, DISTRIBUTOR_SIZE, log);
    return {
      name,
      size: DISTRIBUTOR_SIZE,
      read: (offset, width, secure = false) => file.read(this, offset, width, secure),
      write: (offset, width, value, secure = false) => {
        file.write(this, offset, width, value, secure);
        this.#settle();
      },
      reset: () => this.reset(),
    };
  }

  #redistributorDevice(log: AccessLog): MmioDevice {
    const name = "gic-redistributors";
    const file = new RegisterFile<Redistributor>(name, REDISTRIBUTOR_REGISTERS, REDISTRIBUTOR_SIZE, log);
    const select = (offset: number) => this.#redistributors[Math.floor(offset / REDISTRIBUTOR_SIZE)];
    return {
      name,
      size: REDISTRIBUTOR_SIZE * this.#redistributors.length,
      read: (offset, width, secure = false) => {
        const redistributor = select(offset);
        return redistributor === undefined
          ? 0
          : file.read(redistributor, offset % REDISTRIBUTOR_SIZE, width, secure);
      },
      write: (offset, width, value, secure = false) => {
        const redistributor = select(offset);
        if (redistributor === undefined) return;
        file.write(redistributor, offset % REDISTRIBUTOR_SIZE, width, value, secure);
        this.#settle();
      },
      state: () => this.#redistributors.flatMap(({ lpis }) => (lpis === undefined ? [] : [...lpis.state()])),
      reset: () => this.reset(),
    };
  }
}
