import type { FastRegister } from "../../cpu/fast-registers.ts";
import type { Decoded, Decoder } from "../../isa/decoder.ts";
import type { Feature } from "../../isa/instruction.ts";
import { FastSystemRegisters } from "./fast-system-registers.ts";

export interface FastDecoderParts {
  readonly decoder: Decoder;
  /** Features whose rows are implemented and switched on. */
  readonly features: ReadonlySet<Feature>;
  /** System registers that may be reached without the processor. */
  readonly fastRegisters: readonly FastRegister[];
}

/** Decodes instructions into the forms that engines run: with direct ways to system registers, for example. */
export class FastDecoder {
  readonly #parts: FastDecoderParts;
  readonly #fast: FastSystemRegisters;

  constructor(parts: FastDecoderParts) {
    this.#parts = parts;
    this.#fast = new FastSystemRegisters(parts.fastRegisters);
  }

  /** Undefined where the word is undefined. */
  decode(word: number): Decoded | undefined {
    const decoded = this.#parts.decoder.decode(word, this.#parts.features);
    return decoded === undefined ? undefined : this.#fast.improve(decoded);
  }
}
