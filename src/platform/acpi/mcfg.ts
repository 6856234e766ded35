import { ByteWriter } from "../../base/byte-writer.ts";
import { acpiTable, type TableIdentity } from "./table.ts";

/** A window of memory-mapped PCI configuration space, 1 MiB a bus. */
export interface ConfigurationSpace {
  /** Where bus 0 of the segment is, or would be. */
  readonly base: number;
  readonly segment: number;
  readonly startBus: number;
  readonly endBus: number;
}

/** The PCI Express memory-mapped configuration table (PCI Firmware Specification 3.2, section 4.1.2). */
export function writeMcfg(spaces: readonly ConfigurationSpace[], identity?: TableIdentity): Uint8Array {
  const body = new ByteWriter().u64(0);
  for (const { base, segment, startBus, endBus } of spaces)
    body.u64(base).u16(segment).u8(startBus).u8(endBus).u32(0);
  return acpiTable("MCFG", 1, body.finish(), identity);
}
