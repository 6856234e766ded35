/** Constants that `ldr register, =expression` loads, until `.ltorg` or the end puts them down. */
export interface PoolEntry {
  readonly bytes: 4 | 8;
  readonly expression: string;
  address: bigint | undefined;
}

export class LiteralPool {
  #pending: PoolEntry[] = [];

  /** The entry for an expression: pending ones are shared. */
  request(expression: string, bytes: 4 | 8): PoolEntry {
    const shared = this.#pending.find((entry) => entry.expression === expression && entry.bytes === bytes);
    if (shared) return shared;
    const entry = { bytes, expression, address: undefined };
    this.#pending.push(entry);
    return entry;
  }

  /** Gives all pending entries addresses from `at` (8-byte ones first, aligned) and returns them. */
  place(at: bigint): readonly PoolEntry[] {
    const placed = this.#pending.sort((a, b) => b.bytes - a.bytes);
    let address = at;
    for (const entry of placed) {
      const alignment = BigInt(entry.bytes);
      address = ((address + alignment - 1n) / alignment) * alignment;
      entry.address = address;
      address += alignment;
    }
    this.#pending = [];
    return placed;
  }
}
