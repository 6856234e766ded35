/** One statement of a source text: labels, then perhaps a directive or an instruction. */
export interface Statement {
  /** From 1. */
  readonly line: number;
  /** From 1, of the mnemonic. */
  readonly column: number;
  /** Column of the first operand. */
  readonly operandColumn: number;
  readonly labels: readonly string[];
  /** Mnemonic or directive as written; empty where there are only labels. */
  readonly mnemonic: string;
  readonly operands: string;
}

/** Splits a source into statements. Comments are `// ...`, `/* ... *` + `/` and lines that start with `#`; `;` separates. */
export function parseSource(source: string): Statement[] {
  const withoutBlocks = source.replace(/\/\*[\s\S]*?\*\//g, (text) => text.replace(/[^\n]/g, " "));
  return withoutBlocks.split("\n").flatMap((text, index) => {
    const line = /^\s*#/.test(text) ? "" : cutComment(text);
    const statements: Statement[] = [];
    let column = 1;
    for (const part of splitOutsideQuotes(line)) {
      const statement = parseStatement(part, index + 1, column);
      if (statement) statements.push(statement);
      column += part.length + 1;
    }
    return statements;
  });
}

function parseStatement(text: string, line: number, column: number): Statement | undefined {
  const labels: string[] = [];
  let position = 0;
  for (;;) {
    const label = /^\s*([A-Za-z_.$][\w.$]*|\d+):/.exec(text.slice(position));
    if (!label) break;
    labels.push(label[1]!);
    position += label[0].length;
  }
  const match = /^(\s*)(\S+)(\s*)(.*?)\s*$/.exec(text.slice(position));
  if (!match && labels.length === 0) return undefined;
  const start = column + position + (match?.[1]?.length ?? 0);
  const mnemonic = match?.[2] ?? "";
  return {
    line,
    column: start,
    operandColumn: start + mnemonic.length + (match?.[3]?.length ?? 0),
    labels,
    mnemonic,
    operands: match?.[4] ?? "",
  };
}

/** What stands before `//` outside quotes. */
function cutComment(text: string): string {
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === '"') inString = !inString;
    else if (character === "'" && text[at + 2] === "'") at += 2;
    else if (!inString && text.startsWith("//", at)) return text.slice(0, at);
  }
  return text;
}

function splitOutsideQuotes(text: string): string[] {
  return text.match(/(?:[^;"']|"(?:\\.|[^"\\])*"|'\\?.'|["'])+/g) ?? [];
}

/** Splits operands of a directive at commas outside quotes. */
export function splitArguments(text: string): string[] {
  if (text === "") return [];
  return (text.match(/(?:[^,"']|"(?:\\.|[^"\\])*"|'\\?.'|["'])+/g) ?? []).map((each) => each.trim());
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", "0": "\0" };

/** The text of a quoted string with its escapes resolved, or undefined when it is none. */
export function parseString(text: string): string | undefined {
  const match = /^"((?:\\.|[^"\\])*)"$/.exec(text);
  return match?.[1]?.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/g, (_, code: string) => {
    if (code.startsWith("x")) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]+$/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
    return ESCAPES[code] ?? code;
  });
}
