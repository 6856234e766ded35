import { UserError } from "../base/errors.ts";
import { directiveSize, IGNORED_DIRECTIVES, writeDirective } from "./assembler/directives.ts";
import { evaluate, type SymbolLookup } from "./assembler/expression.ts";
import { encodeLine } from "./assembler/instruction-line.ts";
import { LiteralPool, type PoolEntry } from "./assembler/literal-pool.ts";
import { parseSource, type Statement, splitArguments } from "./assembler/source.ts";

/** What an assembly gives. */
export interface Assembly {
  /** Address of the first byte. */
  readonly origin: bigint;
  readonly bytes: Uint8Array;
  /** Labels and `.equ` symbols. */
  readonly symbols: ReadonlyMap<string, bigint>;
  /** Names declared `.global`. */
  readonly globals: ReadonlySet<string>;
}

/** Where a program goes and what it may name. */
export interface AssemblyOptions {
  /** Address of the first byte; 0 when not given. A multiple of 4. */
  readonly origin?: bigint;
  /** Symbols given from outside. */
  readonly symbols?: Readonly<Record<string, bigint>>;
}

/** One mistake in a source, with its place (line and column from 1). */
export interface AssemblyMistake {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A source with mistakes. */
export class AssemblyError extends UserError {
  readonly mistakes: readonly AssemblyMistake[];

  constructor(mistakes: readonly AssemblyMistake[]) {
    super(
      mistakes.map(({ line, column, message }) => `line ${line}, column ${column}: ${message}`).join("\n"),
    );
    this.mistakes = mistakes;
  }
}

/** Assembles a source: one section, labels and symbols in any order. Throws {@link AssemblyError}. */
export function assemble(source: string, options: AssemblyOptions = {}): Assembly {
  const assembler = new Assembler(options);
  assembler.layOut(parseSource(source));
  assembler.write();
  return assembler.result();
}

/** The word of one instruction line at address `pc`; throws {@link AssemblyError}. */
export function assembleInstruction(line: string, pc = 0n): number {
  const { bytes } = assemble(line, { origin: pc });
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** A statement with its place in memory. */
interface Placed {
  readonly statement: Statement;
  readonly address: bigint;
  readonly size: number;
  /** Of an `ldr register, =expression`. */
  readonly literal: PoolEntry | undefined;
  /** Entries put down here. */
  readonly pool: readonly PoolEntry[];
  /** Numeric labels defined up to here, to tell `1b` from `1f`. */
  readonly localLabels: number;
}

const MAXIMUM_MISTAKES = 20;
/** Of operands outside strings: bounds the depth of expressions. */
const MAXIMUM_OPERANDS = 2000;
const MAXIMUM_SIZE = 256 * 1024 * 1024;

class Assembler {
  readonly #origin: bigint;
  readonly #symbols = new Map<string, bigint>();
  readonly #globals = new Set<string>();
  readonly #locals: { name: string; address: bigint }[] = [];
  readonly #placed: Placed[] = [];
  readonly #pool = new LiteralPool();
  readonly #mistakes: AssemblyMistake[] = [];
  #address: bigint;
  #bytes = new Uint8Array(0);

  constructor(options: AssemblyOptions) {
    this.#origin = options.origin ?? 0n;
    this.#address = this.#origin;
    for (const [name, value] of Object.entries(options.symbols ?? {})) this.#symbols.set(name, value);
  }

  /** First pass: addresses of everything. Sizes depend only on what came before. */
  layOut(statements: readonly Statement[]): void {
    for (const statement of statements) this.#place(statement);
    this.#putPool();
    if (this.#address - this.#origin > MAXIMUM_SIZE) {
      this.#fail(statements.at(-1), `the program has more than ${MAXIMUM_SIZE} bytes`);
    }
    this.#stopOnMistakes();
  }

  #place(statement: Statement): void {
    const { mnemonic, operands } = statement;
    if (operands.length > MAXIMUM_OPERANDS && !operands.includes('"')) {
      this.#fail(statement, `the operands are longer than ${MAXIMUM_OPERANDS} characters`);
      return;
    }
    for (const label of statement.labels) this.#define(statement, label, this.#address);
    const assignment = /^=\s*(.*)$/.exec(operands);
    if (assignment) {
      this.#assign(statement, mnemonic, assignment[1]!);
      return;
    }
    const directive = mnemonic.toLowerCase();
    if (directive === "" || IGNORED_DIRECTIVES.has(directive)) return;
    switch (directive) {
      case ".equ":
      case ".set": {
        const [name, value] = splitArguments(operands);
        this.#assign(statement, name ?? "", value ?? "");
        return;
      }
      case ".global":
      case ".globl":
        for (const name of splitArguments(operands)) this.#globals.add(name);
        return;
      case ".ltorg":
      case ".pool":
        this.#putPool(statement);
        return;
    }
    if (directive.startsWith(".")) {
      const size = directiveSize(
        directive,
        operands,
        this.#address,
        this.#origin,
        this.#lookup(this.#locals.length),
      );
      if (typeof size === "string") this.#fail(statement, size);
      else this.#add(statement, size);
      return;
    }
    if (this.#address & 3n)
      this.#fail(statement, `an instruction is not word-aligned at 0x${this.#address.toString(16)}`);
    this.#add(statement, 4, this.#literalOf(statement));
  }

  #literalOf({ mnemonic, operands }: Statement): PoolEntry | undefined {
    const match = /^([wx])\w+\s*,\s*=\s*(.+)$/i.exec(operands);
    if (!match || mnemonic.toLowerCase() !== "ldr") return undefined;
    return this.#pool.request(match[2]!, match[1]!.toLowerCase() === "x" ? 8 : 4);
  }

  #add(statement: Statement, size: number, literal?: PoolEntry, pool: readonly PoolEntry[] = []): void {
    const localLabels = this.#locals.length;
    this.#placed.push({ statement, address: this.#address, size, literal, pool, localLabels });
    this.#address += BigInt(size);
  }

  #putPool(statement: Statement = END): void {
    const pool = this.#pool.place(this.#address);
    const last = pool.at(-1);
    if (!last) return;
    this.#add(statement, Number(last.address! + BigInt(last.bytes) - this.#address), undefined, pool);
  }

  #define(statement: Statement, name: string, value: bigint): void {
    if (/^\d/.test(name)) this.#locals.push({ name, address: value });
    else if (this.#symbols.has(name)) this.#fail(statement, `the symbol "${name}" is defined twice`);
    else this.#symbols.set(name, value);
  }

  #assign(statement: Statement, name: string, expression: string): void {
    const found = evaluate(expression, this.#lookup(this.#locals.length));
    if (!found || found.length !== expression.length) {
      this.#fail(statement, `"${expression}" is not a value known at this point`);
    } else this.#symbols.set(name, found.value);
  }

  #lookup(localLabels: number, address = this.#address): SymbolLookup {
    return (name) => {
      if (name === ".") return address;
      const local = /^(\d+)([fb])$/.exec(name);
      if (!local) return this.#symbols.get(name);
      const isWanted = (each: { name: string }): boolean => each.name === local[1];
      return local[2] === "b"
        ? this.#locals.slice(0, localLabels).findLast(isWanted)?.address
        : this.#locals.slice(localLabels).find(isWanted)?.address;
    };
  }

  /** Second pass: the bytes. */
  write(): void {
    this.#bytes = new Uint8Array(Number(this.#address - this.#origin));
    const view = new DataView(this.#bytes.buffer);
    for (const placed of this.#placed) {
      this.#writeOne(placed, view);
      if (this.#mistakes.length >= MAXIMUM_MISTAKES) break;
    }
    this.#stopOnMistakes();
  }

  #writeOne({ statement, address, size, literal, pool, localLabels }: Placed, view: DataView): void {
    const at = Number(address - this.#origin);
    const lookup = this.#lookup(localLabels, address);
    for (const entry of pool) {
      const found = evaluate(entry.expression, lookup);
      if (!found || found.length !== entry.expression.length) {
        this.#fail(statement, `"${entry.expression}" is not a known value`);
        continue;
      }
      const offset = Number(entry.address! - this.#origin);
      if (entry.bytes === 8) view.setBigUint64(offset, BigInt.asUintN(64, found.value), true);
      else view.setUint32(offset, Number(BigInt.asUintN(32, found.value)), true);
    }
    if (pool.length > 0) return;
    if (statement.mnemonic.startsWith(".")) {
      const target = new DataView(view.buffer, at, size);
      const problem = writeDirective(statement.mnemonic.toLowerCase(), statement.operands, target, lookup);
      if (problem !== undefined) this.#fail(statement, problem);
      return;
    }
    const operands = literal
      ? statement.operands.replace(/=.*$/, `0x${literal.address!.toString(16)}`)
      : statement.operands;
    const word = encodeLine(statement.mnemonic, operands, address, lookup);
    if (typeof word === "number") view.setUint32(at, word, true);
    else {
      const column = word.position === 0 ? statement.column : statement.operandColumn + word.position;
      const unknown = undefinedSymbol(statement.operands, lookup);
      const why =
        unknown === undefined
          ? word.problem
          : `${word.problem} (is "${unknown}" a symbol? it is not defined)`;
      this.#mistakes.push({
        line: statement.line,
        column,
        message: `"${statement.mnemonic} ${statement.operands}": ${why}`,
      });
    }
  }

  result(): Assembly {
    return { origin: this.#origin, bytes: this.#bytes, symbols: this.#symbols, globals: this.#globals };
  }

  #fail(statement: Statement | undefined, message: string): void {
    this.#mistakes.push({ line: statement?.line ?? 0, column: statement?.column ?? 0, message });
  }

  #stopOnMistakes(): void {
    if (this.#mistakes.length > 0) throw new AssemblyError(this.#mistakes);
  }
}

const END: Statement = { line: 0, column: 0, operandColumn: 0, labels: [], mnemonic: "", operands: "" };

/** A word at the end of the operands that looks like a label and is none. */
function undefinedSymbol(operands: string, lookup: SymbolLookup): string | undefined {
  const name = /(?:^|,|:)\s*([A-Za-z_.$][\w.$]*|\d+[fb])\s*$/.exec(operands)?.[1];
  if (name === undefined || lookup(name) !== undefined) return undefined;
  return /^(?:[xwbhsdqv]\d+(?:\..*)?|[xw]zr|w?sp|lr|fp)$/i.test(name) ? undefined : name;
}
