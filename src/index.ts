/**
 * The core, without Node.js: what `elvisor/core` exports. It asks of its host only what
 * base/host-globals.d.ts declares, and time by a {@link HostTime}.
 */
export { UserError } from "./base/errors.ts";
export { assemble } from "./isa/assembler.ts";
export { disassemble } from "./isa/disassembler.ts";
export type { BootFile } from "./machine/boot/boot-file.ts";
export type { Decompressors } from "./machine/boot/kernel-image.ts";
export type { HostTime } from "./machine/host-time.ts";
export { createVirtualMachine } from "./machine/virtual-machine.ts";
export type {
  ByteInput,
  ByteOutput,
  Drive,
  ExitReason,
  MachineStatistics,
  VirtioConsole,
  VirtioPort,
  VirtualMachine,
  VirtualMachineOptions,
} from "./machine/virtual-machine-interface.ts";
