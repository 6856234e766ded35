import { bytesField, type StateField } from "../../base/state-fields.ts";

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

  stateFields(): readonly StateField[] {
    const longest = 2 * MOST_ENTRIES * (LONGEST_KEY + LONGEST_VALUE);
    return [
      bytesField(
        "values",
        longest,
        () => encode(this.#values),
        (bytes) => this.#restore(bytes),
      ),
    ];
  }

  #restore(bytes: Uint8Array): void {
    this.#values.clear();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 8 <= bytes.length; ) {
      const [key, value] = [at + 8 + view.getUint32(at, true), view.getUint32(at + 4, true)];
      if (key + value > bytes.length) return;
      this.set(new TextDecoder().decode(bytes.slice(at + 8, key)), bytes.slice(key, key + value));
      at = key + value;
    }
  }

  entries(): ReadonlyMap<string, Uint8Array> {
    return this.#values;
  }
}

/** Each entry: lengths of key and value, u32 each, then both. */
function encode(values: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const entries = [...values].map(([key, value]) => ({ key: new TextEncoder().encode(key), value }));
  const whole = new Uint8Array(
    entries.reduce((sum, { key, value }) => sum + 8 + key.length + value.length, 0),
  );
  const view = new DataView(whole.buffer);
  let at = 0;
  for (const { key, value } of entries) {
    view.setUint32(at, key.length, true);
    view.setUint32(at + 4, value.length, true);
    whole.set(key, at + 8);
    whole.set(value, at + 8 + key.length);
    at += 8 + key.length + value.length;
  }
  return whole;
}
