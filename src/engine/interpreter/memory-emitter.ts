import { Bug } from "../../base/errors.ts";
import type { Access, Block, Node } from "../../isa/ir.ts";
import { accessFlags } from "../../memory/access-flags.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import type { HandlerFrame } from "./handler-frame.ts";

/** Loads that zero-extend, by bytes. */
export const LOAD_I64 = { 1: "i64.load8_u", 2: "i64.load16_u", 4: "i64.load32_u", 8: "i64.load" } as const;
const STORE_I64 = { 1: "i64.store8", 2: "i64.store16", 4: "i64.store32", 8: "i64.store" } as const;

/** Where the emitter of a handler keeps the values of its nodes. */
export interface NodeValues {
  push(node: Node): void;
  statements(block: Block): void;
  localOf(node: Node): number | undefined;
  setLocal(node: Node, local: number): void;
  /** A local that is given back at the handler's end. */
  temporary(type: ValueType): number;
}

/** Writes the code of memory accesses: the soft TLB's fast path in place, everything else by a call. */
export class MemoryEmitter {
  readonly #frame: HandlerFrame;
  readonly #values: NodeValues;
  /** A store was emitted after which the loop may have to be left. */
  mayLeave = false;

  constructor(frame: HandlerFrame, values: NodeValues) {
    this.#frame = frame;
    this.#values = values;
  }

  /** Leaves 1 on the stack when the fast path may be taken; sets `entry` to the soft-TLB entry. */
  #probe(address: number, entry: number, access: Access, tag: number): void {
    const { body, pe } = this.#frame;
    if (access.unprivileged) body.get(pe).memory("i32.load", PE_LAYOUT.TLB_BANK_UNPRIVILEGED);
    else this.#frame.pushBank();
    body.get(address).op("i32.wrap_i64").i32(7).op("i32.shr_u");
    body
      .i32((SOFT_TLB.ENTRIES - 1) * SOFT_TLB.ENTRY_SIZE)
      .op("i32.and")
      .op("i32.add")
      .tee(entry);
    body.memory("i64.load", tag).get(address);
    if (access.bytes > 1) body.i64(BigInt(access.bytes - 1)).op("i64.add");
    body.i64(-4096n).op("i64.and").op("i64.eq");
    if (access.aligned && access.bytes > 1) {
      body
        .get(address)
        .op("i32.wrap_i64")
        .i32(access.bytes - 1)
        .op("i32.and")
        .op("i32.eqz")
        .op("i32.and");
    }
  }

  #hostAddress(address: number, entry: number): void {
    this.#frame.body
      .get(address)
      .op("i32.wrap_i64")
      .get(entry)
      .memory("i32.load", SOFT_TLB.ADDEND)
      .op("i32.add");
  }

  #callSlow(index: number, address: number, access: Access): void {
    const { body, pe } = this.#frame;
    this.#frame.spill();
    body.get(pe).get(address).op("i32.wrap_i64").get(address).i64(32n).op("i64.shr_u").op("i32.wrap_i64");
    body.i32(access.bytes).i32(accessFlags(access)).call(index);
  }

  /** A virtual address as a local, so that it can be used several times. */
  #addressLocal(address: Node): number {
    const known = this.#values.localOf(address);
    if (known !== undefined) return known;
    const local = this.#values.temporary("i64");
    this.#values.push(address);
    this.#frame.body.set(local);
    this.#values.setLocal(address, local);
    return local;
  }

  loadAddress(inputs: readonly Node[], access: Access): void {
    const [input] = inputs;
    if (input === undefined) throw new Bug("a load has no address");
    const { body } = this.#frame;
    const address = this.#addressLocal(input);
    const entry = this.#values.temporary("i32");
    this.#probe(address, entry, access, SOFT_TLB.READ_TAG);
    body.if("i32", "likely");
    this.#hostAddress(address, entry);
    body.else();
    this.#callOrLeave(this.#frame.imports.slowLoad, address, access, entry);
    body.end();
  }

  /** Leaves 1 on the stack when the soft TLB lets stores through. */
  isWritable([input]: readonly Node[], access: Access): void {
    if (input === undefined) throw new Bug("nothing says what may be writable");
    this.#probe(this.#addressLocal(input), this.#values.temporary("i32"), access, SOFT_TLB.WRITE_TAG);
  }

  /** Leaves a host address on the stack, or leaves the handler. */
  #callOrLeave(index: number, address: number, access: Access, temporary: number): void {
    if (this.#frame.leavesSlowCases) {
      this.#frame.exit();
      return;
    }
    this.#callSlow(index, address, access);
    this.#exitIfZero(temporary);
  }

  /** Leaves the handler when the i32 on the stack is 0, keeps it otherwise. */
  #exitIfZero(temporary: number): void {
    const { body } = this.#frame;
    body.tee(temporary).op("i32.eqz");
    body.if(undefined, "unlikely");
    this.#frame.exit();
    body.end();
    body.get(temporary);
  }

  store(
    addressNode: Node,
    access: Access,
    parts: readonly { offset: number; bytes: number; value: Node }[],
  ): void {
    const address = this.#addressLocal(addressNode);
    const values = parts.map(({ value }) => {
      const known = this.#values.localOf(value);
      if (known !== undefined) return known;
      const local = this.#values.temporary(value.type);
      this.#values.push(value);
      this.#frame.body.set(local);
      return local;
    });
    this.#storeLocals(
      address,
      access,
      parts.map(({ offset, bytes }, index) => ({ offset, bytes, local: values[index] ?? 0 })),
    );
  }

  #storeLocals(
    address: number,
    access: Access,
    parts: readonly { offset: number; bytes: number; local: number }[],
  ): void {
    const { body, pe } = this.#frame;
    const entry = this.#values.temporary("i32");
    const writeParts = (host: number, base: number): void => {
      for (const { offset, bytes, local } of parts) {
        body.get(host).get(local);
        if (bytes === 16) body.memory("v128.store", base + offset);
        else body.memory(STORE_I64[storeSize(bytes)], base + offset);
      }
    };
    this.#probe(address, entry, access, SOFT_TLB.WRITE_TAG);
    if (this.#frame.leavesSlowCases) {
      this.#placeToWrite(address, entry, access);
      body.set(entry);
      writeParts(entry, 0);
      return;
    }
    body.if(undefined, "likely");
    this.#hostAddress(address, entry);
    body.set(entry);
    writeParts(entry, 0);
    body.else();
    writeParts(pe, PE_LAYOUT.SCRATCH);
    this.#callSlow(this.#frame.imports.slowStore, address, access);
    this.#afterSlowStore(entry);
    body.end();
  }

  /** Stack: whether the probe hit. Leaves the host address, or leaves the handler when there is none. */
  #placeToWrite(address: number, entry: number, access: Access): void {
    const { body } = this.#frame;
    body.if("i32", "likely");
    this.#hostAddress(address, entry);
    body.else();
    this.#callOrLeave(this.#frame.imports.prepareWrite, address, access, entry);
    body.end();
  }

  /** Stack: slowStore's answer (0 done, 1 fault, 2 leave after this instruction). */
  #afterSlowStore(temporary: number): void {
    const { body, leave } = this.#frame;
    this.mayLeave = true;
    body.tee(temporary);
    body.if();
    body.get(temporary).i32(1).op("i32.eq");
    body.if();
    this.#frame.exit();
    body.end();
    body.i32(1).set(leave);
    body.end();
  }

  atomic(node: Node): void {
    const { shape } = node;
    const [input] = node.inputs;
    if (shape.kind !== "atomic" || input === undefined) throw new Bug("an atomic has no address");
    const { body, pe } = this.#frame;
    const { access, update, old } = shape;
    const bytes = storeSize(access.bytes / old.length);
    const address = this.#addressLocal(input);
    const entry = this.#values.temporary("i32");
    const host = this.#values.temporary("i32");
    this.#probe(address, entry, access, SOFT_TLB.WRITE_TAG);
    this.#placeToWrite(address, entry, access);
    body.set(host);
    old.forEach((node, index) => {
      const local = this.#values.temporary("i64");
      body
        .get(host)
        .memory(LOAD_I64[bytes], index * bytes)
        .set(local);
      this.#values.setLocal(node, local);
    });
    this.#values.statements(update);
    update.results.forEach((value, index) => {
      body.get(host);
      this.#values.push(value);
      body.memory(STORE_I64[bytes], index * bytes);
    });
    if (this.#frame.leavesSlowCases) return;
    body.get(host).get(pe).i32(PE_LAYOUT.SCRATCH).op("i32.add").op("i32.eq");
    body.if();
    this.#callSlow(this.#frame.imports.slowStore, address, access);
    this.#afterSlowStore(entry);
    body.end();
  }

  armExclusive(node: Node, bytes: number, pair: boolean): void {
    const { body, pe } = this.#frame;
    const [host, first, second] = node.inputs;
    if (host === undefined || first === undefined || second === undefined) throw new Bug("bad exclusive");
    body.get(pe);
    this.#values.push(host);
    body.memory("i32.store", PE_LAYOUT.EXCLUSIVE_ADDRESS);
    body
      .get(pe)
      .i32(pair ? bytes * 2 : bytes)
      .memory("i32.store", PE_LAYOUT.EXCLUSIVE_SIZE);
    body.get(pe);
    this.#values.push(first);
    body.memory("i64.store", PE_LAYOUT.EXCLUSIVE_VALUE).get(pe);
    this.#values.push(second);
    body.memory("i64.store", PE_LAYOUT.EXCLUSIVE_VALUE + 8);
    body.i32(0);
  }

  /** Leaves the status on the stack. The monitor is by host address, so aliases of a page agree. */
  storeExclusive(node: Node, access: Access, size: number, pair: boolean): void {
    const { body, pe } = this.#frame;
    const [input, ...values] = node.inputs;
    if (input === undefined) throw new Bug("an exclusive store has no address");
    const bytes = storeSize(size);
    const address = this.#addressLocal(input);
    const host = this.#values.temporary("i32");
    const status = this.#values.temporary("i32");
    this.loadAddress([input], access);
    body.set(host).i32(1).set(status);
    body.get(pe).memory("i32.load", PE_LAYOUT.EXCLUSIVE_ADDRESS).get(host).op("i32.eq");
    body.get(pe).memory("i32.load", PE_LAYOUT.EXCLUSIVE_SIZE).i32(access.bytes).op("i32.eq").op("i32.and");
    body.get(host).memory(LOAD_I64[bytes]);
    body.get(pe).memory("i64.load", PE_LAYOUT.EXCLUSIVE_VALUE).op("i64.eq").op("i32.and");
    if (pair) {
      body.get(host).memory(LOAD_I64[bytes], bytes);
      body
        .get(pe)
        .memory("i64.load", PE_LAYOUT.EXCLUSIVE_VALUE + 8)
        .op("i64.eq")
        .op("i32.and");
    }
    const openMonitor = () => body.get(pe).i32(0).memory("i32.store", PE_LAYOUT.EXCLUSIVE_ADDRESS);
    // A region may yet leave the instruction to the interpreter, which needs the monitor as it was.
    if (!this.#frame.leavesSlowCases) openMonitor();
    body.if();
    const locals = values.map((value) => {
      const local = this.#values.temporary("i64");
      this.#values.push(value);
      body.set(local);
      return local;
    });
    const parts = locals.slice(0, pair ? 2 : 1);
    this.#storeLocals(
      address,
      access,
      parts.map((local, index) => ({ offset: index * bytes, bytes, local })),
    );
    body.i32(0).set(status).end();
    if (this.#frame.leavesSlowCases) openMonitor();
    body.get(status);
  }
}

function storeSize(bytes: number): 1 | 2 | 4 | 8 {
  if (bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8) return bytes;
  throw new Bug(`no store of ${bytes} bytes exists`);
}
