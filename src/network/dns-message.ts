import type { IpAddress } from "./addresses.ts";

/** Record types (RFC 1035, RFC 3596). */
export const RECORD = { A: 1, PTR: 12, AAAA: 28 } as const;
/** Response codes. */
export const RESPONSE = { OK: 0, FORMAT_ERROR: 1, SERVER_FAILURE: 2, NO_NAME: 3, REFUSED: 5 } as const;

const HEADER = 12;
const CLASS_INTERNET = 1;
/** Pointers of compressed names: more than these in one name are a loop. */
const MOST_POINTERS = 32;

export interface DnsQuestion {
  /** Labels with dots between, no dot at the end, as it was sent. */
  readonly name: string;
  readonly type: number;
  /** Bytes from the message's start to the question's end. */
  readonly end: number;
}

/** The question of a query with exactly one; undefined for anything else. */
export function questionOf(message: Uint8Array): DnsQuestion | undefined {
  // Neither an answer, nor another operation than a standard query.
  if (message.length < HEADER || (message[2]! & 0xf8) !== 0 || word(message, 4) !== 1) return undefined;
  const name = readName(message, HEADER);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  if (word(message, name.end + 2) !== CLASS_INTERNET) return undefined;
  return { name: name.text, type: word(message, name.end), end: name.end + 4 };
}

/** The addresses in the answer section. Malformed messages have none. */
export function addressesOf(message: Uint8Array): IpAddress[] {
  if (message.length < HEADER) return [];
  let at = HEADER;
  for (let i = word(message, 4); i > 0; i--) {
    const name = readName(message, at);
    if (name === undefined) return [];
    at = name.end + 4;
  }
  const addresses: IpAddress[] = [];
  for (let i = word(message, 6); i > 0; i--) {
    const name = readName(message, at);
    if (name === undefined || name.end + 10 > message.length) return addresses;
    const [type, length] = [word(message, name.end), word(message, name.end + 8)];
    at = name.end + 10 + length;
    if (at > message.length) return addresses;
    const data = message.slice(at - length, at);
    if ((type === RECORD.A && length === 4) || (type === RECORD.AAAA && length === 16)) addresses.push(data);
  }
  return addresses;
}

/** An answer without records. */
export function emptyAnswer(query: Uint8Array, response: number): Uint8Array {
  return answerWith(query, [], 0, response);
}

/** An answer to `query`, whose question is well-formed, with the data of records of the type that it asks for. */
export function answerWith(
  query: Uint8Array,
  records: readonly Uint8Array[],
  timeToLive: number,
  response: number = RESPONSE.OK,
): Uint8Array {
  const question = questionOf(query);
  const end = question?.end ?? HEADER;
  const size = records.reduce((sum, { length }) => sum + 12 + length, 0);
  const message = new Uint8Array(end + size);
  message.set(query.subarray(0, end));
  const view = new DataView(message.buffer);
  // Response, recursion available; "recursion desired" as in the query.
  view.setUint16(2, 0x8080 | (word(query, 2) & 0x0100) | response);
  view.setUint16(4, question === undefined ? 0 : 1);
  view.setUint16(6, records.length);
  view.setUint32(8, 0);
  let at = end;
  for (const data of records) {
    // The name is the question's.
    view.setUint16(at, 0xc000 | HEADER);
    view.setUint16(at + 2, question?.type ?? 0);
    view.setUint16(at + 4, CLASS_INTERNET);
    view.setUint32(at + 6, timeToLive);
    view.setUint16(at + 10, data.length);
    message.set(data, at + 12);
    at += 12 + data.length;
  }
  return message;
}

/** A name as records hold it, uncompressed; undefined where a label is too long. */
export function encodeName(name: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const label of name.split(".").filter((part) => part !== "")) {
    const text = [...label].map((character) => character.charCodeAt(0));
    if (text.length > 63 || text.some((code) => code > 0xff)) return undefined;
    bytes.push(text.length, ...text);
  }
  bytes.push(0);
  return bytes.length > 255 ? undefined : Uint8Array.from(bytes);
}

function word(message: Uint8Array, at: number): number {
  return ((message[at] ?? 0) << 8) | (message[at + 1] ?? 0);
}

function readName(message: Uint8Array, start: number): { text: string; end: number } | undefined {
  const labels: string[] = [];
  let end: number | undefined;
  let at = start;
  let length = 0;
  for (let pointers = 0; ; ) {
    const size = message[at];
    if (size === undefined) return undefined;
    if (size === 0) return { text: labels.join("."), end: end ?? at + 1 };
    if ((size & 0xc0) === 0xc0) {
      if (at + 1 >= message.length || ++pointers > MOST_POINTERS) return undefined;
      end ??= at + 2;
      at = ((size & 0x3f) << 8) | message[at + 1]!;
      continue;
    }
    if ((size & 0xc0) !== 0 || at + 1 + size > message.length) return undefined;
    length += size + 1;
    if (length > 255) return undefined;
    labels.push(String.fromCharCode(...message.subarray(at + 1, at + 1 + size)));
    at += 1 + size;
  }
}
