import type { GuestCaller } from "../../src/hypervisor/services/guest-caller.ts";
import { FAULT_STATUS, faultOutsideWalk } from "../../src/mmu/memory-fault.ts";

/** A caller with registers and a piece of memory at an address; everything else faults. */
export class FakeCaller implements GuestCaller {
  readonly index = 0;
  level = 0;
  readonly registers = new BigUint64Array(31);
  readonly base: bigint;
  readonly memory: Uint8Array;

  constructor(base = 0x10000n, length = 4096) {
    this.base = base;
    this.memory = new Uint8Array(length);
  }

  x(register: number): bigint {
    return this.registers[register] ?? 0n;
  }

  setX(register: number, value: bigint): void {
    this.registers[register] = value;
  }

  #at(address: bigint, length: number): number | undefined {
    const at = Number(address - this.base);
    return address >= this.base && at + length <= this.memory.length ? at : undefined;
  }

  read(address: bigint, length: number) {
    const at = this.#at(address, length);
    if (at === undefined) return faultOutsideWalk(FAULT_STATUS.EXTERNAL_ABORT, address, "read");
    return this.memory.slice(at, at + length);
  }

  write(address: bigint, bytes: Uint8Array) {
    const at = this.#at(address, bytes.length);
    if (at === undefined) return faultOutsideWalk(FAULT_STATUS.EXTERNAL_ABORT, address, "write");
    this.memory.set(bytes, at);
    return undefined;
  }
}
