import { staticProgram } from "../../isa/static-program.ts";
import { AGENT_SOURCE } from "./agent-source.ts";

let program: Uint8Array | undefined;

/** The agent as an executable for arm64 Linux. */
export function agentProgram(): Uint8Array {
  program ??= staticProgram(AGENT_SOURCE);
  return program;
}
