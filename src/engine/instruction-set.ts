import { FAST_REGISTERS } from "../cpu/fast-registers.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../isa/table.ts";
import { hostFusesMultiplyAdd } from "./fused-multiply-add.ts";
import { FastDecoder, type FastDecoderParts } from "./interpreter/fast-decoder.ts";
import { HandlerSet } from "./interpreter/handler-set.ts";
import { CompileService } from "./translator/background-compiler.ts";

/** What the engine decodes by, in every machine. */
export const INSTRUCTION_SET: FastDecoderParts = {
  decoder: DECODER,
  features: IMPLEMENTED_FEATURES,
  fastRegisters: FAST_REGISTERS,
};

/** What a thread runs that compiles for machines on other threads. */
export function makeCompileService(): CompileService {
  const decoder = new FastDecoder(INSTRUCTION_SET);
  return new CompileService({
    decode: (word) => decoder.decode(word),
    handlers: new HandlerSet(hostFusesMultiplyAdd()),
    onNewHandler: () => {},
  });
}
