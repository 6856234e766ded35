/** Entries and bytes that a guest may keep at its host. */
const MOST_ENTRIES = 1024;
const LONGEST_KEY = 128;
const LONGEST_VALUE = 65_536;

/** Named values that guest and host leave for each other, such as the guest's addresses. Values are bytes. */
export class GuestInfo {
  readonly #values = new Map<string, Uint8Array>();

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  /** False where the key or value is too long, or there are too many. An empty value stays an entry. */
  set(key: string, value: Uint8Array): boolean {
    if (key.length === 0 || key.length > LONGEST_KEY || value.length > LONGEST_VALUE) return false;
    if (!this.#values.has(key) && this.#values.size >= MOST_ENTRIES) return false;
    this.#values.set(key, value.slice());
    return true;
  }

  entries(): ReadonlyMap<string, Uint8Array> {
    return this.#values;
  }
}
