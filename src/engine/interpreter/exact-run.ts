import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { ModuleWriter } from "../../wasm/module-writer.ts";
import { type LoopImports, lookUp } from "./look-up.ts";
import { HANDLER_UNDECODED } from "./record.ts";

/** The loop that counts every instruction: see coreModule's `runExactly`. */
export function writeRunExactly(
  module: ModuleWriter,
  { fetch, decode, before, handlerType }: LoopImports & { before: number },
): void {
  const { body } = module.function({ parameters: ["i32", "i32", "i32"], results: ["i32"] }, "runExactly");
  const [pe, fuel, hook] = [0, 1, 2];
  const record = body.local("i32");
  const entry = body.local("i32");
  const bank = body.local("i32");
  const pc = body.local("i64");
  // All ones where `run` would look at ATTENTION, at jumps and page ends; so interrupts come at the same place.
  const look = body.local("i32");
  const lookNext = (): void => void body.i32(-1).set(look);
  lookNext();
  const leaveLoop = body.block();
  const retry = body.loop();
  body.get(fuel).i32(0).op("i32.le_s").branchIf(leaveLoop);
  body.get(pe).memory("i32.load", PE_LAYOUT.ATTENTION).get(look).op("i32.and").branchIf(leaveLoop);
  body.get(pe).get(fuel).memory("i32.store", PE_LAYOUT.FUEL);
  body.get(hook);
  body.if();
  body.get(pe).call(before);
  body.if();
  lookNext();
  body.get(fuel).i32(1).op("i32.sub").set(fuel).branch(retry);
  body.end().end();
  lookUp(body, { pe, bank, pc, entry, fuel }, fetch, retry, lookNext);
  body.set(record);
  body.get(record).memory("i32.load16_u").i32(HANDLER_UNDECODED).op("i32.eq");
  body.if();
  body.get(record).call(decode);
  body.end();
  // FUEL still counts this instruction, as it does in `run`: it has not completed while others look.
  body.get(fuel).i32(1).op("i32.sub").set(fuel);
  body.get(pe).get(record).get(pc);
  body.get(record).memory("i32.load16_u").callIndirect(handlerType).op("i32.eqz");
  body.if();
  body.get(pc).i64(4n).op("i64.add").set(pc).get(pe).get(pc).memory("i64.store", PE_LAYOUT.PC);
  body.i32(-1).i32(0).get(pc).i64(0xfffn).op("i64.and").op("i64.eqz").select("i32").set(look);
  body.else();
  lookNext();
  body.end();
  body.branch(retry);
  body.end();
  body.unreachable();
  body.end();
  body.get(fuel);
}
