import { ByteWriter } from "../../base/byte-writer.ts";
import { Bug } from "../../base/errors.ts";
import { acpiTable, type TableIdentity } from "./table.ts";

/** Which processing elements and memory are near to each other. */
export interface SratInput {
  readonly cpus: readonly { readonly uid: number; readonly domain: number }[];
  readonly memory: readonly {
    readonly base: number;
    readonly size: number;
    readonly domain: number;
    readonly hotPluggable?: boolean;
    readonly nonVolatile?: boolean;
  }[];
  readonly translationServices?: readonly { readonly id: number; readonly domain: number }[];
  readonly identity?: TableIdentity;
}

/** Structure types and lengths in bytes (ACPI 6.4, section 5.2.16). */
const MEMORY = { type: 1, length: 40 } as const;
const GICC = { type: 3, length: 18 } as const;
const ITS = { type: 4, length: 12 } as const;
const ENABLED = 1;
const MEMORY_FLAG = { hotPluggable: 1 << 1, nonVolatile: 1 << 2 } as const;

/** The System Resource Affinity Table, revision 3. */
export function writeSrat(input: SratInput): Uint8Array {
  // A reserved field that must be 1, for old readers.
  const body = new ByteWriter().u32(1).u64(0);
  for (const { uid, domain } of input.cpus)
    body.u8(GICC.type).u8(GICC.length).u32(domain).u32(uid).u32(ENABLED).u32(0);
  for (const { base, size, domain, ...memory } of input.memory) {
    const flags =
      ENABLED |
      (memory.hotPluggable === true ? MEMORY_FLAG.hotPluggable : 0) |
      (memory.nonVolatile === true ? MEMORY_FLAG.nonVolatile : 0);
    body.u8(MEMORY.type).u8(MEMORY.length).u32(domain).u16(0).u64(base).u64(size).u32(0).u32(flags).u64(0);
  }
  for (const { id, domain } of input.translationServices ?? [])
    body.u8(ITS.type).u8(ITS.length).u32(domain).u16(0).u32(id);
  return acpiTable("SRAT", 3, body.finish(), input.identity);
}

/**
 * The System Locality Information Table (section 5.2.17): `distances[from][to]`, 10 for a domain's own memory,
 * 255 for "not reachable".
 */
export function writeSlit(distances: readonly (readonly number[])[], identity?: TableIdentity): Uint8Array {
  const body = new ByteWriter().u64(distances.length);
  for (const row of distances) {
    if (row.length !== distances.length) throw new Bug("a distance matrix is not square");
    body.bytes(Uint8Array.from(row));
  }
  return acpiTable("SLIT", 1, body.finish(), identity);
}
