import { UserError } from "../../base/errors.ts";

/** What a machine says that it is, by SMBIOS structure type and field; all of it is text. */
export const IDENTITY_FIELDS = {
  0: ["vendor", "version", "date"],
  1: ["manufacturer", "product", "version", "serial", "uuid", "sku", "family"],
  2: ["manufacturer", "product", "version", "serial", "asset", "location"],
  3: ["manufacturer", "version", "serial", "asset", "sku"],
} as const;

/** Structures whose texts a user may choose: firmware, system, board, chassis. */
export type IdentityType = keyof typeof IDENTITY_FIELDS;

/** Texts by type and field. What is left out has its default or is not there. */
export type SmbiosIdentity = {
  readonly [Type in IdentityType]?: Readonly<Partial<Record<(typeof IDENTITY_FIELDS)[Type][number], string>>>;
};

const LONGEST_TEXT = 255;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** One setting as users write it: "type=1,manufacturer=ACME,serial=42". */
export function parseIdentity(setting: string): SmbiosIdentity {
  const [head = "", ...pairs] = setting.split(",");
  const type = /^type=(\d+)$/.exec(head)?.[1];
  if (type === undefined || !isIdentityType(type)) {
    const types = Object.keys(IDENTITY_FIELDS).join(", ");
    throw misuse(`begins with "${head}"; begin it with type=N, where N is one of ${types}`);
  }
  const known: readonly string[] = IDENTITY_FIELDS[type];
  const texts: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const field = equals < 0 ? pair : pair.slice(0, equals);
    const value = equals < 0 ? "" : pair.slice(equals + 1);
    if (!known.includes(field)) {
      throw misuse(`has the field "${field}"; type ${type} has ${known.join(", ")}`);
    }
    checkText(field, value);
    texts[field] = value;
  }
  return { [type]: texts };
}

/** Later settings of the same field win. */
export function mergeIdentities(identities: readonly SmbiosIdentity[]): SmbiosIdentity {
  const merged: Record<string, Record<string, string>> = {};
  for (const identity of identities) {
    for (const [type, texts] of Object.entries(identity)) merged[type] = { ...merged[type], ...texts };
  }
  return merged;
}

function isIdentityType(text: string | number): text is IdentityType {
  return Object.hasOwn(IDENTITY_FIELDS, text);
}

function checkText(field: string, value: string): void {
  if (field === "uuid" && !UUID.test(value)) {
    throw misuse(`has the uuid "${value}"; write it as 01234567-89ab-cdef-0123-456789abcdef`);
  }
  if (value === "") throw misuse(`has no value for ${field}; write ${field}=TEXT or leave it out`);
  if (value.length > LONGEST_TEXT)
    throw misuse(`has ${value.length} characters for ${field}; give at most ${LONGEST_TEXT}`);
  if (!/^[ -~]+$/.test(value)) throw misuse(`has more than printable ASCII in ${field}; use only that`);
}

function misuse(what: string): UserError {
  return new UserError(`An SMBIOS setting ${what}.`, { exitStatus: 2 });
}
