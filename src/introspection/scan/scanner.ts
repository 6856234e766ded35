import type { StoredRegisterName } from "../../isa/system-registers/table.ts";
import type { GuestReader, ReadingSpace } from "../../mmu/guest-reader.ts";
import { PrivateElement, type PrivateElementParts } from "./private-element.ts";
import { mergeRanges, type RangeNote, rightsOf, type ScanRange } from "./scan-range.ts";
import {
  GATE_EVENT,
  SCAN_GATE,
  SCAN_RECORD,
  SCAN_REGISTER,
  SCAN_VECTORS,
  scanRoutine,
} from "./scan-routine.ts";
import { isAccessed, type TableEntry, TableProbe } from "./table-probe.ts";

/** Below 2^44, as far as addresses reach, in a gibibyte of its own. */
const PRIVATE_ADDRESS = 2 ** 44 - 2 ** 30;
const CODE_BYTES = 4096;
const BUFFER_BYTES = 64 * 4096;
/** Where a scan ends at last: four million pages. Tables that lead to themselves would take years. */
const INSTRUCTION_LIMIT = 1e8;
const MOST_RANGES = 500_000;

/** What is scanned: the half of an address space, and the registers that say what it is. */
export interface ScanTarget {
  readonly space: ReadingSpace;
  readonly half: "user" | "kernel";
  /** The element's registers as they are named at EL1, and those of stage 2 where it is on. */
  readonly registers: ReadonlyMap<StoredRegisterName, bigint>;
}

export interface ScanCounts {
  /** AT instructions executed to find what is mapped. */
  readonly translations: number;
  /** Times that the routine asked the host. */
  readonly questions: number;
  /** Pages and blocks that are mapped. */
  readonly leaves: number;
  /** Tables that were looked at. */
  readonly tables: number;
}

export interface ScanResult {
  /** In the order of addresses, neighbours alike joined. */
  readonly ranges: readonly ScanRange[];
  /** False where the scan was given up before the end: these tables lead to too many addresses. */
  readonly complete: boolean;
  readonly counts: ScanCounts;
}

/** Finds what is mapped in an address space by AT instructions that a processing element of ours executes (row M9). */
export class Scanner {
  readonly #element: PrivateElement;
  readonly #reader: GuestReader;
  readonly #memory: DataView;
  #scan: Scan | undefined;

  constructor(parts: Pick<PrivateElementParts, "map" | "store" | "clock">, reader: GuestReader) {
    this.#reader = reader;
    const { memory } = parts.map;
    this.#element = new PrivateElement({
      ...parts,
      address: PRIVATE_ADDRESS,
      bytes: CODE_BYTES + BUFFER_BYTES,
      gate: (immediate) => this.#scan?.gate(immediate),
    });
    const host = this.#element.memory;
    memory.bytes.set(scanRoutine(PRIVATE_ADDRESS), host);
    this.#memory = new DataView(memory.memory.buffer, host + CODE_BYTES, BUFFER_BYTES);
  }

  /** `usingTables`: skips empty entries of a table without AT; false only to check that nothing differs. */
  scan(target: ScanTarget, usingTables = true): ScanResult {
    const scan = new Scan(this.#element, this.#memory, target, new TableProbe(this.#reader, target.space));
    this.#scan = scan;
    try {
      return scan.run(usingTables);
    } finally {
      this.#scan = undefined;
    }
  }
}

/** One scan. */
class Scan {
  readonly #element: PrivateElement;
  readonly #buffer: DataView;
  readonly #target: ScanTarget;
  readonly #probe: TableProbe;
  readonly #ranges: ScanRange[] = [];
  readonly #tables = new Set<number>();
  #usingTables = true;
  #questions = 0;

  constructor(element: PrivateElement, buffer: DataView, target: ScanTarget, probe: TableProbe) {
    this.#element = element;
    this.#buffer = buffer;
    this.#target = target;
    this.#probe = probe;
  }

  run(usingTables: boolean): ScanResult {
    this.#usingTables = usingTables;
    const { half, space } = this.#target;
    const isKernel = half === "kernel";
    const geometry = isKernel ? space.stage1.upper : space.stage1.lower;
    const none = {
      ranges: [],
      complete: true,
      counts: { translations: 0, questions: 0, leaves: 0, tables: 0 },
    };
    if (!space.stage1.enabled || !geometry.usable || geometry.baseOutOfRange) return none;
    const bytes = 1n << BigInt(geometry.startShift + Math.log2(geometry.startMask + 1));
    const first = isKernel ? (1n << 64n) - bytes : 0n;
    const R = SCAN_REGISTER;
    const buffer = BigInt(PRIVATE_ADDRESS + CODE_BYTES);
    const registers = new Map<number, bigint>([
      [R.ADDRESS, first],
      [R.LAST, first + bytes - 1n],
      [R.RECORD, buffer],
      [R.ROOM, buffer + BigInt(BUFFER_BYTES)],
      [R.GRANULE, BigInt(geometry.granule)],
      [R.STRIDE, BigInt(geometry.stride)],
      [R.TABLES, usingTables ? 1n : 0n],
    ]);
    for (let index = 0; index < 31; index++) if (!registers.has(index)) registers.set(index, 0n);
    const system = new Map(this.#target.registers);
    system.set("VBAR_EL2", BigInt(PRIVATE_ADDRESS + SCAN_VECTORS));
    const ended = this.#element.run(registers, system, INSTRUCTION_LIMIT);
    if (!ended) this.#takeRecords();
    const complete = ended && this.#ranges.length < MOST_RANGES;
    const ranges = [...this.#ranges].sort(byStart);
    const leaves = ranges.reduce((sum, { start, end, leaf }) => sum + Number(end - start) / leaf, 0);
    const counts = {
      translations: Number(this.#x(R.COUNT)),
      questions: this.#questions,
      leaves,
      tables: this.#tables.size,
    };
    return { ranges: mergeRanges(ranges), complete, counts };
  }

  /** The routine executed HLT. */
  gate(immediate: number): void {
    const R = SCAN_REGISTER;
    const what = Number(this.#x(R.FUNCTION));
    if (immediate === GATE_EVENT) {
      this.#takeRecords();
      if (what === SCAN_GATE.DONE) this.#element.stop();
      return;
    }
    this.#questions++;
    if (this.#ranges.length >= MOST_RANGES) this.#element.stop();
    const address = this.#x(R.ADDRESS);
    if (what === SCAN_GATE.HOLE) {
      // The table in which the hole was may have more of them.
      const entry = this.#probe.entryOf(address - 1n);
      if (BigInt(entry.level) === this.#x(R.LEVEL) && entry.kind === "hole")
        this.#giveTable(address - 1n, entry);
      return;
    }
    const entry = this.#probe.entryOf(address);
    if (what === SCAN_GATE.LEAF && entry.kind === "leaf") {
      this.#setX(R.DESCRIPTOR, entry.descriptor);
      this.#setX(R.ABOVE, BigInt(entry.above >>> 0));
      this.#giveTable(address, entry);
      return;
    }
    this.#takeFault(address, entry);
  }

  /** Makes the table of an entry the one at hand, as far as it lies in one page and can be read as it is. */
  #giveTable(address: bigint, entry: TableEntry): void {
    const R = SCAN_REGISTER;
    const { shift, level, index, entries } = entry;
    this.#tables.add(entry.address - (entry.address % 4096));
    const size = 1n << BigInt(shift);
    const isWhole = this.#usingTables && !this.#probe.geometry(address).bigEndian;
    const inPage = (entry.address % 4096) / 8;
    const before = isWhole ? Math.min(index, inPage) : 0;
    const count = isWhole ? before + Math.min(entries - index, 512 - inPage) : 1;
    const first = (address & -size) - BigInt(before) * size;
    this.#setX(R.TABLE, BigInt(entry.address - before * 8));
    this.#setX(R.FIRST, first);
    // A table with one entry would be asked about again at once.
    this.#setX(R.SPAN, isWhole ? BigInt(count) * size : 0n);
    this.#setX(R.SHIFT, BigInt(shift));
    this.#setX(R.SIZE, size);
    this.#setX(R.LEAF, level === 3 ? 3n : 1n);
  }

  /** Neither mapped nor a plain hole (row M9's table of results): says what is there, and goes on behind it. */
  #takeFault(address: bigint, entry: TableEntry): void {
    const R = SCAN_REGISTER;
    const result = this.#x(R.RESULT);
    const isAbort = Number(this.#x(R.FUNCTION)) === SCAN_GATE.ABORT;
    const size = 1n << BigInt(entry.shift);
    const start = address & -size;
    const note = isAbort ? "table absent" : noteOf(result, entry);
    if (note !== undefined) {
      const descriptor = entry.descriptor;
      const known = note === "old" || note === "absent in stage 2";
      this.#ranges.push({
        start,
        end: start + size,
        physical: note === "old" ? Number(descriptor & OUTPUT & -size) : undefined,
        leaf: Number(size),
        ...(known ? rightsOf(descriptor, this.#rules(entry.above)) : NO_RIGHTS),
        attributes: known ? this.#attributes(descriptor) : 0,
        global: known && (descriptor & NOT_GLOBAL) === 0n,
        note,
      });
      this.#tables.add(entry.address - (entry.address % 4096));
    }
    this.#setX(R.ADDRESS, BigInt.asUintN(64, start + size));
  }

  #takeRecords(): void {
    const R = SCAN_REGISTER;
    const origin = BigInt(PRIVATE_ADDRESS + CODE_BYTES);
    const used = Number(this.#x(R.RECORD) - origin);
    for (let at = 0; at < used; at += SCAN_RECORD.SIZE) {
      const field = (offset: number) => this.#buffer.getBigUint64(at + offset, true);
      const descriptor = field(SCAN_RECORD.DESCRIPTOR);
      const result = field(SCAN_RECORD.RESULT);
      const start = field(SCAN_RECORD.START);
      const end = field(SCAN_RECORD.END);
      const { kernel, user } = rightsOf(descriptor, this.#rules(Number(field(SCAN_RECORD.ABOVE)) | 0));
      const marks = this.#target.space.stage1.hardwareDirty && (descriptor & DIRTY_BIT_MODIFIER) !== 0n;
      // What may be read and written, AT has said; a page that writing marks as dirty counts as writable.
      const allowed = (offset: number, write: boolean) =>
        (field(offset) & 1n) === 0n || (write && marks && isPermissionFault(field(offset)));
      this.#ranges.push({
        start,
        end: end === 0n ? 1n << 64n : end,
        physical: Number(result & OUTPUT),
        leaf: 2 ** Number(field(SCAN_RECORD.SHIFT)),
        kernel: { ...kernel, write: allowed(SCAN_RECORD.WRITE, true) },
        user: {
          read: allowed(SCAN_RECORD.USER_READ, false),
          write: allowed(SCAN_RECORD.USER_WRITE, user.write),
          execute: user.execute,
        },
        attributes: Number(result >> 56n),
        global: (descriptor & NOT_GLOBAL) === 0n,
        note: undefined,
      });
    }
    this.#setX(R.RECORD, origin);
  }

  #rules(above: number) {
    const { wxn, hardwareDirty } = this.#target.space.stage1;
    return { above, writableNeverExecutes: wxn, hardwareDirty };
  }

  #attributes(descriptor: bigint): number {
    return this.#target.space.stage1.mair[Number((descriptor >> 2n) & 7n)] ?? 0;
  }

  #x(index: number): bigint {
    return this.#element.processor.state.x(index);
  }

  #setX(index: number, value: bigint): void {
    this.#element.processor.state.setX(index, value);
  }
}

const OUTPUT = 0xffff_ffff_f000n;
const NOT_GLOBAL = 1n << 11n;
const DIRTY_BIT_MODIFIER = 1n << 51n;
const NOTHING = { read: false, write: false, execute: false } as const;
const NO_RIGHTS = { kernel: NOTHING, user: NOTHING } as const;

/** What a PAR_EL1 with F = 1 means for an address whose descriptor is known. */
function noteOf(result: bigint, entry: TableEntry): RangeNote | undefined {
  const status = Number((result >> 1n) & 0x3fn);
  const isStage2 = (result >> 9n) & 1n;
  const onWalk = (result >> 8n) & 1n;
  if (entry.kind === "absent" || onWalk === 1n) return "table absent";
  if (isStage2 === 1n) return "absent in stage 2";
  if ((status & 0x3c) === 0) return "address size";
  if (entry.kind === "leaf" && !isAccessed(entry.descriptor)) return "old";
  return undefined;
}

function isPermissionFault(result: bigint): boolean {
  return (result & 1n) === 1n && ((result >> 1n) & 0x3cn) === 0x0cn;
}

function byStart(one: ScanRange, other: ScanRange): number {
  return one.start < other.start ? -1 : one.start > other.start ? 1 : 0;
}
