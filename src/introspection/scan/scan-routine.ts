import { assemble } from "../../isa/assembler.ts";

/**
 * What the scan (row M9) executes at EL2 with its MMU off, on a processing element of the hypervisor's own. It finds
 * what is mapped by executing AT for addresses that could be, and tells the host only what takes a decision.
 */

/** General-purpose registers by what they hold. */
export const SCAN_REGISTER = {
  /** Function of the gate. */
  FUNCTION: 0,
  /** What AT said last: PAR_EL1. */
  RESULT: 1,
  /** Descriptor of the leaf at hand. */
  DESCRIPTOR: 2,
  /** Level of the fault that made a hole. */
  LEVEL: 3,
  /** Address to look at next, and the last one of all. */
  ADDRESS: 4,
  LAST: 5,
  /** Next record, and the end of the room for them. */
  RECORD: 6,
  ROOM: 7,
  /**
   * The table at hand: physical address of its first descriptor, the address that one maps, bytes that it maps
   * altogether (0: none is at hand), log2 of an entry's bytes, and bits 1:0 of its leaves.
   */
  TABLE: 8,
  FIRST: 9,
  SPAN: 10,
  SHIFT: 11,
  LEAF: 12,
  /** Bytes of an entry. */
  SIZE: 13,
  /** Attributes that the tables above give; a number that only has to be equal for equal ones. */
  ABOVE: 14,
  /** 1 while there is a run of pages that go on. */
  RUNNING: 15,
  /** The run: first address, result and descriptor; what the next page must have to go on; size and ABOVE. */
  RUN_START: 16,
  RUN_RESULT: 17,
  RUN_DESCRIPTOR: 18,
  NEXT: 19,
  NEXT_RESULT: 20,
  NEXT_DESCRIPTOR: 21,
  RUN_SHIFT: 22,
  RUN_ABOVE: 23,
  /** log2 of the granule, and of the entries of a table. */
  GRANULE: 24,
  STRIDE: 25,
  /** 1: ask for tables; 0: every address takes an AT and a question (to check the other way). */
  TABLES: 26,
  /** AT instructions executed. */
  COUNT: 27,
  T0: 28,
  T1: 29,
  LINK: 30,
} as const;

/** Functions of the gate, in X0. */
export const SCAN_GATE = {
  /** ADDRESS is mapped: give DESCRIPTOR, ABOVE and the table at hand. */
  LEAF: 1,
  /** A hole at LEVEL ended just before ADDRESS: give the table in which it is, if there is one. */
  HOLE: 2,
  /** ADDRESS is neither mapped nor a plain hole: set ADDRESS to what comes next, 0 at the end. */
  FAULT: 3,
  /** No room for a record: take them and set RECORD. */
  FULL: 4,
  /** All is said. */
  DONE: 5,
  /** AT took an abort at ADDRESS: as FAULT. */
  ABORT: 6,
} as const;

/** HLT immediates of the host gate: a question, and an event. */
export const GATE_QUESTION = 0x5e23;
export const GATE_EVENT = 0x5e20;

/** Bytes of a record, and where its fields are; each has 64 bits. */
export const SCAN_RECORD = {
  SIZE: 80,
  START: 0,
  END: 8,
  /** PAR_EL1 of S12E1R for the first page, and its descriptor. */
  RESULT: 16,
  DESCRIPTOR: 24,
  SHIFT: 32,
  ABOVE: 40,
  /** PAR_EL1 of S12E1W, S12E0R and S12E0W for the first page. */
  WRITE: 48,
  USER_READ: 56,
  USER_WRITE: 64,
} as const;

/** Offset of the vectors, of which the one for exceptions of EL2 itself is used. */
export const SCAN_VECTORS = 0x800;
const SYNCHRONOUS = 0x200;

const register = (name: keyof typeof SCAN_REGISTER): string => `x${SCAN_REGISTER[name]}`;

/** The machine code, for physical address `origin`: 4 KiB. */
export function scanRoutine(origin: number): Uint8Array {
  const names = Object.keys(SCAN_REGISTER).sort((one, other) => other.length - one.length);
  const source = SOURCE.replace(new RegExp(`\\$(${names.join("|")})\\b`, "g"), (_, name: string) =>
    // Only names of the table are matched.
    register(name as keyof typeof SCAN_REGISTER),
  );
  const { bytes, symbols } = assemble(source, { origin: BigInt(origin) });
  const page = new Uint8Array(4096);
  page.set(bytes);
  const { bytes: handler } = assemble(ABORTED, {
    origin: BigInt(origin + SCAN_VECTORS + SYNCHRONOUS),
    symbols: Object.fromEntries(symbols),
  });
  page.set(handler, SCAN_VECTORS + SYNCHRONOUS);
  return page;
}

const translate = (operation: string, address: string, into: string): string => `
  at ${operation}, ${address}
  isb
  mrs ${into}, par_el1
  add $COUNT, $COUNT, #1`;

const gate = (name: keyof typeof SCAN_GATE, immediate = GATE_QUESTION): string => `
  mov $FUNCTION, #${SCAN_GATE[name]}
  hlt #${immediate}`;

const SOURCE = `
scan:
  cmp $ADDRESS, $LAST
  b.hi done
  sub $T0, $ADDRESS, $FIRST
  cmp $T0, $SPAN
  b.hs unknown
  lsr $T0, $T0, $SHIFT
  ldr $DESCRIPTOR, [$TABLE, $T0, lsl #3]
  tbz $DESCRIPTOR, #0, empty
${translate("s12e1r", "$ADDRESS", "$RESULT")}
  tbnz $RESULT, #0, fault
  and $T0, $DESCRIPTOR, #3
  cmp $T0, $LEAF
  b.eq mapped
  b ask
unknown:
${translate("s12e1r", "$ADDRESS", "$RESULT")}
  tbnz $RESULT, #0, fault
ask:
${gate("LEAF")}
mapped:
  cbz $RUNNING, begin
  cmp $ADDRESS, $NEXT
  ccmp $RESULT, $NEXT_RESULT, #0, eq
  ccmp $DESCRIPTOR, $NEXT_DESCRIPTOR, #0, eq
  ccmp $ABOVE, $RUN_ABOVE, #0, eq
  ccmp $SHIFT, $RUN_SHIFT, #0, eq
  b.ne other_run
go_on:
  add $NEXT, $NEXT, $SIZE
  add $NEXT_RESULT, $NEXT_RESULT, $SIZE
  add $NEXT_DESCRIPTOR, $NEXT_DESCRIPTOR, $SIZE
  mov $ADDRESS, $NEXT
  cbz $ADDRESS, done
  b scan
other_run:
  bl record
begin:
  mov $RUNNING, #1
  mov $RUN_START, $ADDRESS
  mov $RUN_RESULT, $RESULT
  mov $RUN_DESCRIPTOR, $DESCRIPTOR
  mov $RUN_SHIFT, $SHIFT
  mov $RUN_ABOVE, $ABOVE
  mov $NEXT, $ADDRESS
  mov $NEXT_RESULT, $RESULT
  mov $NEXT_DESCRIPTOR, $DESCRIPTOR
  b go_on
empty:
  sub $T1, $SIZE, #1
  orr $ADDRESS, $ADDRESS, $T1
  add $ADDRESS, $ADDRESS, #1
  cbz $ADDRESS, done
  b scan
fault:
  ubfx $T0, $RESULT, #1, #6
  and $T1, $T0, #0x3c
  cmp $T1, #4
  b.ne strange
  tbnz $RESULT, #9, strange
  and $LEVEL, $T0, #3
  mov $T1, #3
  sub $T1, $T1, $LEVEL
  madd $T1, $T1, $STRIDE, $GRANULE
  mov $T0, #1
  lsl $T0, $T0, $T1
  sub $T0, $T0, #1
  orr $ADDRESS, $ADDRESS, $T0
  add $ADDRESS, $ADDRESS, #1
  cbz $ADDRESS, done
  cbz $TABLES, scan
${gate("HOLE")}
  b scan
strange:
${gate("FAULT")}
  cbz $ADDRESS, done
  b scan
done:
  cbz $RUNNING, over
  bl record
over:
${gate("DONE", GATE_EVENT)}
  b over
record:
  mov $T1, $LINK
  add $T0, $RECORD, #${SCAN_RECORD.SIZE}
  cmp $T0, $ROOM
  b.ls fits
${gate("FULL", GATE_EVENT)}
fits:
  stp $RUN_START, $NEXT, [$RECORD, #${SCAN_RECORD.START}]
  stp $RUN_RESULT, $RUN_DESCRIPTOR, [$RECORD, #${SCAN_RECORD.RESULT}]
  stp $RUN_SHIFT, $RUN_ABOVE, [$RECORD, #${SCAN_RECORD.SHIFT}]
  at s12e1w, $RUN_START
  isb
  mrs $T0, par_el1
  str $T0, [$RECORD, #${SCAN_RECORD.WRITE}]
  at s12e0r, $RUN_START
  isb
  mrs $T0, par_el1
  str $T0, [$RECORD, #${SCAN_RECORD.USER_READ}]
  at s12e0w, $RUN_START
  isb
  mrs $T0, par_el1
  str $T0, [$RECORD, #${SCAN_RECORD.USER_WRITE}]
  add $RECORD, $RECORD, #${SCAN_RECORD.SIZE}
  mov $RUNNING, #0
  br $T1
`;

const ABORTED = `
  mov x0, #${SCAN_GATE.ABORT}
  hlt #${GATE_QUESTION}
  cbz x${SCAN_REGISTER.ADDRESS}, ended
  b scan
ended:
  b done
`;
