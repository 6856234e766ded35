/** The thread that compiles translated code for the machines of this process; see compiling-thread.ts. */
import { parentPort } from "node:worker_threads";
import { makeCompileService } from "../engine/instruction-set.ts";
import type { CompilingRequest } from "../engine/translator/background-compiler.ts";

const service = makeCompileService();

parentPort?.on("message", (request: CompilingRequest) => parentPort?.postMessage(service.answer(request)));
