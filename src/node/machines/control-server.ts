import { createServer, type Server, type Socket } from "node:net";
import process from "node:process";
import { UserError } from "../../base/errors.ts";
import type { ProtectionHandlers } from "../../introspection/protection/protection-document.ts";
import type { GuestIntrospection, VirtualMachine } from "../../machine/virtual-machine-interface.ts";
import { READY_PORT } from "../agent/protocol.ts";
import { openOne, type StreamOpener, streamOpener } from "../agent/socket-stream.ts";
import { writeSnapshot } from "../snapshots/snapshot-file.ts";
import type { ConsoleHub } from "./console-hub.ts";
import { type ControlAnswer, type ControlRequest, parseRequest } from "./control-protocol.ts";
import { describeGuest } from "./guest-description.ts";
import { callbackUrl, UrlCallback } from "./url-callback.ts";

/** A request; the longest sets a value of 64 KiB. */
const LONGEST_LINE = 2 ** 19;
const NO_TOOLS = "No tools listen in the guest; it needs --compat vmware, and open-vm-tools running.";

/** Lets other processes speak with a machine: each connection begins with a line that says what it is for. */
export class ControlServer {
  readonly #machine: VirtualMachine;
  readonly #hub: ConsoleHub;
  readonly #open: StreamOpener;
  readonly #clients = new Set<Socket>();
  readonly #server: Server;
  readonly #agent: Promise<void>;
  readonly #end: () => void;
  readonly #name: string;

  /** `end` ends the machine at once. `isReady`: the agent came before, in the machine whose state this one goes on from. */
  constructor(
    machine: VirtualMachine,
    hub: ConsoleHub,
    end: () => void,
    { name = "", isReady = false } = {},
  ) {
    this.#name = name;
    this.#machine = machine;
    this.#hub = hub;
    this.#end = end;
    const { sockets } = machine;
    this.#open =
      sockets === undefined
        ? () => Promise.reject(new Error("the machine has no socket device"))
        : streamOpener(sockets);
    this.#agent = new Promise((resolve) => {
      if (isReady) resolve();
      sockets?.listen(READY_PORT, () => {
        resolve();
        return undefined;
      });
    });
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#greet(client));
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
      // The machine, not its visitors, decides how long the process lives.
      this.#server.unref();
    });
  }

  close(): void {
    this.#server.close();
    this.#hub.close();
    for (const client of this.#clients) client.destroy();
  }

  #greet(client: Socket): void {
    this.#clients.add(client);
    client.on("close", () => this.#clients.delete(client));
    client.on("error", () => client.destroy());
    let line = Buffer.alloc(0);
    const gather = (bytes: Buffer): void => {
      line = Buffer.concat([line, bytes]);
      const end = line.indexOf("\n");
      if (end < 0) {
        if (line.length > LONGEST_LINE) client.destroy();
        return;
      }
      client.off("data", gather);
      client.pause();
      if (end + 1 < line.length) client.unshift(line.subarray(end + 1));
      void this.#serve(client, line.toString("utf8", 0, end));
    };
    client.on("data", gather);
  }

  async #serve(client: Socket, line: string): Promise<void> {
    const answer = (fields: ControlAnswer): void => void client.write(`${JSON.stringify(fields)}\n`);
    const request = parseRequest(line);
    switch (request?.kind) {
      case undefined:
        answer({ error: "The request is not understood." });
        client.end();
        return;
      case "connect": {
        try {
          const stream = await openOne(this.#open, request.port);
          answer({});
          stream.on("close", () => client.destroySoon());
          client.on("close", () => stream.destroy());
          client.pipe(stream);
          stream.pipe(client);
        } catch (error) {
          answer({ error: error instanceof Error ? error.message : String(error) });
          client.end();
        }
        return;
      }
      case "ready":
        await this.#agent;
        break;
      case "console":
        answer({});
        this.#hub.attach(client, this.#machine.console ?? this.#machine.serial);
        client.resume();
        return;
      case "resize":
        this.#machine.console?.resize(request.columns, request.rows);
        break;
      case "statistics":
        answer({ statistics: this.#machine.stats() });
        client.end();
        return;
      case "inspect":
        this.#document(client, () => introspectionOf(this.#machine).inspect());
        return;
      case "pace": {
        const { pace } = this.#machine;
        if (request.scale !== undefined) pace.setScale(request.scale);
        answer({ scale: pace.scale });
        client.end();
        return;
      }
      case "guest":
        answer({ guest: describeGuest(this.#machine.guest) });
        client.end();
        return;
      case "set":
        try {
          this.#machine.guest.set(request.key, Buffer.from(request.value));
          answer({});
        } catch (error) {
          answer({ error: error instanceof Error ? error.message : String(error) });
        }
        client.end();
        return;
      case "order":
        answer(this.#machine.guest.order(request.order) ? {} : { error: NO_TOOLS });
        client.end();
        return;
      case "syncTime":
        this.#machine.guest.syncTime(request.wanted);
        break;
      case "protect":
        this.#document(client, () => {
          const introspection = introspectionOf(this.#machine);
          introspection.handle(this.#handlers(request));
          return introspection.protect(request.request);
        });
        return;
      case "scan":
        this.#document(client, () => introspectionOf(this.#machine).scan(request.request));
        return;
      case "snapshot":
        try {
          await writeSnapshot(request.path, this.#machine, () => {
            answer({});
            // Before it can go on: its drives stay as they are in the snapshot.
            if (request.end) this.#end();
          });
        } catch (error) {
          answer({ error: sentenceOf(error) });
        }
        client.end();
        return;
      case "end":
        this.#end();
        break;
    }
    answer({});
    client.end();
  }

  #handlers({ callback, snapshot }: Extract<ControlRequest, { kind: "protect" }>): ProtectionHandlers {
    const url =
      callback === undefined
        ? undefined
        : new UrlCallback(
            callbackUrl(callback),
            this.#name,
            (text) => void process.stderr.write(`elvisor: ${text}\n`),
          );
    return {
      ...(url !== undefined && { written: (writes, dropped) => url.post(writes, dropped) }),
      ...(snapshot !== undefined && {
        keep: async (take) => {
          await writeSnapshot(snapshot, { snapshot: take });
          return `A snapshot is in ${snapshot}.`;
        },
      }),
    };
  }

  /** Answers with a document, or with the sentence why there is none. */
  #document(client: Socket, make: () => unknown): void {
    let document: unknown;
    try {
      document = make();
    } catch (error) {
      // A machine must not end because somebody looked at it.
      client.end(`${JSON.stringify({ error: sentenceOf(error) } satisfies ControlAnswer)}\n`);
      return;
    }
    client.end(`${JSON.stringify({} satisfies ControlAnswer)}\n${JSON.stringify(document)}`);
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof UserError
    ? error.message
    : `This is a defect of elvisor; please report it with this text: ${String(error)}`;
}

function introspectionOf({ introspection }: VirtualMachine): GuestIntrospection {
  if (introspection !== undefined) return introspection;
  throw new UserError("This machine's guest cannot be looked into.");
}
