/** The worker that compiles translated code for the machine; see compiling-thread.ts. */
import { makeCompileService } from "../engine/instruction-set.ts";
import type { CompilingReply, CompilingRequest } from "../engine/translator/background-compiler.ts";

/** What is used of a worker's global scope; the compiler has the page's in mind. */
interface WorkerScope {
  onmessage: ((event: { readonly data: CompilingRequest }) => void) | null;
  postMessage(message: CompilingReply): void;
}
const scope = globalThis as unknown as WorkerScope;
const service = makeCompileService();

scope.onmessage = ({ data }) => scope.postMessage(service.answer(data));
