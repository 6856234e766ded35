import { once } from "node:events";
import { constants } from "node:os";
import type { Duplex, Readable, Writable } from "node:stream";
import { Readable as ReadableStream, Writable as WritableStream } from "node:stream";
import { UserError } from "../../base/errors.ts";
import {
  AGENT_PORT,
  LONGEST_STRINGS,
  MESSAGE_SIZE,
  ORDER,
  REPORT,
  REQUEST_FLAG,
  REQUEST_MAGIC,
  REQUEST_SIZE,
} from "./protocol.ts";
import { ConnectionRefused, openOne, type StreamOpener } from "./socket-stream.ts";

/** How a command is run. */
export interface CommandOptions {
  /** The working directory; the guest's root unless given. */
  readonly cwd?: string | undefined;
  /** Added to the usual variables. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Give it a terminal of this size. Output and errors are one stream then. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
  /** Bytes for its input, which then ends. Without, its input is open until {@link Command.stdin} is ended. */
  readonly input?: string | Uint8Array | undefined;
}

/** How a command has ended: with a status, or by a signal. */
export type CommandExit =
  | { readonly code: number; readonly signal?: undefined }
  | { readonly code?: undefined; readonly signal: NodeJS.Signals | number };

/** What a command that was waited for has left. */
export interface CommandResult {
  /** Its status; 128 and the signal's number where a signal ended it, as a shell has it. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** The same, not taken for UTF-8. */
  readonly stdoutBytes: Buffer;
  readonly stderrBytes: Buffer;
}

const USUAL_VARIABLES = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  USER: "root",
  LOGNAME: "root",
} as const;

/** Statuses of a shell for what cannot be started. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
const ENOENT = 2;

/**
 * A command in a guest. Its streams can be used as it runs; or it is awaited, which collects what it writes and
 * gives its status. A status other than 0 is no error; that the guest has gone is.
 */
export class Command implements PromiseLike<CommandResult> {
  /** How it ended, once everything that it wrote has arrived. */
  readonly exited: Promise<CommandExit>;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Without bytes where the command has a terminal. */
  readonly stderr: Readable;
  readonly #streams: Promise<Streams>;
  #result: Promise<CommandResult> | undefined;

  /** `words`: the program and its arguments; a single string is for the guest's shell. */
  constructor(open: StreamOpener, words: string | readonly string[], options: CommandOptions = {}) {
    const starting = start(open, typeof words === "string" ? ["/bin/sh", "-c", words] : words, options);
    this.#streams = starting;
    this.stdin = lateWritable(starting.then(({ stdin }) => stdin));
    this.stdout = lateReadable(starting.then(({ stdout }) => stdout));
    this.stderr = lateReadable(starting.then(({ stderr }) => stderr));
    this.exited = starting.then(({ exited }) => exited);
    // Whoever wants to know awaits it; nobody else should be ended by it.
    this.exited.catch(() => {});
    this.stdin.on("error", () => {});
    if (options.input !== undefined) this.stdin.end(options.input);
  }

  /** Sends a signal to the command and the processes that it has started. */
  async kill(signal: NodeJS.Signals | number = "SIGTERM"): Promise<void> {
    const number = typeof signal === "number" ? signal : constants.signals[signal];
    await this.#order(ORDER.SIGNAL, number);
  }

  /** Tells it that its terminal has another size. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#order(ORDER.RESIZE, ((rows & 0xffff) << 16) | (columns & 0xffff));
  }

  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what this is for
  then<T = CommandResult, F = never>(
    onResult?: ((result: CommandResult) => T | PromiseLike<T>) | null,
    onError?: ((reason: unknown) => F | PromiseLike<F>) | null,
  ): Promise<T | F> {
    this.#result ??= this.#collect();
    return this.#result.then(onResult, onError);
  }

  async #collect(): Promise<CommandResult> {
    const [stdoutBytes, stderrBytes, exit] = await Promise.all([
      collect(this.stdout),
      collect(this.stderr),
      this.exited,
    ]);
    return {
      exitCode: exit.code ?? 128 + signalNumber(exit.signal),
      signal: exit.signal,
      stdout: stdoutBytes.toString(),
      stderr: stderrBytes.toString(),
      stdoutBytes,
      stderrBytes,
    };
  }

  async #order(order: number, value: number): Promise<void> {
    const { control } = await this.#streams;
    if (!control.destroyed && control.writable) control.write(message(order, value));
  }
}

/** The number of a signal by its name in this process's system, which is the guest's for those that matter. */
export function signalNumber(signal: NodeJS.Signals | number): number {
  return typeof signal === "number" ? signal : constants.signals[signal];
}

interface Streams {
  readonly control: Duplex;
  readonly stdin: Duplex;
  readonly stdout: Duplex;
  readonly stderr: Duplex | undefined;
  readonly exited: Promise<CommandExit>;
}

async function start(
  open: StreamOpener,
  words: readonly string[],
  options: CommandOptions,
): Promise<Streams> {
  const request = encodeRequest(words, options);
  const control = await openOne(open, AGENT_PORT).catch((cause: unknown) => {
    // That the machine has ended, say, has been said.
    if (cause instanceof UserError) throw cause;
    throw new UserError(
      "The agent in the guest does not answer; wait until the guest is up, or use its console.",
      { cause },
    );
  });
  const reports = new Reports(control);
  control.write(request);
  try {
    const [kind, port] = await reports.next();
    if (kind !== REPORT.PORT) throw refused(kind, port, words);
    const count = options.terminal === undefined ? 3 : 1;
    const [stdin, stdout = stdin, stderr] = (await open(port, count)) as [Duplex, Duplex?, Duplex?]; // one at least
    if (stdin !== stdout) stdin.resume();
    const exited = exitOf(reports, words).finally(() => control.destroy());
    return { control, stdin, stdout, stderr, exited };
  } catch (error) {
    control.destroy();
    if (error instanceof ConnectionRefused) throw lost(words, error);
    throw error;
  }
}

async function exitOf(reports: Reports, words: readonly string[]): Promise<CommandExit> {
  const [kind, value] = await reports.next().catch((error: unknown) => {
    throw lost(words, error);
  });
  if (kind === REPORT.EXITED) return { code: value & 0xff };
  if (kind === REPORT.KILLED) return { signal: signalName(value) };
  throw refused(kind, value, words);
}

function signalName(number: number): NodeJS.Signals | number {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found === undefined ? number : (found[0] as NodeJS.Signals); // the keys of that table are its type
}

function lost(words: readonly string[], cause: unknown): UserError {
  return new UserError(
    `The command ${words.at(0) ?? ""} in the guest was lost: the agent, or the machine, ended before it did.`,
    { cause },
  );
}

/** A command that could not be started, with the status that a shell would give. */
export class CommandNotStarted extends UserError {}

function refused(kind: number, value: number, words: readonly string[]): UserError {
  if (kind !== REPORT.FAILED) return lost(words, new Error(`report ${kind}`));
  const [name = ""] = words;
  const reason =
    Object.entries(constants.errno).find(([, number]) => number === value)?.[0] ?? `error ${value}`;
  const sentence =
    value === ENOENT
      ? `The guest has no program or directory for "${name}"; check the names.`
      : `The program "${name}" cannot be started in the guest (${reason}).`;
  return new CommandNotStarted(sentence, { exitStatus: value === ENOENT ? NOT_FOUND : NOT_EXECUTABLE });
}

/** Splits what the agent says into messages. */
class Reports {
  readonly #control: Duplex;
  #rest: Buffer = Buffer.alloc(0);

  constructor(control: Duplex) {
    this.#control = control;
  }

  async next(): Promise<[number, number]> {
    while (this.#rest.length < MESSAGE_SIZE) {
      const piece: unknown = this.#control.read();
      if (piece instanceof Buffer) this.#rest = Buffer.concat([this.#rest, piece]);
      else if (this.#control.readableEnded || this.#control.destroyed) {
        throw new ConnectionRefused("the agent closed the connection");
      } else await Promise.race(["readable", "end", "close"].map((name) => once(this.#control, name)));
    }
    const words: [number, number] = [this.#rest.readUInt32LE(0), this.#rest.readUInt32LE(4)];
    this.#rest = this.#rest.subarray(MESSAGE_SIZE);
    return words;
  }
}

function message(kind: number, value: number): Buffer {
  const bytes = Buffer.alloc(MESSAGE_SIZE);
  bytes.writeUInt32LE(kind, 0);
  bytes.writeUInt32LE(value >>> 0, 4);
  return bytes;
}

function encodeRequest(words: readonly string[], { cwd = "/", env, terminal }: CommandOptions): Buffer {
  if (words.length === 0 || words[0] === "")
    throw new UserError("A command needs a name.", { exitStatus: 2 });
  const variables = Object.entries({ ...USUAL_VARIABLES, ...env }).map(([name, value]) => `${name}=${value}`);
  const strings = [cwd, ...words, ...variables];
  const bad = strings.find((text) => text.includes("\0"));
  if (bad !== undefined) {
    throw new UserError(`${JSON.stringify(bad)} holds a zero byte, which no argument of a command can.`, {
      exitStatus: 2,
    });
  }
  const bytes = Buffer.from(strings.map((text) => `${text}\0`).join(""));
  if (bytes.length > LONGEST_STRINGS) {
    throw new UserError(
      `The command's arguments have ${bytes.length} bytes, more than ${LONGEST_STRINGS}; pass them on its input.`,
    );
  }
  const head = Buffer.alloc(REQUEST_SIZE);
  const size = terminal === undefined ? 0 : ((terminal.rows & 0xffff) << 16) | (terminal.columns & 0xffff);
  const fields = [
    REQUEST_MAGIC,
    terminal === undefined ? 0 : REQUEST_FLAG.TERMINAL,
    size >>> 0,
    bytes.length,
    words.length,
    variables.length,
  ];
  for (const [index, field] of fields.entries()) head.writeUInt32LE(field, 4 * index);
  return Buffer.concat([head, bytes]);
}

async function collect(stream: Readable): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream as AsyncIterable<Uint8Array>) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A stream that is still on its way. What its reader does not fetch stays in the guest. */
function lateReadable(coming: Promise<Readable | undefined>): Readable {
  let source: Readable | undefined;
  let ended = false;
  const late = new ReadableStream({
    read() {
      source?.resume();
    },
    destroy(error, done) {
      source?.destroy();
      done(error);
    },
  });
  const end = (): void => {
    if (!ended && !late.destroyed) late.push(null);
    ended = true;
  };
  coming.then((stream) => {
    source = stream;
    if (stream === undefined) end();
    else {
      stream.on("data", (bytes: Uint8Array) => {
        if (!ended && !late.push(bytes)) stream.pause();
      });
      stream.on("end", end);
      // How the command ended tells of a broken connection; its output ends there.
      stream.on("close", end);
      if (late.destroyed) stream.destroy();
    }
  }, end);
  return late;
}

function lateWritable(coming: Promise<Writable>): Writable {
  // Nobody may ever write; how the command ended tells what became of it.
  coming.catch(() => {});
  return new WritableStream({
    write(bytes: Uint8Array, _encoding, done) {
      coming.then((stream) => stream.write(bytes, (error) => done(error)), done);
    },
    final(done) {
      coming.then(
        (stream) => stream.end(() => done()),
        () => done(),
      );
    },
    destroy(error, done) {
      coming.then(
        (stream) => {
          // With a terminal it is the output's stream too.
          if (!stream.writableEnded) stream.end();
        },
        () => {},
      );
      done(error);
    },
  });
}
