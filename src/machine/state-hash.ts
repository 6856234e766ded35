import {
  ICC_REGISTERS,
  ICH_REGISTERS,
  type InterruptContext,
  type InterruptRegister,
} from "../base/interrupt-controller.ts";
import { SLOT, type StateWord } from "../cpu/element-state.ts";
import { FRAME_SHIFT, FRAME_SIZE } from "../memory/machine-memory.ts";
import type { MmioDevice } from "../memory/mmio-device.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";
import type { Machine } from "./machine.ts";
import type { ProcessingElement } from "./processing-element.ts";

/** Takes the state piece by piece; a cryptographic hash of the host's, say. A piece is valid during the call. */
export interface StateHasher {
  update(bytes: Uint8Array): unknown;
}

/** Bytes of RAM handed over at a time. */
const PIECE = 1 << 20;

const STATE_WORDS = [
  PE_LAYOUT.FPCR,
  PE_LAYOUT.FPSR,
  PE_LAYOUT.EL,
  PE_LAYOUT.SPSEL,
  PE_LAYOUT.DAIF,
  PE_LAYOUT.PAN,
  PE_LAYOUT.UAO,
  PE_LAYOUT.SSBS,
  PE_LAYOUT.EVENT,
  PE_LAYOUT.SS,
  PE_LAYOUT.IL,
  PE_LAYOUT.NON_SECURE,
] as const satisfies readonly StateWord[];

/** Registers of devices that must not be read for a look: reading takes something away. */
const READ_WITH_EFFECT: Readonly<Record<string, readonly number[]>> = {
  pl011: [0x000],
  "secure pl011": [0x000],
};

/** Devices that are handed over otherwise, or have no state but a cursor, or none, or say all of it themselves. */
const NOT_READ = /^(flash\d|fw-cfg|gic-its|pci-.*)$/;

/** Reading these acknowledges an interrupt. */
const ACKNOWLEDGING: ReadonlySet<InterruptRegister> = new Set(["ICC_IAR0_EL1", "ICC_IAR1_EL1"]);

/**
 * Hands a machine's whole state to `hasher`: RAM, flash, the registers of all elements, and of the devices what
 * their registers show without being changed by the look. Two machines that hand over the same go on alike;
 * nothing of the host (addresses, caches, engine) is in it, so it is the same under any engine. For a machine
 * between two bursts.
 */
export function hashState(machine: Machine, hasher: StateHasher): void {
  const writer = new Writer(hasher);
  for (const element of machine.elements) hashElement(machine, element, writer);
  for (const { address, device } of machine.bus.list()) {
    writer.number(address);
    for (const number of device.state?.() ?? []) writer.number(number);
    if (!NOT_READ.test(device.name)) hashDevice(device, writer);
  }
  machine.board.flash.forEach((bank, index) => {
    bank.forEachSector((offset, bytes) => {
      writer.number(index);
      writer.number(offset);
      writer.flush();
      hasher.update(bytes);
    });
  });
  writer.flush();
  hashRange(machine, VIRT_MAP.ram.base, hasher);
  hashRange(machine, VIRT_MAP.secureRam.base, hasher);
}

/** Collects numbers into larger pieces. */
class Writer {
  readonly #hasher: StateHasher;
  readonly #view = new DataView(new ArrayBuffer(4096));
  #length = 0;

  constructor(hasher: StateHasher) {
    this.#hasher = hasher;
  }

  /** A number below 2^53. */
  number(value: number): void {
    this.bigint(BigInt(value));
  }

  /** The low 64 bits. */
  bigint(value: bigint): void {
    if (this.#length === this.#view.byteLength) this.flush();
    this.#view.setBigUint64(this.#length, BigInt.asUintN(64, value), true);
    this.#length += 8;
  }

  flush(): void {
    this.#hasher.update(new Uint8Array(this.#view.buffer, 0, this.#length));
    this.#length = 0;
  }
}

function hashElement(machine: Machine, element: ProcessingElement, writer: Writer): void {
  const { processor, base } = element;
  const { state } = processor;
  const interrupts = machine.board.gic.cpuInterface(element.index);
  const { doubleWords, words } = machine.memory;
  for (let index = 0; index < 31; index++) writer.bigint(state.x(index));
  for (let level = 0; level < 4; level++) writer.bigint(state.stackPointer(level));
  writer.bigint(state.pc);
  writer.number(state.nzcv);
  for (let offset = 0; offset < 512; offset += 8)
    writer.bigint(doubleWords[(base + PE_LAYOUT.V + offset) >>> 3]!);
  for (const offset of STATE_WORDS) writer.number(state.word(offset));
  for (const slot of Object.values(SLOT)) writer.bigint(state.read(slot));
  hashMonitor(machine, base, writer);
  writer.number(element.instructions);
  writer.number(element.power === "on" ? 1 : 0);
  writer.number(processor.sleeping ? 1 : 0);
  writer.number(words[(base + PE_LAYOUT.NRW) >>> 2]!);
  for (const context of INTERRUPT_CONTEXTS) {
    for (const register of [...ICC_REGISTERS, ...ICH_REGISTERS]) {
      if (ACKNOWLEDGING.has(register)) continue;
      const value = interrupts.read(register, context);
      writer.bigint(value === "undefined" ? 0n : value);
    }
  }
}

/** The exclusive monitor, by guest-physical address. */
function hashMonitor({ memory, guest }: Machine, base: number, writer: Writer): void {
  const address = memory.words[(base + PE_LAYOUT.EXCLUSIVE_ADDRESS) >>> 2]! >>> 0;
  if (address === 0) {
    writer.number(0);
    return;
  }
  writer.number(guest.map.frames.page(address >>> FRAME_SHIFT) * FRAME_SIZE + (address % FRAME_SIZE));
  writer.number(memory.words[(base + PE_LAYOUT.EXCLUSIVE_SIZE) >>> 2]!);
  for (let offset = 0; offset < 16; offset += 8) {
    writer.bigint(memory.doubleWords[(base + PE_LAYOUT.EXCLUSIVE_VALUE + offset) >>> 3]!);
  }
}

/** Both security states' copies of banked registers. */
const INTERRUPT_CONTEXTS: readonly InterruptContext[] = [true, false].map((nonSecure) => ({
  el: 3,
  nonSecure,
  imo: false,
  fmo: false,
  scrIrq: false,
  scrFiq: false,
}));

function hashDevice(device: MmioDevice, writer: Writer): void {
  const withEffect = READ_WITH_EFFECT[device.name] ?? [];
  for (let offset = 0; offset + 4 <= device.size; offset += 4) {
    if (withEffect.includes(offset)) continue;
    const secure = device.read(offset, 4, true);
    const nonSecure = device.read(offset, 4, false);
    // Most words are zero; where the others are is part of what is written.
    if ((secure | nonSecure) === 0) continue;
    writer.number(offset);
    writer.number(secure);
    writer.number(nonSecure);
  }
}

/** All RAM from `address` on, where there is any. */
function hashRange({ guest }: Machine, address: number, hasher: StateHasher): void {
  const memory = guest.inWorld(true);
  let at = address;
  for (const size of [PIECE, FRAME_SIZE]) {
    const piece = new Uint8Array(size);
    for (; memory.readInto(at, piece); at += size) hasher.update(piece);
  }
}
