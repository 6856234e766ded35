import { ByteWriter } from "./byte-writer.ts";
import { FunctionBody, VALUE_TYPE_CODE } from "./function-body.ts";
import type { ValueType } from "./opcodes.ts";

/** The type of a function. */
export interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Kinds of exports. */
const EXPORT = { FUNCTION: 0x00, GLOBAL: 0x03 } as const;

/** Builds one WebAssembly module (core specification 2.0, section 5). Imported functions come before functions. */
export class ModuleWriter {
  readonly #types: string[] = [];
  readonly #signatures: Signature[] = [];
  readonly #imports: { module: string; name: string; write: (out: ByteWriter) => void }[] = [];
  readonly #functions: { type: number; body: FunctionBody }[] = [];
  readonly #exports: { name: string; kind: number; index: number }[] = [];
  #importedFunctions = 0;
  #globals = 0;

  /** The index of this function type, added when new. */
  type(signature: Signature): number {
    const key = `${signature.parameters.join()}>${signature.results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    this.#signatures.push(signature);
    return this.#types.push(key) - 1;
  }

  importMemory(module: string, name: string, pages: { initial: number; maximum: number }): void {
    this.#imports.push({
      module,
      name,
      write: (out) => out.byte(0x02).byte(0x03).unsigned(pages.initial).unsigned(pages.maximum),
    });
  }

  importTable(module: string, name: string, initial: number): void {
    this.#imports.push({
      module,
      name,
      write: (out) => out.byte(0x01).byte(0x70).byte(0x00).unsigned(initial),
    });
  }

  /** Returns the function's index. */
  importFunction(module: string, name: string, signature: Signature): number {
    const type = this.type(signature);
    this.#imports.push({ module, name, write: (out) => out.byte(0x00).unsigned(type) });
    return this.#importedFunctions++;
  }

  /** An i32 of each instance, 0 until somebody sets what is exported under this name. Returns the global's index. */
  variable(exportName: string): number {
    this.#exports.push({ name: exportName, kind: EXPORT.GLOBAL, index: this.#globals });
    return this.#globals++;
  }

  /** Adds a function; its body may still be written until {@link finish}. */
  function(signature: Signature, exportName?: string): { index: number; body: FunctionBody } {
    const body = new FunctionBody(signature.parameters);
    const index = this.#importedFunctions + this.#functions.push({ type: this.type(signature), body }) - 1;
    if (exportName !== undefined) this.#exports.push({ name: exportName, kind: EXPORT.FUNCTION, index });
    return { index, body };
  }

  finish(): Uint8Array {
    const out = new ByteWriter(4096);
    out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    section(out, 1, (s) => {
      s.unsigned(this.#signatures.length);
      for (const { parameters, results } of this.#signatures) {
        s.byte(0x60).unsigned(parameters.length);
        for (const type of parameters) s.byte(VALUE_TYPE_CODE[type]);
        s.unsigned(results.length);
        for (const type of results) s.byte(VALUE_TYPE_CODE[type]);
      }
    });
    section(out, 2, (s) => {
      s.unsigned(this.#imports.length);
      for (const { module, name, write } of this.#imports) write(s.name(module).name(name));
    });
    section(out, 3, (s) => {
      s.unsigned(this.#functions.length);
      for (const { type } of this.#functions) s.unsigned(type);
    });
    if (this.#globals > 0) this.#variables(out);
    section(out, 7, (s) => {
      s.unsigned(this.#exports.length);
      for (const { name, kind, index } of this.#exports) s.name(name).byte(kind).unsigned(index);
    });
    this.#branchHints(out);
    section(out, 10, (s) => {
      s.unsigned(this.#functions.length);
      for (const { body } of this.#functions) {
        const code = body.finish();
        s.unsigned(code.length).bytes(code);
      }
    });
    return out.view().slice();
  }

  #variables(out: ByteWriter): void {
    section(out, 6, (s) => {
      s.unsigned(this.#globals);
      // Each: mutable, at first i32.const 0.
      for (let index = 0; index < this.#globals; index++) {
        s.byte(VALUE_TYPE_CODE.i32).byte(0x01).byte(0x41).byte(0x00).byte(0x0b);
      }
    });
  }

  /** The custom section of the "Branch Hinting" proposal; engines that do not know it skip it. */
  #branchHints(out: ByteWriter): void {
    const hinted = this.#functions
      .map(({ body }, index) => ({ index: this.#importedFunctions + index, hints: body.hints() }))
      .filter(({ hints }) => hints.length > 0);
    if (hinted.length === 0) return;
    section(out, 0, (s) => {
      s.name("metadata.code.branch_hint").unsigned(hinted.length);
      for (const { index, hints } of hinted) {
        s.unsigned(index).unsigned(hints.length);
        for (const [offset, taken] of hints)
          s.unsigned(offset)
            .unsigned(1)
            .byte(taken ? 1 : 0);
      }
    });
  }
}

function section(out: ByteWriter, id: number, write: (section: ByteWriter) => void): void {
  const content = new ByteWriter(1024);
  write(content);
  out.byte(id).unsigned(content.length).bytes(content.view());
}
