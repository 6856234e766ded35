import { UserError } from "../base/errors.ts";
import { numberField } from "../base/state-fields.ts";
import { VirtioBalloon } from "../devices/virtio/balloon.ts";
import { VirtioBlock } from "../devices/virtio/block.ts";
import { VirtioConsole as ConsoleDevice } from "../devices/virtio/console.ts";
import { VirtioEntropy } from "../devices/virtio/entropy.ts";
import { VirtioFileSystem } from "../devices/virtio/file-system.ts";
import { VirtioNet } from "../devices/virtio/net.ts";
import { VirtioSocket } from "../devices/virtio/socket/socket-device.ts";
import { formatBytes } from "../platform/units.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";
import type { StatePart } from "../state/part-codec.ts";
import type { VirtBoard } from "./board.ts";
import type { GuestNetwork } from "./guest-network.ts";
import type { Machine } from "./machine.ts";
import { OrderedDrives } from "./ordered-drives.ts";
import type { OutputQueue } from "./output-queue.ts";
import { VirtioBuses } from "./virtio-buses.ts";
import type {
  ByteInput,
  GpioLines,
  GuestSockets,
  MemoryBalloon,
  SocketConnection,
  VirtioConsole,
  VirtioPort,
  VirtualMachineOptions,
} from "./virtual-machine-interface.ts";

/** Linux uses one request queue, and one pair of a network card, for each processor, as far as there are so many. */
const MOST_DISK_QUEUES = 4;
const MOST_NETWORK_PAIRS = 4;

/** Lines of the PL061. */
const GPIO_LINES = 8;

/** The guest's address on its socket device; every machine's guest is alone there. */
const GUEST_CID = 3;

/** What a host connects to a machine: serial port, consoles, entropy, disks, directories, network. Slots of a bus are filled in this order. */
export class Peripherals {
  readonly serial: ByteInput;
  readonly console: VirtioConsole | undefined;
  readonly ports: ReadonlyMap<string, VirtioPort>;
  readonly sockets: GuestSockets | undefined;
  /** For a deterministic machine, which has to wait for its drives. */
  readonly orderedDrives: OrderedDrives | undefined;
  readonly balloon: MemoryBalloon | undefined;
  readonly gpio: GpioLines;
  /** Of a deterministic machine's random numbers. */
  readonly #seed = { value: 0x9e37_79b9 };
  readonly #wake: () => void;
  readonly #virtio: VirtioBuses;

  /** `wake` is called when something arrives for a machine that may sleep. */
  constructor(
    machine: Machine,
    options: VirtualMachineOptions,
    output: OutputQueue,
    wake: () => void,
    network?: GuestNetwork,
  ) {
    this.#wake = wake;
    this.#virtio = new VirtioBuses(options.virtioBus);
    this.serial = { send: (bytes) => this.#send(() => machine.board.serial.receive(bytes)) };
    this.gpio = this.#connectLines(machine.board);
    this.console = this.#connectConsole(options, output);
    this.ports = this.#connectPorts(options, output);
    this.sockets = options.sockets === true ? this.#connectSockets() : undefined;
    this.#virtio.add(new VirtioEntropy(entropySource(options, this.#seed)));
    this.orderedDrives = options.deterministic === true ? new OrderedDrives() : undefined;
    (options.drives ?? []).forEach((drive, index) => {
      const store = this.orderedDrives?.inOrder(drive) ?? drive;
      const queues = Math.min(options.cpus, MOST_DISK_QUEUES);
      this.#virtio.add(
        new VirtioBlock(store, { serial: drive.serial ?? `drive${index}`, queues }),
        drive.bus,
      );
    });
    this.#connectShares(options);
    if (network !== undefined) {
      const pairs = Math.min(options.cpus, MOST_NETWORK_PAIRS);
      this.#virtio.add(new VirtioNet({ ...network, pairs }));
    }
    this.balloon = this.#connectBalloon(options);
    this.#virtio.connect(machine.board);
  }

  /** Requests to the host are under way. */
  get busy(): boolean {
    return this.#virtio.devices.some(({ busy }) => busy === true);
  }

  /** Why the state of these devices cannot be kept just now. */
  cannotBeKept(): string | undefined {
    return this.#virtio.devices
      .map((device) => device.cannotBeKept?.())
      .find((reason) => reason !== undefined);
  }

  /** What is kept of it beside its devices. */
  get stateParts(): readonly StatePart[] {
    const seed = numberField(
      "seed",
      0xffff_ffff,
      () => this.#seed.value >>> 0,
      (value) => {
        this.#seed.value = value | 0;
      },
    );
    return [{ name: "random numbers", stateFields: () => [seed] }];
  }

  #connectLines(board: VirtBoard): GpioLines {
    const wake = this.#wake;
    return {
      get levels() {
        return board.gpioLevels;
      },
      set(line, level) {
        if (!Number.isInteger(line) || line < 0 || line >= GPIO_LINES)
          throw new UserError(`The machine has no GPIO line ${line}; give one from 0 to ${GPIO_LINES - 1}.`);
        board.setGpioLine(line, level);
        wake();
      },
    };
  }

  #connectShares({ deterministic, shares = [] }: VirtualMachineOptions): void {
    if (deterministic === true && shares.length > 0) {
      throw new UserError(
        "A deterministic machine cannot share directories, whose contents are not its own; leave one of both out.",
        { exitStatus: 2 },
      );
    }
    for (const { tag, server } of shares) this.#virtio.add(new VirtioFileSystem(tag, server));
  }

  #connectBalloon({ balloon: wanted, memoryBytes }: VirtualMachineOptions): MemoryBalloon | undefined {
    if (wanted === undefined) return undefined;
    if (wanted.bytes >= memoryBytes) {
      throw new UserError(
        `A balloon of ${formatBytes(wanted.bytes)} does not fit into ${formatBytes(memoryBytes)} of memory; give less with --balloon.`,
        { exitStatus: 2 },
      );
    }
    const device = new VirtioBalloon({ base: VIRT_MAP.ram.base, size: memoryBytes });
    device.setTarget(wanted.bytes);
    this.#virtio.add(device);
    const setTarget = (bytes: number): void => {
      device.setTarget(bytes);
      this.#wake();
    };
    return {
      get target() {
        return device.target;
      },
      get size() {
        return device.size;
      },
      setTarget,
      statistics: () => {
        const answer = device.statistics();
        this.#wake();
        return answer;
      },
    };
  }

  #send(give: () => Promise<void>): Promise<void> {
    const taken = give();
    this.#wake();
    return taken;
  }

  #connectConsole(
    { console: wanted }: VirtualMachineOptions,
    output: OutputQueue,
  ): VirtioConsole | undefined {
    if (wanted === undefined) return undefined;
    // Linux learns a console's size at the start only from the control queue, which needs several ports.
    const device = new ConsoleDevice({
      multiport: true,
      ports: [{ console: true, output: output.sink(wanted.output) }],
      size: wanted,
    });
    this.#virtio.add(device);
    return {
      send: (bytes) => this.#send(() => device.receive(bytes)),
      resize: (columns, rows) => {
        device.resize(columns, rows);
        this.#wake();
      },
    };
  }

  #connectSockets(): GuestSockets {
    const device = new VirtioSocket(GUEST_CID);
    this.#virtio.add(device);
    const wake = this.#wake;
    const waking = (connection: SocketConnection): SocketConnection => ({
      send: (bytes) => this.#send(() => connection.send(bytes)),
      end() {
        connection.end();
        wake();
      },
      close() {
        connection.close();
        wake();
      },
    });
    return {
      connect: (port, handler) => {
        const connection = device.connect(port, handler);
        wake();
        return waking(connection);
      },
      listen: (port, listener) => device.listen(port, (connection) => listener(waking(connection))),
    };
  }

  #connectPorts({ ports = [] }: VirtualMachineOptions, output: OutputQueue): ReadonlyMap<string, VirtioPort> {
    if (ports.length === 0) return new Map();
    const device = new ConsoleDevice({
      multiport: true,
      ports: ports.map((port) => ({ console: false, name: port.name, output: output.sink(port.output) })),
    });
    this.#virtio.add(device);
    return new Map(
      ports.map(({ name }, index) => [
        name,
        {
          send: (bytes: Uint8Array) => this.#send(() => device.receive(bytes, index)),
          end: () => {
            device.end(index);
            this.#wake();
          },
        },
      ]),
    );
  }
}

/** The host's randomness; a deterministic machine has a generator with a fixed seed (xorshift32). */
function entropySource(
  { deterministic, randomBytes }: VirtualMachineOptions,
  seed: { value: number },
): (length: number) => Uint8Array {
  if (deterministic !== true && randomBytes !== undefined) return randomBytes;
  return (length) =>
    Uint8Array.from({ length }, () => {
      let state = seed.value;
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      seed.value = state;
      return state & 0xff;
    });
}
