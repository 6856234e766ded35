import type { VirtioDevice } from "../../src/devices/virtio/device.ts";
import type { BootPlan } from "../../src/machine/boot/boot-plan.ts";
import { startState } from "../../src/machine/boot/start-state.ts";
import { InstructionTime } from "../../src/machine/instruction-time.ts";
import { type GuestTimeChoice, Machine, type MachineParts, machineBytes } from "../../src/machine/machine.ts";
import { MachineClock, type TimeSource } from "../../src/machine/machine-clock.ts";
import { MachineMemory } from "../../src/memory/machine-memory.ts";
import { virtBoard } from "../../src/platform/virt-board.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";

const MEMORY_BYTES = 16 * 2 ** 20;

interface SmallMachineOptions {
  readonly memory: Uint8Array;
  readonly cpus: number;
  readonly translationThreshold: number | undefined;
  /** Only EL0 and EL1. */
  readonly plain?: boolean;
  readonly time?: GuestTimeChoice;
  /** Instead of time that follows instructions. */
  readonly timeSource?: TimeSource;
  readonly inlinesCounters?: boolean;
  /** Devices on virtio-mmio, and on PCI. */
  readonly virtio?: { readonly mmio: readonly VirtioDevice[]; readonly pci: readonly VirtioDevice[] };
}

/** A small deterministic machine with every level, whose memory the caller fills before it starts. */
export function smallMachine(options: SmallMachineOptions): Machine {
  return started(partsOf(options), options.virtio);
}

/** The same machines in one linear memory. */
export function smallMachinesTogether(options: readonly SmallMachineOptions[]): Machine[] {
  const parts = options.map(partsOf);
  const memory = new MachineMemory(parts.reduce((sum, each) => sum + machineBytes(each), 0));
  return parts.map((each) => started({ ...each, memory }));
}

function started(
  parts: MachineParts,
  virtio: SmallMachineOptions["virtio"] = { mmio: [], pci: [] },
): Machine {
  const machine = new Machine(parts);
  machine.board.connectVirtio(virtio.mmio, virtio.pci);
  machine.start();
  return machine;
}

function partsOf(options: SmallMachineOptions): MachineParts {
  const { memory, cpus, translationThreshold, plain = false, time, timeSource, inlinesCounters } = options;
  const levels = { secure: !plain, virtualization: !plain };
  const board = { memoryBytes: MEMORY_BYTES, cpus, ...levels };
  const plan: BootPlan = {
    platform: virtBoard({ ...board, psciConduit: "none" }),
    deviceTree: new Uint8Array(0),
    loads: [{ what: "program", address: VIRT_MAP.ram.base, bytes: memory, size: memory.length }],
    flash: undefined,
    variables: undefined,
    firmwareFiles: [],
    firmwareConfiguration: undefined,
    start: startState(levels, plain ? 1 : 3, VIRT_MAP.ram.base),
    secondaries: "start",
    psciConduit: "none",
    interruptsNonSecure: false,
  };
  const instructionTime = timeSource === undefined ? new InstructionTime(0) : undefined;
  const source = timeSource ?? instructionTime;
  if (source === undefined) throw new Error("no source of time");
  return {
    ...board,
    plan,
    clock: new MachineClock(source),
    instructionTime,
    serial: { write: () => {} },
    translationThreshold,
    time,
    ...(inlinesCounters !== undefined && { inlinesCounters }),
  };
}
