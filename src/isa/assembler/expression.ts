/** Names that expressions may use: a value, or undefined where there is no such name. */
export type SymbolLookup = (name: string) => bigint | undefined;

/** The value of an expression and how much text it took. */
export interface Evaluated {
  readonly value: bigint;
  readonly length: number;
}

type BinaryOperator = (a: bigint, b: bigint) => bigint;

/** Binding strength as in C; a higher number binds tighter. */
const OPERATORS: Readonly<Record<string, readonly [number, BinaryOperator]>> = {
  "|": [1, (a, b) => a | b],
  "^": [2, (a, b) => a ^ b],
  "&": [3, (a, b) => a & b],
  "<<": [4, (a, b) => a << b],
  ">>": [4, (a, b) => a >> b],
  "+": [5, (a, b) => a + b],
  "-": [5, (a, b) => a - b],
  "*": [6, (a, b) => a * b],
  "/": [6, (a, b) => (b === 0n ? 0n : a / b)],
};

/** Parts of an address that instructions take: the low 12 bits, or one of its four halfwords. */
const RELOCATIONS: Readonly<Record<string, (value: bigint) => bigint>> = {
  lo12: (value) => value & 0xfffn,
  abs_g0: (value) => value & 0xffffn,
  abs_g1: (value) => (value >> 16n) & 0xffffn,
  abs_g2: (value) => (value >> 32n) & 0xffffn,
  abs_g3: (value) => (value >> 48n) & 0xffffn,
};

/**
 * Evaluates the longest expression at the start of `text`: numbers, characters, symbols, `.`, `1f`, unary and
 * binary operators, parentheses, `:lo12:`. Undefined where no expression starts (a register, say) or where
 * a fractional number stands.
 */
export function evaluate(text: string, lookup: SymbolLookup): Evaluated | undefined {
  return binary(text, 0, lookup);
}

function binary(text: string, strength: number, lookup: SymbolLookup): Evaluated | undefined {
  let left = primary(text, lookup);
  while (left) {
    const match = /^\s*(<<|>>|[|^&+\-*/])/.exec(text.slice(left.length));
    const operator = match && OPERATORS[match[1]!];
    if (!match || !operator || operator[0] <= strength) return left;
    const start = left.length + match[0].length;
    const right = binary(text.slice(start), operator[0], lookup);
    if (!right) return left;
    left = { value: operator[1](left.value, right.value), length: start + right.length };
  }
  return left;
}

function primary(text: string, lookup: SymbolLookup): Evaluated | undefined {
  const blanks = /^\s*/.exec(text)![0].length;
  const rest = text.slice(blanks);
  const within = (
    found: Evaluated | undefined,
    before: number,
    change: (value: bigint) => bigint,
    after = 0,
  ) => found && { value: change(found.value), length: blanks + before + found.length + after };
  if (rest[0] === "-") return within(primary(rest.slice(1), lookup), 1, (value) => -value);
  if (rest[0] === "~") return within(primary(rest.slice(1), lookup), 1, (value) => ~value);
  if (rest[0] === "(") {
    const inner = binary(rest.slice(1), 0, lookup);
    const close = inner && /^\s*\)/.exec(rest.slice(1 + inner.length));
    return close ? within(inner, 1, (value) => value, close[0].length) : undefined;
  }
  const relocation = /^:(\w+?)(?:_nc)?:/.exec(rest);
  if (relocation) {
    const part = RELOCATIONS[relocation[1]!];
    return part && within(binary(rest.slice(relocation[0].length), 0, lookup), relocation[0].length, part);
  }
  const character = /^'(\\?.)'/.exec(rest);
  if (character) {
    const code = character[1] === "\\n" ? 10 : character[1]!.at(-1)!.charCodeAt(0);
    return { value: BigInt(code), length: blanks + character[0].length };
  }
  const number = /^(0x[0-9a-f]+|0b[01]+|\d+)(?![\w.])/i.exec(rest);
  if (number) return { value: BigInt(number[1]!), length: blanks + number[0].length };
  const symbol = /^(?:[A-Za-z_.$][\w.$]*|\d+[fb](?!\w))/.exec(rest);
  const value = symbol ? lookup(symbol[0]) : undefined;
  return value === undefined ? undefined : { value, length: blanks + symbol![0].length };
}
