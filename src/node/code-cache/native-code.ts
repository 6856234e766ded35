import { setFlagsFromString } from "node:v8";
import { compileModule } from "../../engine/translator/region-compiler.ts";

/**
 * The host's own code of compiled modules, as bytes. V8 has functions for that which it offers to its own tests only; where
 * they are missing modules are compiled from WebAssembly.
 */
export interface NativeCode {
  /** Of a module that {@link compileOptimized} made: for others V8 ends the process. */
  take(module: WebAssembly.Module): Uint8Array;
  /** Undefined where V8 does not accept it: another version, other flags, another processor. */
  restore(native: Uint8Array, bytes: Uint8Array): WebAssembly.Module | undefined;
}

/** V8 accepts native code only where flags have the same history: each process goes through the same ones. */
const OPTIMIZE = ["--no-liftoff", "--no-wasm-lazy-compilation"];
const AS_USUAL = ["--liftoff", "--wasm-lazy-compilation"];

let known: NativeCode | "none" | undefined;

/** Undefined where this V8 has no such functions. */
export function nativeCode(): NativeCode | undefined {
  known ??= find() ?? "none";
  return known === "none" ? undefined : known;
}

function find(): NativeCode | undefined {
  setFlagsFromString("--allow-natives-syntax");
  try {
    // These names are no JavaScript otherwise, so they cannot stand in this file.
    const take = new Function("module", "return %SerializeWasmModule(module)");
    const restore = new Function("native", "bytes", "return %DeserializeWasmModule(native, bytes)");
    for (const flag of [...OPTIMIZE, ...AS_USUAL]) setFlagsFromString(flag);
    return {
      take: (module) => new Uint8Array(take(module)),
      restore(native, bytes) {
        // V8 answers with a module or with undefined.
        return restore(native.slice().buffer, bytes) as WebAssembly.Module | undefined;
      },
    };
  } catch {
    return undefined;
  } finally {
    setFlagsFromString("--no-allow-natives-syntax");
  }
}

/** Compiles all functions at once, optimized. Flags are the whole process's, so it should do nothing else. */
export function compileOptimized(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  for (const flag of OPTIMIZE) setFlagsFromString(flag);
  try {
    return compileModule(bytes);
  } finally {
    for (const flag of AS_USUAL) setFlagsFromString(flag);
  }
}
