import { assert } from "../../base/errors.ts";
import { bytesField, flagField, nestedFields, type StateField } from "../../base/state-fields.ts";
import type { ByteSink } from "../byte-sink.ts";
import { InputQueue } from "../input-queue.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { featureMask, VIRTIO_DEVICE } from "./protocol.ts";

/** Feature bits (virtio 1.2, section 5.3.3). */
const FEATURE = { SIZE: 0, MULTIPORT: 1, EMERG_WRITE: 2 } as const;

/** Control messages (section 5.3.6.2): which port, what event, a value. */
const EVENT = {
  DEVICE_READY: 0,
  DEVICE_ADD: 1,
  PORT_READY: 3,
  CONSOLE_PORT: 4,
  RESIZE: 5,
  PORT_OPEN: 6,
  PORT_NAME: 7,
} as const;
const CONTROL_SIZE = 8;

/** Offset of emerg_wr in the configuration space: cols, rows, max_nr_ports come before. */
const EMERGENCY_WRITE = 8;
const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;
/** Bytes copied at a time. */
const PIECE = 65_536;
/** Most bytes of one transmit buffer; Linux sends 32 KiB at most. */
const MOST_OUTPUT = 1 << 20;
/** Control messages that wait for the driver; a driver that takes none loses the oldest. */
const MOST_WAITING = 256;
/** Bytes of one of them, with a port's name. */
const LARGEST_CONTROL = 1024;

export interface ConsolePortOptions {
  /** A console (Linux: /dev/hvcN) rather than plain bytes (/dev/vportNpM). */
  readonly console: boolean;
  /** Linux: /dev/virtio-ports/NAME. Only with several ports. */
  readonly name?: string;
  readonly output: ByteSink;
}

/** The ports of a console device. */
export interface VirtioConsoleOptions {
  readonly ports: readonly ConsolePortOptions[];
  /** Offer VIRTIO_CONSOLE_F_MULTIPORT. Without it there is one port, which is a console. */
  readonly multiport?: boolean;
  /** The terminal's size, if it is known. */
  readonly size?: { readonly columns: number; readonly rows: number };
}

interface Port {
  readonly options: ConsolePortOptions;
  readonly input: InputQueue;
  /** The guest has opened it; only then input flows (with several ports). */
  open: boolean;
  /** The host has ended its input; tell the guest once all of it is delivered. */
  ended: boolean;
  /** The guest knows that the host's side is open. */
  hostOpen: boolean;
}

interface Control {
  readonly port: number;
  readonly event: number;
  readonly value: number;
  readonly rest?: Uint8Array;
}

/** A virtio console with one port or several. */
export class VirtioConsole implements VirtioDevice {
  readonly name = "console";
  readonly type = VIRTIO_DEVICE.CONSOLE;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly configuration = new Uint8Array(12);
  readonly #ports: readonly Port[];
  readonly #offersPorts: boolean;
  #host: VirtioHost | undefined;
  #waiting: Control[] = [];
  #columns = 0;
  #rows = 0;

  constructor({ ports, multiport = false, size }: VirtioConsoleOptions) {
    assert(multiport ? ports.length > 0 : ports.length === 1, "a console without MULTIPORT has one port");
    this.#offersPorts = multiport;
    this.#ports = ports.map((options, index) => ({
      options,
      input: new InputQueue(() => this.#deliver(index)),
      open: false,
      ended: false,
      hostOpen: true,
    }));
    const bits: number[] = [FEATURE.EMERG_WRITE];
    if (size !== undefined) bits.push(FEATURE.SIZE);
    if (multiport) bits.push(FEATURE.MULTIPORT);
    this.features = featureMask(...bits);
    // Port 0's pair, the control pair, then a pair for each further port.
    this.queueSizes = new Array(multiport ? 2 * ports.length + 2 : 2).fill(128);
    new DataView(this.configuration.buffer).setUint32(4, ports.length, true);
    if (size !== undefined) this.#setSize(size.columns, size.rows);
  }

  /** Sends bytes into port `index`; resolves when all of them lie in the guest's buffers. */
  receive(bytes: Uint8Array, index = 0): Promise<void> {
    const port = this.#port(index);
    assert(!port.ended, "a console port got input after its end");
    return port.input.receive(bytes);
  }

  /** Ends port `index`'s input: after what was sent, the guest reads an end of file. Needs several ports. */
  end(index: number): void {
    this.#port(index).ended = true;
    this.#deliver(index);
  }

  /** Tells the guest the terminal's new size. */
  resize(columns: number, rows: number): void {
    this.#setSize(columns, rows);
    this.#host?.configurationChanged();
    if (this.#host?.has(FEATURE.MULTIPORT)) {
      this.#ports.forEach(({ options }, port) => {
        if (options.console) this.#sendSize(port);
      });
      this.#sendControls();
    }
  }

  writeConfiguration(offset: number, value: number): void {
    if (offset === EMERGENCY_WRITE) this.#ports[0]?.options.output.write(Uint8Array.of(value));
  }

  start(host: VirtioHost): void {
    this.#host = host;
    for (let queue = 0; queue < this.queueSizes.length; queue++) this.notify(queue);
  }

  resume(host: VirtioHost): void {
    this.#host = host;
  }

  /** The terminal's size is the new terminal's. */
  stateFields(): readonly StateField[] {
    const ports = this.#ports.flatMap((port, index) =>
      nestedFields(`port${index}`, [
        port.input.stateField(),
        flagField(
          "open",
          () => port.open,
          (value) => {
            port.open = value;
          },
        ),
        flagField(
          "hostOpen",
          () => port.hostOpen,
          (value) => {
            port.hostOpen = value;
          },
        ),
      ]),
    );
    const controls = bytesField(
      "controls",
      MOST_WAITING * LARGEST_CONTROL,
      () => encodeControls(this.#waiting),
      (bytes) => {
        this.#waiting = decodeControls(bytes);
      },
    );
    return [...ports, controls];
  }

  stop(): void {
    this.#host = undefined;
    this.#waiting = [];
    for (const port of this.#ports) {
      port.open = false;
      port.hostOpen = true;
    }
  }

  notify(queue: number): void {
    if (this.#offersPorts && queue === CONTROL_RECEIVE) this.#sendControls();
    else if (this.#offersPorts && queue === CONTROL_TRANSMIT) this.#takeControls();
    else {
      const port = queue < 2 ? 0 : (queue >> 1) - 1;
      if (queue % 2 === 0) this.#deliver(port);
      else this.#emit(port);
    }
  }

  #port(index: number): Port {
    const port = this.#ports[index];
    assert(port !== undefined, `console port ${index} does not exist`);
    return port;
  }

  #setSize(columns: number, rows: number): void {
    this.#columns = columns & 0xffff;
    this.#rows = rows & 0xffff;
    const view = new DataView(this.configuration.buffer);
    view.setUint16(0, this.#columns, true);
    view.setUint16(2, this.#rows, true);
  }

  /** Moves what the guest wrote to the port's output. */
  #emit(index: number): void {
    const queue = this.#host?.queue(queueOf(index) + 1);
    const port = this.#ports[index];
    if (queue === undefined || port === undefined) return;
    for (let buffer = queue.take(); buffer !== undefined; buffer = queue.take()) {
      if (buffer.readableLength > MOST_OUTPUT) {
        this.#host?.fail(`console output of ${buffer.readableLength} bytes in one buffer`);
        return;
      }
      for (let done = 0; done < buffer.readableLength; done += PIECE) {
        const bytes = new Uint8Array(Math.min(PIECE, buffer.readableLength - done));
        if (buffer.read(done, bytes)) port.options.output.write(bytes);
      }
      queue.give(buffer, 0);
    }
    queue.announce();
  }

  /** Moves waiting input into the guest's buffers. */
  #deliver(index: number): void {
    const host = this.#host;
    const queue = host?.queue(queueOf(index));
    const port = this.#ports[index];
    if (host === undefined || queue === undefined || port === undefined) return;
    const several = host.has(FEATURE.MULTIPORT);
    if (several && !port.open) return;
    while (!port.input.isEmpty) {
      const buffer = queue.take();
      if (buffer === undefined) break;
      if (buffer.writableLength === 0) {
        host.fail("console receive buffer that is not writable");
        return;
      }
      const bytes = port.input.take(Math.min(buffer.writableLength, PIECE));
      queue.give(buffer, buffer.write(0, bytes) ? bytes.length : 0);
    }
    queue.announce();
    if (several && port.ended && port.hostOpen && port.input.isEmpty) {
      port.hostOpen = false;
      this.#waiting.push({ port: index, event: EVENT.PORT_OPEN, value: 0 });
      this.#sendControls();
    }
  }

  #takeControls(): void {
    const queue = this.#host?.queue(CONTROL_TRANSMIT);
    for (let buffer = queue?.take(); buffer !== undefined; buffer = queue?.take()) {
      const bytes = new Uint8Array(CONTROL_SIZE);
      if (buffer.read(0, bytes)) {
        const view = new DataView(bytes.buffer);
        const [port, event] = [view.getUint32(0, true), view.getUint16(4, true)];
        this.#control(port, event, view.getUint16(6, true));
      }
      queue?.give(buffer, 0);
    }
    queue?.announce();
    this.#sendControls();
  }

  #control(index: number, event: number, value: number): void {
    if (event === EVENT.DEVICE_READY) {
      if (value === 1)
        this.#ports.forEach((_, port) => {
          this.#queueControl({ port, event: EVENT.DEVICE_ADD, value: 1 });
        });
      return;
    }
    const port = this.#ports[index];
    if (port === undefined) return;
    if (event === EVENT.PORT_READY && value === 1) this.#introduce(index, port);
    else if (event === EVENT.PORT_OPEN) {
      port.open = value === 1;
      this.#deliver(index);
    }
  }

  /** What a driver should know about a port that it has set up. */
  #introduce(index: number, port: Port): void {
    const { console, name } = port.options;
    if (console) {
      this.#queueControl({ port: index, event: EVENT.CONSOLE_PORT, value: 1 });
      if (this.#host?.has(FEATURE.SIZE)) this.#sendSize(index);
    }
    if (name !== undefined) {
      const rest = Uint8Array.from(name, (character) => character.charCodeAt(0) & 0x7f);
      this.#queueControl({ port: index, event: EVENT.PORT_NAME, value: 1, rest });
    }
    this.#queueControl({ port: index, event: EVENT.PORT_OPEN, value: port.hostOpen ? 1 : 0 });
  }

  #sendSize(port: number): void {
    const rest = new Uint8Array(4);
    const view = new DataView(rest.buffer);
    view.setUint16(0, this.#columns, true);
    view.setUint16(2, this.#rows, true);
    this.#queueControl({ port, event: EVENT.RESIZE, value: 0, rest });
  }

  #queueControl(control: Control): void {
    if (this.#waiting.length >= MOST_WAITING) this.#waiting.shift();
    this.#waiting.push(control);
  }

  #sendControls(): void {
    const queue = this.#host?.queue(CONTROL_RECEIVE);
    if (queue === undefined || !this.#offersPorts) return;
    while (this.#waiting.length > 0) {
      const buffer = queue.take();
      if (buffer === undefined) break;
      const control = this.#waiting.shift();
      if (control === undefined) break;
      const bytes = encode(control);
      queue.give(buffer, buffer.write(0, bytes) ? bytes.length : 0);
    }
    queue.announce();
  }
}

/** The receive queue of a port; its transmit queue follows. */
function queueOf(port: number): number {
  return port === 0 ? 0 : 2 * port + 2;
}

/** Each with its length, in 16 bits, before it. */
function encodeControls(controls: readonly Control[]): Uint8Array {
  const pieces = controls.map(encode);
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + 2 + length, 0));
  const view = new DataView(whole.buffer);
  let at = 0;
  for (const piece of pieces) {
    view.setUint16(at, piece.length, true);
    whole.set(piece, at + 2);
    at += 2 + piece.length;
  }
  return whole;
}

/** What {@link encodeControls} made; the rest of what is not is left out. */
function decodeControls(bytes: Uint8Array): Control[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const controls: Control[] = [];
  for (let at = 0; at + 2 + CONTROL_SIZE <= bytes.length && controls.length < MOST_WAITING; ) {
    const end = at + 2 + Math.max(view.getUint16(at, true), CONTROL_SIZE);
    const [port, event] = [view.getUint32(at + 2, true), view.getUint16(at + 6, true)];
    const rest = bytes.slice(at + 2 + CONTROL_SIZE, end);
    controls.push({ port, event, value: view.getUint16(at + 8, true), rest });
    at = end;
  }
  return controls;
}

function encode({ port, event, value, rest = new Uint8Array(0) }: Control): Uint8Array {
  const bytes = new Uint8Array(CONTROL_SIZE + rest.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, port, true);
  view.setUint16(4, event, true);
  view.setUint16(6, value, true);
  bytes.set(rest, CONTROL_SIZE);
  return bytes;
}
