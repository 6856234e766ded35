import type { Clock } from "../base/clock.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import { COUNTER_MASK, EVENT_COUNTERS } from "../isa/system-registers/performance-monitors.ts";
import { type ComputedRegisterName, systemRegister } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { HCR_TDZ, SCTLR_DZE } from "./control-bits.ts";
import type { Counters } from "./counters.ts";
import { DAIF, type ElementState, SLOT } from "./element-state.ts";
import { cacheSize, ZERO_BLOCK_ID } from "./identification.ts";
import type { PerformanceMonitor } from "./performance-monitor.ts";
import type { Privilege } from "./privilege.ts";
import { type TimerTrap, TRAPPED_TIMER_REGISTERS } from "./timer-trap.ts";
import type { Timer, TimerName } from "./timers.ts";

/** How a computed register is read and written. Absent writers ignore; values are masked by the row first. */
export interface ComputedRegister {
  readonly read?: () => bigint;
  readonly write?: (value: bigint) => void;
}

export interface ComputedParts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly clock: Clock;
  /** The counter below EL2. */
  readonly lowerClock: ScaledClock;
  readonly counters: Counters;
  readonly timers: Readonly<Record<TimerName, Timer>>;
  /** Performs accesses from below EL2 instead. */
  readonly timerTrap: TimerTrap | undefined;
  readonly monitor: PerformanceMonitor;
  /** MIDR_EL1 and MPIDR_EL1 proper. */
  readonly identity: { readonly midr: bigint; readonly mpidr: bigint };
  /** Address after reset. */
  readonly resetVector: () => bigint;
  /** Asynchronous exceptions pending now, as DAIF bits A, I and F. */
  readonly pending: () => number;
  /** The element's guest write buffer in guest memory, and what its MMU uses at present. */
  readonly mmu: Pick<Mmu, "ring" | "shadowRoot" | "shadowAsid">;
  /** A word for whoever listens to the debug communication channel; false when nobody does. */
  readonly transmit: (value: number) => boolean;
}

type NumberedName = `PMEVCNTR${number}_EL0` | `PMEVTYPER${number}_EL0`;

/** Every computed register but the numbered counters. */
export function computedRegisters(parts: ComputedParts): ReadonlyMap<string, ComputedRegister> {
  const fixed: Record<Exclude<ComputedRegisterName, NumberedName>, ComputedRegister> = {
    ...processState(parts),
    ...identification(parts),
    ...timerRegisters(parts),
    ...debugRegisters(parts),
    ...monitorRegisters(parts),
    ...writeBufferRegisters(parts),
    ...counterScaleRegisters(parts),
    CPTR_EL2: coprocessorTraps(parts),
    RVBAR_EL1: { read: parts.resetVector },
    RVBAR_EL2: { read: parts.resetVector },
    RVBAR_EL3: { read: parts.resetVector },
    ISR_EL1: { read: () => BigInt(parts.pending()) << 6n },
  };
  return new Map([...Object.entries(fixed), ...numberedCounters(parts)]);
}

function writeBufferRegisters({ mmu }: ComputedParts) {
  const { ring } = mmu;
  return {
    GWBBASE_EL2: {
      read: () => ring.base,
      write: (value) => {
        ring.base = value;
      },
    },
    GWBCTL_EL2: {
      read: () => ring.control,
      write: (value) => {
        ring.control = value;
      },
    },
    GWBPROD_EL2: { read: () => ring.produced },
    GWBCONS_EL2: {
      read: () => ring.consumed,
      write: (value) => {
        ring.consumed = value;
      },
    },
    SPTBASE_EL2: { read: () => BigInt(mmu.shadowRoot) },
    SASID_EL2: { read: () => BigInt(mmu.shadowAsid) },
  } satisfies Record<string, ComputedRegister>;
}

function counterScaleRegisters({ state, clock, lowerClock }: ComputedParts) {
  // The slots hold what tells one state from another: the pace, and the line's intercept.
  const note = () => {
    const passed = (BigInt(clock.ticks()) * lowerClock.factor) >> 48n;
    state.write(SLOT.CNTSCALE_EL2, lowerClock.factor);
    state.write(SLOT.CNTREBASE_EL2, BigInt.asUintN(64, BigInt(lowerClock.ticks()) - passed));
  };
  return {
    CNTSCALE_EL2: {
      read: () => lowerClock.factor,
      write: (value) => {
        lowerClock.factor = value;
        note();
      },
    },
    CNTREBASE_EL2: {
      read: () => BigInt(lowerClock.ticks()),
      write: (value) => {
        lowerClock.rebase(Number(value));
        note();
      },
    },
  } satisfies Record<string, ComputedRegister>;
}

/** Bits of CPTR_EL2 that exist without E2H and with it; the first form has RES1 bits. */
const CPTR_PLAIN = { writable: 0x8000_0400n, ones: 0x33ffn } as const;
const CPTR_HOST = { writable: 0x8030_0000n } as const;

function coprocessorTraps({ state, privilege }: ComputedParts): ComputedRegister {
  return {
    read: () => {
      const value = state.read(SLOT.CPTR_EL2);
      return privilege.e2h ? value & CPTR_HOST.writable : (value & CPTR_PLAIN.writable) | CPTR_PLAIN.ones;
    },
    write: (value) => {
      const { writable } = privilege.e2h ? CPTR_HOST : CPTR_PLAIN;
      const kept = state.read(SLOT.CPTR_EL2) & ~writable;
      state.write(SLOT.CPTR_EL2, kept | (value & writable));
    },
  };
}

function processState({ state }: ComputedParts) {
  return {
    SP_EL0: { read: () => state.stackPointer(0), write: (value) => state.setStackPointer(0, value) },
    SP_EL1: { read: () => state.stackPointer(1), write: (value) => state.setStackPointer(1, value) },
    SP_EL2: { read: () => state.stackPointer(2), write: (value) => state.setStackPointer(2, value) },
    SPSel: {
      read: () => BigInt(state.word(PE_LAYOUT.SPSEL)),
      write: (value) => state.selectLevel(state.el, Number(value & 1n)),
    },
    CurrentEL: { read: () => BigInt(state.el << 2) },
    PAN: {
      read: () => BigInt(state.word(PE_LAYOUT.PAN) << 22),
      write: (value) => state.setWord(PE_LAYOUT.PAN, Number((value >> 22n) & 1n)),
    },
    UAO: {
      read: () => BigInt(state.word(PE_LAYOUT.UAO) << 23),
      write: (value) => state.setWord(PE_LAYOUT.UAO, Number((value >> 23n) & 1n)),
    },
    SSBS: {
      read: () => BigInt(state.word(PE_LAYOUT.SSBS) << 12),
      write: (value) => state.setWord(PE_LAYOUT.SSBS, Number((value >> 12n) & 1n)),
    },
    NZCV: {
      read: () => BigInt((state.nzcv << 28) >>> 0),
      write: (value) => {
        state.nzcv = Number((value >> 28n) & 15n);
      },
    },
    DAIF: {
      read: () => BigInt(state.word(PE_LAYOUT.DAIF) << 6),
      write: (value) => state.setWord(PE_LAYOUT.DAIF, Number((value >> 6n) & BigInt(DAIF.ALL))),
    },
    FPCR: {
      read: () => BigInt(state.word(PE_LAYOUT.FPCR)),
      write: (value) => state.setWord(PE_LAYOUT.FPCR, Number(value)),
    },
    FPSR: {
      read: () => BigInt(state.word(PE_LAYOUT.FPSR)),
      write: (value) => state.setWord(PE_LAYOUT.FPSR, Number(value)),
    },
  } satisfies Record<string, ComputedRegister>;
}

function identification({ state, privilege, identity }: ComputedParts) {
  const seesVirtual = () => state.el === 1 && privilege.el2Enabled;
  return {
    MIDR_EL1: { read: () => (seesVirtual() ? state.read(SLOT.VPIDR_EL2) : identity.midr) },
    MPIDR_EL1: { read: () => (seesVirtual() ? state.read(SLOT.VMPIDR_EL2) : identity.mpidr) },
    CCSIDR_EL1: { read: () => cacheSize(state.read(SLOT.CSSELR_EL1)) },
    DCZID_EL0: { read: () => ZERO_BLOCK_ID | (zeroingProhibited(state, privilege) ? 16n : 0n) },
  } satisfies Record<string, ComputedRegister>;
}

/** DCZID_EL0.DZP: DC ZVA would trap. */
function zeroingProhibited(state: ElementState, privilege: Privilege): boolean {
  const { el } = state;
  if (el === 0 && state.bit(privilege.sctlr(0), SCTLR_DZE) === 0) return true;
  return el < 2 && (privilege.hcr & HCR_TDZ) !== 0n;
}

/** The registers of counters and timers, for software below EL2 by way of a hypervisor that traps them. */
function timerRegisters(parts: ComputedParts): ReturnType<typeof ownTimerRegisters> {
  const own = ownTimerRegisters(parts);
  const { state, timerTrap } = parts;
  if (timerTrap === undefined) return own;
  const trapped = TRAPPED_TIMER_REGISTERS.map((name) => {
    const register: ComputedRegister = own[name];
    const access: ComputedRegister = {
      read: () => (state.el < 2 ? timerTrap.read(name) : (register.read?.() ?? 0n)),
      write: (value) => (state.el < 2 ? timerTrap.write(name, value) : register.write?.(value)),
    };
    return [name, access] as const;
  });
  return { ...own, ...Object.fromEntries(trapped) };
}

function ownTimerRegisters({ counters, timers }: ComputedParts) {
  const value = (name: TimerName): ComputedRegister => ({
    read: () => timers[name].readValue(),
    write: (written) => timers[name].writeValue(written),
  });
  const control = (name: TimerName): ComputedRegister => ({
    read: () => timers[name].readControl(),
    write: (written) => timers[name].writeControl(written),
  });
  const compare = (name: TimerName): ComputedRegister => ({
    read: () => timers[name].readCompare(),
    write: (written) => timers[name].writeCompare(written),
  });
  return {
    CNTPCT_EL0: { read: () => counters.count(counters.physical) },
    CNTVCT_EL0: { read: () => counters.count(counters.virtual) },
    CNTP_TVAL_EL0: value("physical"),
    CNTP_CTL_EL0: control("physical"),
    CNTP_CVAL_EL0: compare("physical"),
    CNTV_TVAL_EL0: value("virtual"),
    CNTV_CTL_EL0: control("virtual"),
    CNTV_CVAL_EL0: compare("virtual"),
    CNTHP_TVAL_EL2: value("hypervisor"),
    CNTHP_CTL_EL2: control("hypervisor"),
    CNTHP_CVAL_EL2: compare("hypervisor"),
    CNTHV_TVAL_EL2: value("hypervisorVirtual"),
    CNTHV_CTL_EL2: control("hypervisorVirtual"),
    CNTHV_CVAL_EL2: compare("hypervisorVirtual"),
    CNTPS_TVAL_EL1: value("secure"),
    CNTPS_CTL_EL1: control("secure"),
    CNTPS_CVAL_EL1: compare("secure"),
  } satisfies Record<string, ComputedRegister>;
}

/** MDSCR_EL1: bits for software, and those that only a debugger's save and restore code may change. */
const MDSCR_ALWAYS = 0xb001n;
const MDSCR_LOCKED = 0x6c20_4040n;
const TX_FULL = 1n << 29n;
const RX_FULL = 1n << 30n;
const LOCKED = 2n;
/** OSLSR_EL1.OSLM: the OS lock is implemented. */
const LOCK_IMPLEMENTED = 8n;
const CLAIM_TAGS = 0xffn;

function debugRegisters({ state, privilege, transmit }: ComputedParts) {
  const isLocked = () => (state.read(SLOT.OSLSR_EL1) & LOCKED) !== 0n;
  const setStatus = (clear: bigint, set: bigint) =>
    state.write(SLOT.MDSCR_EL1, (state.read(SLOT.MDSCR_EL1) & ~clear) | set);
  const send = (value: bigint) => {
    state.write(SLOT.OSDTRTX_EL1, value);
    if (!transmit(Number(value))) setStatus(0n, TX_FULL);
  };
  const receive = () => {
    setStatus(RX_FULL, 0n);
    return state.read(SLOT.OSDTRRX_EL1);
  };
  return {
    MDSCR_EL1: {
      read: () => state.read(SLOT.MDSCR_EL1),
      write: (value) => {
        const mask = isLocked() ? MDSCR_ALWAYS | MDSCR_LOCKED : MDSCR_ALWAYS;
        setStatus(mask, value & mask);
      },
    },
    OSLAR_EL1: { write: (value) => state.write(SLOT.OSLSR_EL1, (value & 1n) << 1n) },
    OSLSR_EL1: { read: () => state.read(SLOT.OSLSR_EL1) | LOCK_IMPLEMENTED },
    OSDTRRX_EL1: {
      read: () => state.read(SLOT.OSDTRRX_EL1),
      write: (value) => state.write(SLOT.OSDTRRX_EL1, value),
    },
    OSDTRTX_EL1: {
      read: () => state.read(SLOT.OSDTRTX_EL1),
      write: (value) => state.write(SLOT.OSDTRTX_EL1, value),
    },
    MDCCSR_EL0: { read: () => state.read(SLOT.MDSCR_EL1) & (TX_FULL | RX_FULL) },
    DBGDTRRX_EL0: { read: receive, write: send },
    DBGDTR_EL0: {
      read: () => (state.read(SLOT.OSDTRTX_EL1) << 32n) | receive(),
      write: (value) => {
        state.write(SLOT.OSDTRRX_EL1, value >> 32n);
        send(value & 0xffff_ffffn);
      },
    },
    DBGCLAIMSET_EL1: {
      read: () => CLAIM_TAGS,
      write: (value) => state.write(SLOT.DBGCLAIMSET_EL1, state.read(SLOT.DBGCLAIMSET_EL1) | value),
    },
    DBGCLAIMCLR_EL1: {
      read: () => state.read(SLOT.DBGCLAIMSET_EL1),
      write: (value) => state.write(SLOT.DBGCLAIMSET_EL1, state.read(SLOT.DBGCLAIMSET_EL1) & ~value),
    },
    // External debug is implemented and disabled, in each security state there is.
    DBGAUTHSTATUS_EL1: { read: () => (privilege.hasEl3 ? 0xaan : 0x0an) },
  } satisfies Record<string, ComputedRegister>;
}

/** A set of counters seen through one name that sets and one that clears. Both keep it in `slot`. */
function setAndClear(parts: ComputedParts, slot: number): { set: ComputedRegister; clear: ComputedRegister } {
  const { state, monitor } = parts;
  const read = () => {
    monitor.synchronize();
    return state.read(slot) & monitor.accessible();
  };
  return {
    set: { read, write: (value) => state.write(slot, state.read(slot) | (value & monitor.accessible())) },
    clear: { read, write: (value) => state.write(slot, state.read(slot) & ~(value & monitor.accessible())) },
  };
}

function monitorRegisters(parts: ComputedParts) {
  const { state, monitor } = parts;
  const enabled = setAndClear(parts, SLOT.PMCNTENSET_EL0);
  const overflowed = setAndClear(parts, SLOT.PMOVSCLR_EL0);
  const interrupting = setAndClear(parts, SLOT.PMINTENSET_EL1);
  const plain = (slot: number): ComputedRegister => ({
    read: () => {
      monitor.synchronize();
      return state.read(slot);
    },
    write: (value) => state.write(slot, value),
  });
  const selected = (kind: "counter" | "type"): ComputedRegister => ({
    read: () => {
      monitor.synchronize();
      const slot = monitor.selected(kind);
      return slot === undefined ? 0n : state.read(slot);
    },
    write: (value) => {
      const slot = monitor.selected(kind);
      if (slot === undefined) return;
      const isFilter = slot === SLOT.PMCCFILTR_EL0;
      const { writable } = systemRegister(isFilter ? "PMCCFILTR_EL0" : "PMEVTYPER0_EL0");
      state.write(slot, kind === "counter" ? value & 0xffff_ffffn : value & writable);
    },
  });
  return {
    PMCR_EL0: { read: () => monitor.readControl(), write: (value) => monitor.writeControl(value) },
    PMCNTENSET_EL0: enabled.set,
    PMCNTENCLR_EL0: enabled.clear,
    PMOVSSET_EL0: overflowed.set,
    PMOVSCLR_EL0: overflowed.clear,
    PMINTENSET_EL1: interrupting.set,
    PMINTENCLR_EL1: interrupting.clear,
    PMSWINC_EL0: { write: (value) => monitor.softwareIncrement(value & COUNTER_MASK) },
    PMCEID0_EL0: { read: () => monitor.commonEvents(0) },
    PMCEID1_EL0: { read: () => monitor.commonEvents(1) },
    PMCCNTR_EL0: plain(SLOT.PMCCNTR_EL0),
    PMCCFILTR_EL0: plain(SLOT.PMCCFILTR_EL0),
    PMXEVTYPER_EL0: selected("type"),
    PMXEVCNTR_EL0: selected("counter"),
  } satisfies Record<string, ComputedRegister>;
}

function numberedCounters({ state, monitor }: ComputedParts): [string, ComputedRegister][] {
  return Array.from({ length: EVENT_COUNTERS }, (_, n) => n).flatMap((n) =>
    ([`PMEVCNTR${n}_EL0`, `PMEVTYPER${n}_EL0`] as const).map((name): [string, ComputedRegister] => {
      const slot = SLOT[name]!;
      const reachable = () => ((monitor.accessible() >> BigInt(n)) & 1n) === 1n;
      return [
        name,
        {
          read: () => {
            monitor.synchronize();
            return reachable() ? state.read(slot) : 0n;
          },
          write: (value) => {
            if (reachable()) state.write(slot, value);
          },
        },
      ];
    }),
  );
}
