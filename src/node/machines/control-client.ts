import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { UserError } from "../../base/errors.ts";
import type { ToolsOrder } from "../../hypervisor/vmware/guest-tools.ts";
import type {
  ProtectionDocument,
  ProtectionRequest,
} from "../../introspection/protection/protection-document.ts";
import type { ScanDocument, ScanRequest } from "../../introspection/scan/scan-document.ts";
import type { GuestIntrospection, MachineStatistics } from "../../machine/virtual-machine-interface.ts";
import { Command, type CommandOptions } from "../agent/command.ts";
import { ConnectionRefused } from "../agent/socket-stream.ts";
import type { ControlAnswer, ControlRequest, GuestDescription } from "./control-protocol.ts";
import type { Registry, RunningMachine } from "./registry.ts";

/** Seconds that a command waits for the agent of a guest that still boots. */
const READY_LIMIT = 600;

/** A machine that runs in another process of this user. */
export class RemoteMachine {
  readonly description: RunningMachine;
  readonly #socket: string;

  constructor(description: RunningMachine, socket: string) {
    this.description = description;
    this.#socket = socket;
  }

  /** The running machine called `name`; a sentence where there is none. */
  static find(registry: Registry, name: string): RemoteMachine {
    const description = registry.find(name);
    if (description !== undefined) return new RemoteMachine(description, registry.socketOf(name));
    throw new UserError(`No machine called ${name} is running; elvisor ps shows those that are.`);
  }

  exec(words: string | readonly string[], options: CommandOptions = {}): Command {
    let ready: Promise<void> | undefined;
    return new Command(
      async (port, count) => {
        ready ??= this.ready();
        await ready;
        // Requests in several connections have no order.
        const streams: Duplex[] = [];
        while (streams.length < count) streams.push(await this.connect(port));
        return streams;
      },
      words,
      options,
    );
  }

  /** A stream to a port of the guest. */
  async connect(port: number): Promise<Duplex> {
    return (await this.#ask({ kind: "connect", port })).socket;
  }

  /** Resolves when the guest's agent can run commands. */
  async ready(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new UserError(
            `The agent of ${this.description.name} did not come within ${READY_LIMIT} seconds; use elvisor attach for its console.`,
          ),
        );
      }, READY_LIMIT * 1000);
    });
    try {
      await Promise.race([this.#once({ kind: "ready" }), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The guest's console; what is written is typed. */
  async console(): Promise<Duplex> {
    return (await this.#ask({ kind: "console" })).socket;
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#once({ kind: "resize", columns, rows });
  }

  async statistics(): Promise<MachineStatistics> {
    return (await this.#once({ kind: "statistics" })).statistics ?? {};
  }

  /** What its guest does at present, seen from outside. */
  async inspect(): Promise<ReturnType<GuestIntrospection["inspect"]>> {
    // The other end is this program, too.
    return (await this.#document({ kind: "inspect" })) as ReturnType<GuestIntrospection["inspect"]>;
  }

  /** Guest's seconds in a second of the host's; with `scale`, changed first. */
  async pace(scale?: number): Promise<number> {
    return (await this.#once({ kind: "pace", scale })).scale ?? 1;
  }

  /** What the guest has told of itself. */
  async guest(): Promise<GuestDescription> {
    const { guest } = await this.#once({ kind: "guest" });
    if (guest === undefined)
      throw new UserError(`The machine ${this.description.name} is of an older version.`);
    return guest;
  }

  /** Sets a named value for the guest to read. */
  async setValue(key: string, value: string): Promise<void> {
    await this.#once({ kind: "set", key, value });
  }

  /** Gives the guest's tools an order; a sentence where none listen. */
  async order(order: ToolsOrder): Promise<void> {
    await this.#once({ kind: "order", order });
  }

  async syncTime(wanted: boolean): Promise<void> {
    await this.#once({ kind: "syncTime", wanted });
  }

  /** Protects pages of its guest, and tells of writes to them. */
  async protect(
    request: ProtectionRequest,
    places: { readonly callback?: string | undefined; readonly snapshot?: string | undefined } = {},
  ): Promise<ProtectionDocument> {
    // The other end is this program, too.
    return (await this.#document({ kind: "protect", request, ...places })) as ProtectionDocument;
  }

  /** What is mapped in its guest. */
  async scan(request: ScanRequest): Promise<ScanDocument> {
    // The other end is this program, too.
    return (await this.#document({ kind: "scan", request })) as ScanDocument;
  }

  /** Keeps its state in a file; with `end`, it ends then. */
  async snapshot(path: string, end: boolean): Promise<void> {
    await this.#once({ kind: "snapshot", path, end }).catch((error: unknown) => {
      throw error instanceof ConnectionRefused ? new UserError(error.message) : error;
    });
  }

  /** Ends it at once. */
  async end(): Promise<void> {
    await this.#once({ kind: "end" });
  }

  /** A document in JSON that follows the answer. */
  async #document(request: ControlRequest): Promise<unknown> {
    const { socket } = await this.#ask(request).catch((error: unknown) => {
      throw error instanceof ConnectionRefused ? new UserError(error.message) : error;
    });
    socket.end();
    const pieces: Buffer[] = [];
    for await (const piece of socket as AsyncIterable<Buffer>) pieces.push(piece);
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  }

  async #once(request: ControlRequest): Promise<ControlAnswer> {
    const { socket, answer } = await this.#ask(request);
    socket.destroy();
    return answer;
  }

  async #ask(request: ControlRequest): Promise<{ socket: Socket; answer: ControlAnswer }> {
    const { name } = this.description;
    const socket = connect({ path: this.#socket, allowHalfOpen: true });
    // What happens later, the stream's user learns by its end.
    socket.on("error", () => {});
    socket.write(`${JSON.stringify(request)}\n`);
    const line = await firstLine(socket);
    if (line === undefined) {
      throw new UserError(`The machine ${name} does not answer; it has ended, or is about to.`);
    }
    const answer = JSON.parse(line) as ControlAnswer;
    if (answer.error !== undefined) {
      socket.destroy();
      throw new ConnectionRefused(answer.error);
    }
    return { socket, answer };
  }
}

/** undefined where the connection ends before. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = Buffer.alloc(0);
    const done = (line: string | undefined): void => {
      socket.off("readable", read);
      socket.off("close", closed);
      socket.off("end", closed);
      resolve(line);
    };
    const closed = (): void => done(undefined);
    const read = (): void => {
      for (let piece: unknown = socket.read(); piece instanceof Buffer; piece = socket.read()) {
        text = Buffer.concat([text, piece]);
        const end = text.indexOf("\n");
        if (end < 0) continue;
        if (end + 1 < text.length) socket.unshift(text.subarray(end + 1));
        done(text.toString("utf8", 0, end));
        return;
      }
    };
    socket.on("readable", read);
    socket.on("close", closed);
    socket.on("end", closed);
  });
}
