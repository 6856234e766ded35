import type { AccessWidth, MmioDevice } from "../../src/memory/mmio-device.ts";
import { PAGE, TableBuilder } from "./table-builder.ts";
import { halves, RAM_BASE, type RegisterValues, TranslationMachine } from "./translation-machine.ts";

/** Descriptor attributes: AP, nG. */
export const USER = 1n << 6n;
export const READ_ONLY = 1n << 7n;
export const NOT_GLOBAL = 1n << 11n;

/** Where {@link setUpAccesses} maps its pages and its device. */
export const DATA = RAM_BASE + 0x10_0000;
export const DEVICE_VA = 0x20_0000n;
export const DEVICE_AT = 0x0900_0000;

/** Both halves with 48 bits and 4 KiB pages; MMU, caches and stack alignment on. */
export const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n);
export const SCTLR = 0x1005n;

/** A device that notes its accesses. */
export class Register implements MmioDevice {
  readonly name = "register";
  readonly size = 0x1000;
  value = 0x1234_5678;
  readonly log: string[] = [];
  read(offset: number, width: AccessWidth): number {
    this.log.push(`r${width}@${offset}`);
    return this.value & (2 ** (width * 8) - 1);
  }
  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`w${width}@${offset}=${value.toString(16)}`);
  }
  reset(): void {}
}

/** EL1 with pages 0x1000 to 0x3000 at DATA (in reverse order), Device memory at DEVICE_VA. */
export function setUpAccesses(more: RegisterValues = {}) {
  const machine = new TranslationMachine({ elements: 2 });
  const tables = new TableBuilder(machine);
  const device = new Register();
  machine.bus.attach(DEVICE_AT, device);
  tables.map(0x1000n, DATA + 0x2000, PAGE);
  tables.map(0x2000n, DATA + 0x1000, PAGE);
  tables.map(0x3000n, DATA, PAGE | READ_ONLY);
  tables.map(DEVICE_VA, DEVICE_AT, PAGE | (1n << 2n));
  const registers: RegisterValues = {
    SCTLR_EL1: SCTLR,
    TCR_EL1: TCR,
    TTBR0_EL1: BigInt(tables.root),
    TTBR1_EL1: BigInt(tables.root),
    MAIR_EL1: 0x00ffn,
    ...more,
  };
  machine.setRegisters(registers);
  machine.setRegisters(registers, 1);
  const { access } = machine.mmu;
  const load = (va: bigint, size: number, flags = 0) => {
    const host = access.load(...halves(va), size, flags);
    return host === 0 ? access.fault : machine.memory.bytes.slice(host, host + size);
  };
  const store = (va: bigint, bytes: readonly number[], flags = 0) => {
    machine.memory.bytes.set(bytes, machine.scratch);
    return access.store(...halves(va), bytes.length, flags);
  };
  return { machine, tables, device, access, load, store };
}
