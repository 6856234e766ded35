import { createHash } from "node:crypto";
import { prepareBoot } from "../../src/machine/boot/prepare-boot.ts";
import { InstructionTime } from "../../src/machine/instruction-time.ts";
import { Machine, type MachineParts } from "../../src/machine/machine.ts";
import { MachineClock } from "../../src/machine/machine-clock.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import { KERNEL_DECOMPRESSORS } from "../../src/node/kernel-decompressors.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { type GuestKernel, guestFiles } from "./guest-images.ts";

const MEMORY_BYTES = 256 * 2 ** 20;
const DATE = 1_704_067_200;

/** A deterministic machine that is stepped by hand. */
export interface SteppedMachine {
  readonly machine: Machine;
  /** One turn for each element. */
  step(): void;
  ticks(): number;
  output(): string;
}

/**
 * A Debian kernel on a deterministic machine; with `threshold`, hot code is translated after so many jumps, by
 * `regionCompiler`, and kept by `codeStore`, where given.
 */
export async function steppedMachine(
  kernel: GuestKernel,
  cpus: number,
  threshold: number | undefined,
  {
    memoryManagement,
    regionCompiler,
    codeStore,
  }: Pick<MachineParts, "memoryManagement" | "regionCompiler" | "codeStore"> = {},
): Promise<SteppedMachine> {
  const options = { memoryBytes: MEMORY_BYTES, cpus, secure: false, virtualization: false };
  const plan = await prepareBoot({
    ...options,
    ...(await guestFiles(kernel)),
    commandLine: "console=ttyAMA0",
    deterministic: true,
    decompressors: KERNEL_DECOMPRESSORS,
  });
  const instructionTime = new InstructionTime(DATE);
  const clock = new MachineClock(instructionTime);
  let output = "";
  const machine = new Machine({
    ...options,
    ...{ plan, clock, instructionTime, translationThreshold: threshold },
    ...{ memoryManagement, regionCompiler, codeStore },
    serial: {
      write: (bytes) => {
        output += Buffer.from(bytes).toString("latin1");
      },
    },
  });
  machine.board.connectVirtio([]);
  machine.start();
  return {
    machine,
    step: () => void machine.loop.burst(() => true),
    ticks: () => clock.ticks(),
    output: () => output,
  };
}

/** Everything that makes two elements behave alike, as a hash: registers, flags, PSTATE, system registers. */
export function elementsHash({ machine }: SteppedMachine): string {
  const hash = createHash("sha256");
  for (const { base } of machine.elements) {
    hash.update(machine.memory.bytes.slice(base, base + PE_LAYOUT.SINK));
    hash.update(machine.memory.bytes.slice(base + PE_LAYOUT.PC, base + PE_LAYOUT.ATTENTION));
    hash.update(machine.memory.bytes.slice(base + PE_LAYOUT.SP_BANK, base + PE_LAYOUT.GWB_RING));
  }
  return hash.digest("hex");
}

/** A hash of all RAM. */
export function memoryHash({ machine }: SteppedMachine): string {
  const hash = createHash("sha256");
  const piece = new Uint8Array(2 ** 20);
  for (let offset = 0; offset < MEMORY_BYTES; offset += piece.length) {
    machine.guest.readInto(VIRT_MAP.ram.base + offset, piece);
    hash.update(piece);
  }
  return hash.digest("hex");
}
