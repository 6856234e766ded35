/** A memory with loaded files: their bytes and where each begins. */
export interface LoadedFiles {
  readonly base: number;
  readonly bytes: Uint8Array;
  readonly places: ReadonlyMap<string, number>;
}

const COMMAND_SIZE = 128;

/** Does what firmware does with QEMU's table-loader script: files go one after the other to `base`. */
export function loadTables(files: ReadonlyMap<string, Uint8Array>, base: number): LoadedFiles {
  const script = Buffer.from(files.get("etc/table-loader") ?? []);
  const places = new Map<string, number>();
  const bytes = Buffer.alloc(1 << 20);
  let end = 0;
  const place = (name: string): number => {
    const start = places.get(name);
    if (start === undefined) throw new Error(`the script names ${name} before it allocates it`);
    return start - base;
  };
  for (let at = 0; at < script.length; at += COMMAND_SIZE) {
    const name = (offset: number): string =>
      script.toString("latin1", at + offset, at + offset + 56).replace(/\0.*/s, "");
    const word = (offset: number): number => script.readUInt32LE(at + offset);
    switch (word(0)) {
      case 0:
        break;
      case 1: {
        const content = files.get(name(4));
        if (content === undefined) throw new Error(`there is no file ${name(4)}`);
        const alignment = word(60);
        end = Math.ceil(end / alignment) * alignment;
        places.set(name(4), base + end);
        bytes.set(content, end);
        end += content.length;
        break;
      }
      case 2: {
        const pointer = place(name(4)) + word(116);
        if (script[at + 120] !== 8) throw new Error("a pointer that is not 64 bits wide");
        bytes.writeBigUInt64LE(bytes.readBigUInt64LE(pointer) + BigInt(places.get(name(60))!), pointer);
        break;
      }
      case 3: {
        const start = place(name(4));
        const range = bytes.subarray(start + word(64), start + word(64) + word(68));
        const checksum = start + word(60);
        if (bytes[checksum] !== 0) throw new Error("a checksum that is not zero before it is computed");
        bytes[checksum] = -range.reduce((sum, byte) => sum + byte, 0) & 0xff;
        break;
      }
      default:
        throw new Error(`an unknown command ${word(0)}`);
    }
  }
  return { base, bytes: new Uint8Array(bytes.subarray(0, end)), places };
}

/** The tables to which an RSDP in memory leads, by signature: what XSDT and FADT name, and the XSDT. */
export function findTables(memory: LoadedFiles, rsdp: number): Map<string, Uint8Array> {
  const all = Buffer.from(memory.bytes);
  const table = (address: number): Buffer => {
    const start = address - memory.base;
    return all.subarray(start, start + all.readUInt32LE(start + 4));
  };
  const pointer = (bytes: Buffer, offset: number): number => Number(bytes.readBigUInt64LE(offset));
  const xsdt = table(pointer(all.subarray(rsdp - memory.base), 24));
  const tables = [xsdt];
  for (let at = 36; at < xsdt.length; at += 8) tables.push(table(pointer(xsdt, at)));
  const fadt = tables.find((found) => found.toString("latin1", 0, 4) === "FACP");
  if (fadt !== undefined) tables.push(table(pointer(fadt, 140)));
  return new Map(tables.map((found) => [found.toString("latin1", 0, 4), new Uint8Array(found)]));
}
