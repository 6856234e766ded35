import type { IccRegister, IchRegister, InterruptContext } from "../../base/interrupt-controller.ts";
import { GROUP0, GROUP1_NON_SECURE, GROUP1_SECURE } from "./constants.ts";
import type { CpuInterface } from "./cpu-interface.ts";
import { bankedGroup1 } from "./physical-interface.ts";

/** How one system register is read and written; a missing direction is UNDEFINED. */
export interface SystemRegisterRow {
  readonly read?: (cpu: CpuInterface, context: InterruptContext) => number | bigint;
  readonly write?: (cpu: CpuInterface, value: bigint, context: InterruptContext) => void;
}

/** A register of the physical interface, with its virtual counterpart (ICV_*) where there is one. */
export interface IccRow extends SystemRegisterRow {
  /** Without this feature the register does not exist. */
  readonly onlyWith?: "security" | "virtualization";
  /** Reached instead at EL1 under HCR_EL2.IMO, FMO, or either. */
  readonly virtual?: SystemRegisterRow & { readonly when: "imo" | "fmo" | "either" };
}

/** The low word, as an unsigned number. */
function word(value: bigint): number {
  return Number(BigInt.asUintN(32, value));
}

/** INTIDs that software writes have 24 bits. */
function intidOf(value: bigint): number {
  return Number(BigInt.asUintN(24, value));
}

/** ICC_SRE_ELx: system registers only, no bypass, and lower levels may use theirs. */
const SRE_EL1 = 0x7;
const SRE_EL2_EL3 = 0xf;
const ignore = () => {};

/** Active-priority registers beyond the first exist only with more than five preemption bits. */
const ABSENT = {} as const;

/** ICC_* system registers (IHI 0069, 12.2) and, where virtualised, ICV_* (12.3). */
export const ICC_ROWS: Readonly<Record<IccRegister, IccRow>> = {
  ICC_PMR_EL1: {
    read: (cpu, context) => cpu.physical.readPriorityMask(context),
    write: (cpu, value, context) => cpu.physical.writePriorityMask(word(value), context),
    virtual: {
      when: "either",
      read: (cpu) => cpu.virtual.priorityMask,
      write: (cpu, value) => {
        cpu.virtual.priorityMask = word(value);
      },
    },
  },
  ICC_IAR0_EL1: {
    read: (cpu, context) => cpu.physical.acknowledge0(context),
    virtual: { when: "fmo", read: (cpu) => cpu.virtual.acknowledge(0) },
  },
  ICC_EOIR0_EL1: {
    write: (cpu, value, context) => cpu.physical.end(true, intidOf(value), context),
    virtual: { when: "fmo", write: (cpu, value) => cpu.virtual.end(0, intidOf(value)) },
  },
  ICC_HPPIR0_EL1: {
    read: (cpu, context) => cpu.physical.highestPending0(context),
    virtual: { when: "fmo", read: (cpu) => cpu.virtual.highestPending(0) },
  },
  ICC_BPR0_EL1: {
    read: (cpu) => cpu.physical.readBinaryPoint0(),
    write: (cpu, value) => cpu.physical.writeBinaryPoint0(word(value)),
    virtual: {
      when: "fmo",
      read: (cpu) => cpu.virtual.readBinaryPoint(0),
      write: (cpu, value) => cpu.virtual.writeBinaryPoint(0, word(value)),
    },
  },
  ICC_AP0R0_EL1: {
    read: (cpu) => cpu.physical.readActivePriorities(GROUP0),
    write: (cpu, value) => cpu.physical.writeActivePriorities(GROUP0, word(value)),
    virtual: {
      when: "fmo",
      read: (cpu) => cpu.virtual.activePriorities[0]!,
      write: (cpu, value) => {
        cpu.virtual.activePriorities[0] = word(value);
      },
    },
  },
  ICC_AP0R1_EL1: ABSENT,
  ICC_AP0R2_EL1: ABSENT,
  ICC_AP0R3_EL1: ABSENT,
  ICC_AP1R0_EL1: {
    read: (cpu, context) => cpu.physical.readActivePriorities(bankedGroup1(context)),
    write: (cpu, value, context) => cpu.physical.writeActivePriorities(bankedGroup1(context), word(value)),
    virtual: {
      when: "imo",
      read: (cpu) => cpu.virtual.activePriorities[1]!,
      write: (cpu, value) => {
        cpu.virtual.activePriorities[1] = word(value);
      },
    },
  },
  ICC_AP1R1_EL1: ABSENT,
  ICC_AP1R2_EL1: ABSENT,
  ICC_AP1R3_EL1: ABSENT,
  ICC_DIR_EL1: {
    write: (cpu, value, context) => cpu.physical.deactivate(intidOf(value), context),
    virtual: { when: "either", write: (cpu, value) => cpu.virtual.deactivate(intidOf(value)) },
  },
  ICC_RPR_EL1: {
    read: (cpu, context) => cpu.physical.readRunningPriority(context),
    virtual: { when: "either", read: (cpu) => cpu.virtual.runningPriority },
  },
  ICC_SGI1R_EL1: { write: (cpu, value, context) => cpu.physical.generateSgi("SGI1", value, context) },
  ICC_ASGI1R_EL1: { write: (cpu, value, context) => cpu.physical.generateSgi("ASGI1", value, context) },
  ICC_SGI0R_EL1: { write: (cpu, value, context) => cpu.physical.generateSgi("SGI0", value, context) },
  ICC_IAR1_EL1: {
    read: (cpu, context) => cpu.physical.acknowledge1(context),
    virtual: { when: "imo", read: (cpu) => cpu.virtual.acknowledge(1) },
  },
  ICC_EOIR1_EL1: {
    write: (cpu, value, context) => cpu.physical.end(false, intidOf(value), context),
    virtual: { when: "imo", write: (cpu, value) => cpu.virtual.end(1, intidOf(value)) },
  },
  ICC_HPPIR1_EL1: {
    read: (cpu, context) => cpu.physical.highestPending1(context),
    virtual: { when: "imo", read: (cpu) => cpu.virtual.highestPending(1) },
  },
  ICC_BPR1_EL1: {
    read: (cpu, context) => cpu.physical.readBinaryPoint1(context),
    write: (cpu, value, context) => cpu.physical.writeBinaryPoint1(word(value), context),
    virtual: {
      when: "imo",
      read: (cpu) => cpu.virtual.readBinaryPoint(1),
      write: (cpu, value) => cpu.virtual.writeBinaryPoint(1, word(value)),
    },
  },
  ICC_CTLR_EL1: {
    read: (cpu, context) => cpu.physical.readControl(context),
    write: (cpu, value, context) => cpu.physical.writeControl(word(value), context),
    virtual: {
      when: "either",
      read: (cpu) => cpu.virtual.guestControl,
      write: (cpu, value) => {
        cpu.virtual.guestControl = word(value);
      },
    },
  },
  ICC_SRE_EL1: { read: () => SRE_EL1, write: ignore },
  ICC_IGRPEN0_EL1: {
    read: (cpu) => cpu.physical.readEnable(GROUP0),
    write: (cpu, value) => cpu.physical.writeEnable(GROUP0, word(value)),
    virtual: {
      when: "fmo",
      read: (cpu) => cpu.virtual.readGroupEnable(0),
      write: (cpu, value) => cpu.virtual.writeGroupEnable(0, word(value)),
    },
  },
  ICC_IGRPEN1_EL1: {
    read: (cpu, context) => cpu.physical.readEnable(bankedGroup1(context)),
    write: (cpu, value, context) => cpu.physical.writeEnable(bankedGroup1(context), word(value)),
    virtual: {
      when: "imo",
      read: (cpu) => cpu.virtual.readGroupEnable(1),
      write: (cpu, value) => cpu.virtual.writeGroupEnable(1, word(value)),
    },
  },
  ICC_SRE_EL2: { onlyWith: "virtualization", read: () => SRE_EL2_EL3, write: ignore },
  ICC_CTLR_EL3: {
    onlyWith: "security",
    read: (cpu) => cpu.physical.readControlEl3(),
    write: (cpu, value) => cpu.physical.writeControlEl3(word(value)),
  },
  ICC_SRE_EL3: { onlyWith: "security", read: () => SRE_EL2_EL3, write: ignore },
  ICC_IGRPEN1_EL3: {
    onlyWith: "security",
    read: (cpu) => cpu.physical.readEnable(GROUP1_NON_SECURE) | (cpu.physical.readEnable(GROUP1_SECURE) << 1),
    write: (cpu, value) => {
      cpu.physical.writeEnable(GROUP1_NON_SECURE, word(value));
      cpu.physical.writeEnable(GROUP1_SECURE, word(value) >>> 1);
    },
  },
};

function listRegister(index: number): SystemRegisterRow {
  return {
    read: ({ virtual }) =>
      (BigInt(virtual.listHigh[index]! >>> 0) << 32n) | BigInt(virtual.listLow[index]! >>> 0),
    write: ({ virtual }, value) => {
      virtual.listLow[index] = word(value);
      virtual.writeListHigh(index, word(value >> 32n));
    },
  };
}

function activePriority(group: 0 | 1): SystemRegisterRow {
  return {
    read: ({ virtual }) => virtual.activePriorities[group]!,
    write: ({ virtual }, value) => {
      virtual.activePriorities[group] = word(value);
    },
  };
}

/** ICH_* system registers (IHI 0069, 12.4); none exists without EL2. */
export const ICH_ROWS: Readonly<Record<IchRegister, SystemRegisterRow>> = {
  ICH_AP0R0_EL2: activePriority(0),
  ICH_AP0R1_EL2: ABSENT,
  ICH_AP0R2_EL2: ABSENT,
  ICH_AP0R3_EL2: ABSENT,
  ICH_AP1R0_EL2: activePriority(1),
  ICH_AP1R1_EL2: ABSENT,
  ICH_AP1R2_EL2: ABSENT,
  ICH_AP1R3_EL2: ABSENT,
  ICH_HCR_EL2: {
    read: ({ virtual }) => virtual.control,
    write: ({ virtual }, value) => virtual.writeControl(word(value)),
  },
  ICH_VTR_EL2: { read: ({ virtual }) => virtual.type },
  ICH_MISR_EL2: { read: ({ virtual }) => virtual.maintenance },
  ICH_EISR_EL2: { read: ({ virtual }) => virtual.ended },
  ICH_ELRSR_EL2: { read: ({ virtual }) => virtual.empty },
  ICH_VMCR_EL2: {
    read: ({ virtual }) => virtual.vmcr,
    write: ({ virtual }, value) => {
      virtual.vmcr = word(value);
    },
  },
  ICH_LR0_EL2: listRegister(0),
  ICH_LR1_EL2: listRegister(1),
  ICH_LR2_EL2: listRegister(2),
  ICH_LR3_EL2: listRegister(3),
  ICH_LR4_EL2: ABSENT,
  ICH_LR5_EL2: ABSENT,
  ICH_LR6_EL2: ABSENT,
  ICH_LR7_EL2: ABSENT,
  ICH_LR8_EL2: ABSENT,
  ICH_LR9_EL2: ABSENT,
  ICH_LR10_EL2: ABSENT,
  ICH_LR11_EL2: ABSENT,
  ICH_LR12_EL2: ABSENT,
  ICH_LR13_EL2: ABSENT,
  ICH_LR14_EL2: ABSENT,
  ICH_LR15_EL2: ABSENT,
};
