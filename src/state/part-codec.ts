import { assertNever, UserError } from "../base/errors.ts";
import type { StateArray, StateField, Stateful } from "../base/state-fields.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";

/** A part under the name that a stream knows it by. */
export interface StatePart extends Stateful {
  readonly name: string;
}

/** Longest name of a part or a field, in characters. */
const LONGEST_NAME = 200;

/** A part's fields: each with its name, so that a stream of another version is recognised and never misread. */
export function encodePart(part: StatePart): Uint8Array {
  const writer = new ByteWriter();
  const fields = part.stateFields();
  writer.text(part.name);
  writer.number(fields.length);
  for (const field of fields) {
    writer.text(field.name);
    writeValue(field, writer);
  }
  return writer.finish();
}

/** Reads what {@link encodePart} wrote. Nothing is set before the functions that are returned are called. */
export function decodePart(part: StatePart, bytes: Uint8Array): (() => void)[] {
  const reader = new ByteReader(bytes);
  const name = reader.text(LONGEST_NAME);
  if (name !== part.name) throw mismatch(`it has "${name}" where this machine has "${part.name}"`);
  const fields = part.stateFields();
  const count = reader.number(0, Number.MAX_SAFE_INTEGER);
  if (count !== fields.length)
    throw mismatch(`"${part.name}" has ${count} values there and ${fields.length} here`);
  const setters = fields.map((field) => {
    const found = reader.text(LONGEST_NAME);
    if (found !== field.name)
      throw mismatch(`"${part.name}" has a value "${found}" there and "${field.name}" here`);
    return readValue(field, reader);
  });
  reader.end();
  return setters;
}

/** The stream belongs to a machine that is put together otherwise, or to another version of this program. */
export function mismatch(difference: string): UserError {
  return new UserError(
    `The snapshot does not fit this machine: ${difference}; give the options that its machine was started with, to the same version of elvisor.`,
  );
}

function writeValue(field: StateField, writer: ByteWriter): void {
  switch (field.kind) {
    case "number":
      writer.number(field.get());
      return;
    case "u64":
      writer.u64(field.get());
      return;
    case "array":
      writer.bytes(bytesOf(field.array));
      return;
    case "list": {
      const values = field.get();
      writer.number(values.length);
      for (const value of values) writer.number(value);
      return;
    }
    case "bytes":
      writer.bytes(field.get());
      return;
    case "choice":
      writer.text(field.get());
      return;
    default:
      assertNever(field, "a state field");
  }
}

function readValue(field: StateField, reader: ByteReader): () => void {
  switch (field.kind) {
    case "number": {
      const value = reader.number(field.least, field.most);
      return () => field.set(value);
    }
    case "u64": {
      const value = reader.u64();
      return () => field.set(value);
    }
    case "array": {
      const target = bytesOf(field.array);
      const value = reader.bytes(target.length);
      if (value.length !== target.length)
        throw mismatch(`"${field.name}" has ${value.length} bytes there and ${target.length} here`);
      return () => target.set(value);
    }
    case "list": {
      const length = reader.number(0, field.longest);
      const values = Array.from({ length }, () => reader.number(0, field.most));
      return () => field.set(values);
    }
    case "bytes": {
      const value = reader.bytes(field.longest);
      return () => field.set(value);
    }
    case "choice": {
      const value = reader.text(LONGEST_NAME);
      if (!field.of.includes(value)) throw mismatch(`"${field.name}" is "${value}" there`);
      return () => field.set(value);
    }
    default:
      return assertNever(field, "a state field");
  }
}

/** Every host that runs WebAssembly in practice is little-endian, as the stream is. */
function bytesOf(array: StateArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
