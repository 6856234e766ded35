import { UserError } from "../base/errors.ts";
import { arrayField, choiceField, nestedFields, numberField, type StateField } from "../base/state-fields.ts";
import { FRAME_SHIFT, FRAME_SIZE } from "../memory/machine-memory.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";
import type { StatePart } from "../state/part-codec.ts";
import { PIECE, type StateContents, type StateSubject } from "../state/state-stream.ts";
import type { FlashContents } from "./flash-contents.ts";
import type { Machine } from "./machine.ts";

/** A machine for the state stream, with what its host has connected. Both machines must be between two bursts. */
export function machineSubject(
  machine: Machine,
  connected: readonly StatePart[] = [],
  description: StateSubject["description"] = {},
): StateSubject {
  return {
    description: { ...machine.description, ...description },
    contents: [
      ram(machine, "memory", VIRT_MAP.ram.base, machine.description["--memory"]),
      ...(machine.description["--secure"]
        ? [ram(machine, "Secure memory", VIRT_MAP.secureRam.base, VIRT_MAP.secureRam.size)]
        : []),
      ...machine.board.flash.map((bank, index) => flash(bank, `flash ${index}`)),
    ],
    parts: [
      // Time first: all else is armed by it.
      part("clock", machine.clock),
      part("guest clock", machine.guestClock),
      { name: "machine", stateFields: () => machineFields(machine) },
      part("interrupt controller", machine.board.gic),
      ...devices(machine),
      ...machine.elements.map((element) => part(`processor ${element.index}`, element)),
      part("guest services", machine.services),
      part("protection", machine.monitor),
      part("trees of the guest", machine.guestTrees),
      ...connected,
    ],
  };
}

function part(name: string, of: Omit<StatePart, "name">): StatePart {
  return { name, stateFields: () => of.stateFields(), stateRestored: () => of.stateRestored?.() };
}

/** Devices of the bus; those of the interrupt controller are parts of it. */
function devices(machine: Machine): StatePart[] {
  return machine.bus.list().flatMap(({ address, device }) => {
    const { stateFields } = device;
    if (stateFields === undefined || device.name.startsWith("gic-")) return [];
    return [
      {
        name: `${device.name} at ${address.toString(16)}`,
        stateFields: () => stateFields.call(device),
        stateRestored: () => device.stateRestored?.(),
      },
    ];
  });
}

const STOPS = ["runs", "pause", "snapshot", "kill"] as const;

function machineFields(machine: Machine): readonly StateField[] {
  const { loop, elements } = machine;
  return [
    numberField(
      "lastTurn",
      elements.length - 1,
      () => loop.lastTurn,
      (index) => {
        loop.lastTurn = index;
      },
      -1,
    ),
    choiceField(
      "protectionStop",
      STOPS,
      () => machine.protectionStop ?? "runs",
      (stop) => {
        machine.protectionStop = stop === "runs" ? undefined : stop;
      },
    ),
    ...elements.flatMap(({ index, base }) =>
      nestedFields(`monitor${index}`, exclusiveMonitor(machine, base)),
    ),
  ];
}

/** An element's exclusive monitor, which it keeps by host address. */
function exclusiveMonitor({ memory, guest }: Machine, base: number): StateField[] {
  const { words, doubleWords } = memory;
  const [address, size] = [
    (base + PE_LAYOUT.EXCLUSIVE_ADDRESS) >>> 2,
    (base + PE_LAYOUT.EXCLUSIVE_SIZE) >>> 2,
  ];
  const value = (base + PE_LAYOUT.EXCLUSIVE_VALUE) >>> 3;
  const { map } = guest;
  return [
    // Guest-physical; -1 while it is open.
    numberField(
      "address",
      2 ** 48 - 1,
      () => {
        const host = words[address]! >>> 0;
        return host === 0 ? -1 : map.frames.page(host >>> FRAME_SHIFT) * FRAME_SIZE + (host % FRAME_SIZE);
      },
      (physical) => {
        const found = physical < 0 ? 0 : map.hostAddress(physical | 0, Math.floor(physical / 2 ** 32), true);
        words[address] = found;
      },
      -1,
    ),
    numberField(
      "size",
      16,
      () => words[size]!,
      (bytes) => {
        words[size] = bytes;
      },
    ),
    arrayField("value", doubleWords.subarray(value, value + 2)),
  ];
}

/** Frames that are not zero. */
function ram({ guest }: Machine, name: string, base: number, size: number): StateContents {
  const memory = guest.inWorld(true);
  return {
    name,
    size,
    *pieces() {
      const buffer = new Uint8Array(PIECE);
      for (let at = 0; at < size; at += PIECE) {
        const piece = buffer.subarray(0, Math.min(PIECE, size - at));
        memory.readInto(base + at, piece);
        for (const { first, end } of runsOfFrames(piece)) {
          yield { offset: at + first, bytes: piece.subarray(first, end) };
        }
      }
    },
    write(offset, bytes) {
      if (!memory.write(base + offset, bytes))
        throw new UserError("The snapshot has memory where there is none.");
    },
  };
}

/** Runs of frames in which there is anything but zeros, as offsets; `bytes` begins on 8 bytes. */
function* runsOfFrames(bytes: Uint8Array): Generator<{ first: number; end: number }> {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let first: number | undefined;
  for (let at = 0; at < bytes.length; at += FRAME_SIZE) {
    const isEmpty = isZero(words, at / 4, (at + FRAME_SIZE) / 4);
    if (!isEmpty) first ??= at;
    else if (first !== undefined) {
      yield { first, end: at };
      first = undefined;
    }
  }
  if (first !== undefined) yield { first, end: bytes.length };
}

function isZero(words: Uint32Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (words[at] !== 0) return false;
  return true;
}

function flash(bank: FlashContents, name: string): StateContents {
  return {
    name,
    size: VIRT_MAP.flash0.size,
    *pieces() {
      const sectors: { offset: number; bytes: Uint8Array }[] = [];
      bank.forEachSector((offset, bytes) => void sectors.push({ offset, bytes }));
      yield* sectors;
    },
    write(offset, bytes) {
      const present = new Uint8Array(bytes.length);
      bank.readInto(offset, present);
      if (present.every((byte, index) => byte === bytes[index])) return;
      if (bank.write(offset, bytes)) return;
      throw new UserError(
        "The flash's contents of the snapshot cannot be kept; is the file of --uefi-vars writable?",
      );
    },
  };
}
