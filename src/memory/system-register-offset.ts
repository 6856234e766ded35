import { registerIndex, type StoredRegisterName } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "./pe-layout.ts";

/** Byte offset of a system register's u64 from the processing element's base. */
export function systemRegisterOffset(name: StoredRegisterName): number {
  return PE_LAYOUT.SYSTEM_REGISTERS + 8 * registerIndex(name);
}
