import { assert } from "./errors.ts";

/** A typed array whose elements are part of a state; its length is the part's own and never changes. */
export type StateArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | BigUint64Array;

/**
 * One thing that a part of a machine remembers, by name: what a state stream writes and reads (spec S5). The description
 * is all there is: writing and reading both follow it, so they cannot differ.
 */
export type StateField =
  /** An integer from `least` to `most`. */
  | Named<"number", { readonly least: number; readonly most: number } & Place<number>>
  /** 64 bits, unsigned. */
  | Named<"u64", Place<bigint>>
  | Named<"array", { readonly array: StateArray }>
  /** Up to `longest` integers from 0 to `most`. */
  | Named<"list", { readonly longest: number; readonly most: number } & Place<readonly number[]>>
  | Named<"bytes", { readonly longest: number } & Place<Uint8Array>>
  | Named<"choice", { readonly of: readonly string[] } & Place<string>>;

type Named<Kind extends string, Rest> = { readonly kind: Kind; readonly name: string } & Rest;

/** Where a field's value lives. `set` only keeps it: what follows from it is for {@link Stateful.stateRestored}. */
interface Place<Value> {
  get(): Value;
  set(value: Value): void;
}

/** A part of a machine whose state can be written and restored. */
export interface Stateful {
  /** All that it needs to go on in another machine of the same configuration, always in the same order. */
  stateFields(): readonly StateField[];
  /** Called when all parts have their fields back, memory included: sets what follows from them. */
  stateRestored?(): void;
}

/** A field of integers from 0 to `most`, or from `least` on. */
export function numberField(
  name: string,
  most: number,
  get: () => number,
  set: (value: number) => void,
  least = 0,
): StateField {
  return { kind: "number", name, least, most, get, set };
}

/** Properties of `owner` that hold integers from 0 to the number given here. */
export function numberFields<Key extends string>(
  owner: Record<Key, number>,
  limits: Readonly<Record<Key, number>>,
): StateField[] {
  // Object.keys of a record gives its keys.
  return (Object.keys(limits) as Key[]).map((key) =>
    numberField(
      key,
      limits[key],
      () => owner[key],
      (value) => {
        owner[key] = value;
      },
    ),
  );
}

export function flagField(name: string, get: () => boolean, set: (value: boolean) => void): StateField {
  return numberField(
    name,
    1,
    () => (get() ? 1 : 0),
    (value) => set(value === 1),
  );
}

export function u64Field(name: string, get: () => bigint, set: (value: bigint) => void): StateField {
  return { kind: "u64", name, get, set };
}

export function arrayField(name: string, array: StateArray): StateField {
  return { kind: "array", name, array };
}

export function bytesField(
  name: string,
  longest: number,
  get: () => Uint8Array,
  set: (value: Uint8Array) => void,
): StateField {
  return { kind: "bytes", name, longest, get, set };
}

export function listField(
  name: string,
  limits: { readonly longest: number; readonly most: number },
  get: () => readonly number[],
  set: (value: readonly number[]) => void,
): StateField {
  return { kind: "list", name, ...limits, get, set };
}

export function choiceField<Choice extends string>(
  name: string,
  of: readonly Choice[],
  get: () => Choice,
  set: (value: Choice) => void,
): StateField {
  const chosen = (value: string): void => {
    const choice = of.find((each) => each === value);
    assert(choice !== undefined, `${value} is no choice of the field ${name}`);
    set(choice);
  };
  return { kind: "choice", name, of, get, set: chosen };
}

/** The fields of a part's part. */
export function nestedFields(prefix: string, fields: readonly StateField[]): StateField[] {
  return fields.map((field) => ({ ...field, name: `${prefix}.${field.name}` }));
}
