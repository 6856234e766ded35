import { resolve } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { ProtectionAction } from "../../introspection/protection/page-tree.ts";
import type {
  ProtectionDocument,
  ProtectionRequest,
  WriteDocument,
} from "../../introspection/protection/protection-document.ts";
import { RemoteMachine } from "../machines/control-client.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import { callbackUrl } from "../machines/url-callback.ts";
import type { Host } from "./host.ts";
import { table } from "./table.ts";
import { onEndingSignal } from "./terminal.ts";

export interface ProtectOptions {
  readonly kernel?: boolean;
  readonly action: ProtectionAction;
  readonly allowFrom?: readonly string[];
  readonly callback?: string;
  readonly snapshot?: string;
  readonly remove?: string | boolean;
  readonly resume?: boolean;
  readonly follow?: boolean;
  readonly json?: boolean;
}

/** Milliseconds between two looks with --follow. */
const STEP = 500;

/** `elvisor protect`: monitors pages of a guest, and shows writes to them. */
export async function protectCommand(name: string, options: ProtectOptions, host: Host): Promise<void> {
  const request = requestOf(options);
  const places = placesOf(options);
  const machine = RemoteMachine.find(new Registry(runtimeDirectory(host.environment)), name);
  const state = await machine.protect(request, places);
  if (options.json === true && options.follow !== true) {
    host.stdout.write(`${JSON.stringify(state, null, 2)}\n`);
    return;
  }
  if (options.json !== true) host.stdout.write(`${stateLines(name, state).join("\n")}\n`);
  if (options.follow !== true) return;
  let ended = false;
  const stopListening = onEndingSignal(() => {
    ended = true;
  });
  try {
    for (let since = nextOf(state.writes, 0); !ended; ) {
      const { writes } = await machine.protect({ kind: "state", since });
      for (const write of writes) {
        host.stdout.write(`${options.json === true ? JSON.stringify(write) : writeLine(write)}\n`);
      }
      since = nextOf(writes, since);
      await new Promise((resolve) => setTimeout(resolve, STEP));
    }
  } finally {
    stopListening();
  }
}

function requestOf(options: ProtectOptions): ProtectionRequest {
  const { kernel = false, remove, resume = false, action, allowFrom = [] } = options;
  if ([kernel, remove !== undefined, resume].filter(Boolean).length > 1)
    throw new UserError("Only one of --kernel, --remove and --resume can be given.", { exitStatus: 2 });
  if (kernel) return { kind: "kernel", action, allow: allowFrom };
  if (resume) return { kind: "resume" };
  if (remove === undefined) return { kind: "state" };
  if (remove === true) return { kind: "remove" };
  const handle = Number(remove);
  if (!Number.isInteger(handle))
    throw new UserError(`"${String(remove)}" is not the number of a tree.`, { exitStatus: 2 });
  return { kind: "remove", handle };
}

/** Where the actions that need it go to; each needs its own, and nothing else takes one. */
function placesOf({ kernel = false, action, callback, snapshot }: ProtectOptions) {
  const wants = (wanted: ProtectionAction, option: string, value: string | undefined): void => {
    const needed = kernel && action === wanted;
    if (needed === (value !== undefined)) return;
    throw new UserError(
      needed
        ? `The action ${wanted} needs ${option}.`
        : `${option} is only for protect --kernel --action ${wanted}.`,
      { exitStatus: 2 },
    );
  };
  wants("callback", "--callback URL", callback);
  wants("snapshot+pause", "--snapshot FILE", snapshot);
  return {
    callback: callback === undefined ? undefined : callbackUrl(callback).href,
    snapshot: snapshot === undefined ? undefined : resolve(snapshot),
  };
}

function nextOf(writes: readonly WriteDocument[], since: number): number {
  return writes.reduce((next, { sequence }) => Math.max(next, sequence + 1), since);
}

function stateLines(name: string, { trees, writes, paused, snapshot }: ProtectionDocument): string[] {
  const lines =
    trees.length === 0
      ? [`Nothing of ${name} is protected.`]
      : table(
          ["TREE", "OWNER", "PAGES", "NODES"],
          trees.map(({ handle, owner, pages, nodes }) => [
            ...[String(handle), owner, String(pages), String(nodes)],
          ]),
        );
  if (paused)
    lines.push(`${name} stands still behind the last write; elvisor protect ${name} --resume lets it go on.`);
  if (paused && snapshot !== undefined) lines.push(snapshot);
  return [...lines, ...writes.map(writeLine)];
}

/** One write, for people. */
export function writeLine(write: WriteDocument): string {
  const { seconds, kind, action, address, symbol, before, after, writer, pc, element, count } = write;
  const place = symbol === undefined ? address : `${symbol} (${address})`;
  const who = pc === undefined ? "a device" : `CPU ${element} at ${writer ?? pc}`;
  const more =
    kind === "summary" ? ` and ${count - 1} more` : kind === "structure" ? ", a node of the tree" : "";
  return `${seconds.toFixed(6)}  ${action}  ${place}${more}: ${before} -> ${after} by ${who}`;
}
