import type { EncodedInstruction } from "../decoder.ts";
import { templatesOf } from "../disassembler.ts";
import { insertFields, SHOULD_BE_ONE } from "../encoding-pattern.ts";
import { DECODER } from "../table.ts";
import { splitChoice, type Template } from "../template.ts";

/** A template with the mnemonic's choices made. */
interface Candidate {
  readonly row: EncodedInstruction;
  readonly template: Template;
  readonly fields: Readonly<Record<string, number>>;
}

/** Where reading stopped: the furthest position in the operands, and what was wanted there. */
export interface EncodingFailure {
  readonly position: number;
  readonly problem: string;
}

function* candidatesOf(row: EncodedInstruction, template: Template): Generator<[string, Candidate]> {
  let expansions: [string, Readonly<Record<string, number>>][] = [["", {}]];
  for (const part of template.mnemonic) {
    expansions = expansions.flatMap(([text, fields]) => {
      if (part.type === "literal") return [[text + part.text, fields] as [string, typeof fields]];
      return part.alternatives.flatMap((alternative, index) => {
        if (alternative === undefined) return [];
        const values = splitChoice(part, index);
        const conflict = Object.keys(values).some((name) => name in fields && fields[name] !== values[name]);
        return conflict ? [] : [[text + alternative, { ...fields, ...values }] as [string, typeof fields]];
      });
    });
  }
  for (const [mnemonic, fields] of expansions) yield [mnemonic, { row, template, fields }];
}

function indexByMnemonic(): ReadonlyMap<string, readonly Candidate[]> {
  const index = new Map<string, Candidate[]>();
  for (const row of DECODER.rows) {
    for (const template of templatesOf(row)) {
      for (const [mnemonic, candidate] of candidatesOf(row, template)) {
        const list = index.get(mnemonic);
        if (list) list.push(candidate);
        else index.set(mnemonic, [candidate]);
      }
    }
  }
  return index;
}

const CANDIDATES = indexByMnemonic();

export function isMnemonic(text: string): boolean {
  return CANDIDATES.has(text);
}

/**
 * The word of an instruction without aliases at `pc`. Mnemonic and operands are in the printed form: lower case,
 * one blank after commas, symbols replaced by numbers.
 */
export function encode(mnemonic: string, operands: string, pc: bigint): number | EncodingFailure {
  let failure: EncodingFailure = { position: 0, problem: `there is no instruction "${mnemonic}"` };
  let first = true;
  for (const candidate of CANDIDATES.get(mnemonic) ?? []) {
    const result = encodeAs(candidate, operands, pc);
    if (typeof result === "number") return result;
    if (first || result.position > failure.position) failure = result;
    first = false;
  }
  return failure;
}

function encodeAs(
  { row, template, fields: preset }: Candidate,
  text: string,
  pc: bigint,
): number | EncodingFailure {
  const fields: Record<string, number | undefined> = { ...preset };
  let position = 0;
  for (const part of template.operands) {
    const rest = text.slice(position);
    if (part.type === "literal") {
      if (!rest.startsWith(part.text)) return { position, problem: `"${part.text.trim()}" is wanted here` };
      position += part.text.length;
      continue;
    }
    const known = part.arguments.map((each) => (typeof each === "number" ? each : fields[each]));
    const found = part.kind.parse(rest, pc, known);
    const values = found?.values ?? [];
    const conflict = known.some(
      (old, at) => old !== undefined && values[at] !== undefined && values[at] !== old,
    );
    if (!found || conflict) {
      return {
        position,
        problem: rest === "" ? "an operand is missing" : "this operand does not fit the instruction",
      };
    }
    part.arguments.forEach((name, at) => {
      if (typeof name === "string" && values[at] !== undefined) fields[name] = values[at];
    });
    position += found.length;
  }
  if (position < text.length) return { position, problem: "the instruction should have ended here" };
  return finish(row, template, fields, position);
}

function finish(
  row: EncodedInstruction,
  template: Template,
  found: Readonly<Record<string, number | undefined>>,
  position: number,
): number | EncodingFailure {
  const fields: Record<string, number> = {};
  for (const { name, width } of row.pattern.fields) {
    const ones = 2 ** width - 1;
    const value = found[name] ?? (SHOULD_BE_ONE.test(name) ? ones : 0);
    if (value < 0 || value > ones) return { position, problem: `${value} is out of range` };
    fields[name] = value;
  }
  const { where, operands } = row.instruction;
  const applies = (template.when?.(fields) ?? true) && (where?.(fields) ?? true);
  if (!applies || (operands && operands(fields) === undefined)) {
    return { position, problem: "this combination of operands does not exist" };
  }
  return insertFields(row.pattern, fields);
}
