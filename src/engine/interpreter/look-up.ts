import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import type { FunctionBody, Label } from "../../wasm/function-body.ts";

/** How the loops of the core module find the record of a PC. */

/** Functions of the host, and the type of handlers. */
export interface LoopImports {
  readonly fetch: number;
  readonly decode: number;
  readonly handlerType: number;
}

/** Looks the PC up: leaves the record's address on the stack, or goes to `retry` after the host's help. */
export function lookUp(
  body: FunctionBody,
  locals: { pe: number; bank: number; pc: number; entry: number; fuel: number },
  fetch: number,
  retry: Label,
  onFault: () => void = () => {},
): void {
  const { pe, bank, pc, fuel } = locals;
  body.get(pe).memory("i64.load", PE_LAYOUT.PC).set(pc);
  body.get(pe).memory("i32.load", PE_LAYOUT.TLB_BANK).set(bank);
  findEntry(body, locals);
  body.if(undefined, "unlikely");
  body.get(pe).get(fuel).memory("i32.store", PE_LAYOUT.FUEL);
  body.get(pe).call(fetch).op("i32.eqz");
  body.if();
  // The fetch faulted, which costs one instruction, so that a fault in the vector cannot loop for ever.
  body.get(fuel).i32(1).op("i32.sub").set(fuel);
  onFault();
  body.end();
  body.branch(retry);
  body.end();
  pushRecord(body, locals);
}

/** Sets `entry` to the soft-TLB entry of PC's page and pushes whether it is another page's. */
export function findEntry(
  body: FunctionBody,
  { bank, pc, entry }: { bank: number; pc: number; entry: number },
): void {
  body.get(bank).get(pc).op("i32.wrap_i64").i32(7).op("i32.shr_u");
  body
    .i32((SOFT_TLB.ENTRIES - 1) * SOFT_TLB.ENTRY_SIZE)
    .op("i32.and")
    .op("i32.add")
    .tee(entry);
  // A misaligned PC never matches: its low two bits stay in the comparison.
  body.memory("i64.load", SOFT_TLB.EXECUTE_TAG).get(pc).i64(-4093n).op("i64.and").op("i64.ne");
}

/** Pushes the address of PC's record. */
export function pushRecord(body: FunctionBody, { pc, entry }: { pc: number; entry: number }): void {
  body.get(entry).memory("i32.load", SOFT_TLB.RECORDS);
  body.get(pc).op("i32.wrap_i64").i32(0xffc).op("i32.and").i32(2).op("i32.shl").op("i32.add");
}

export function attentionOrNegative(body: FunctionBody, pe: number, fuel: number): void {
  body.get(fuel).get(pe).memory("i32.load", PE_LAYOUT.ATTENTION).op("i32.or").i32(0).op("i32.lt_s");
}
