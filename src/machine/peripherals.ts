import type { Machine } from "./machine.ts";
import type { OutputQueue } from "./output-queue.ts";
import type {
  ByteInput,
  VirtioConsole,
  VirtioPort,
  VirtualMachineOptions,
} from "./virtual-machine-interface.ts";

/** What a host connects to a machine: serial port, consoles, disks. */
export class Peripherals {
  readonly serial: ByteInput;
  readonly console: VirtioConsole | undefined;
  readonly ports: ReadonlyMap<string, VirtioPort>;

  /** `wake` is called when something arrives for a machine that may sleep. */
  constructor(machine: Machine, _options: VirtualMachineOptions, _output: OutputQueue, wake: () => void) {
    this.serial = {
      send: (bytes) => {
        const taken = machine.board.serial.receive(bytes);
        wake();
        return taken;
      },
    };
    this.console = undefined;
    this.ports = new Map();
  }
}
