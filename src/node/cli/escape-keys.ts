/** What a user asks of the machine rather than of the guest. */
export type EscapeCommand = "quit" | "help" | "statistics";

/** The key that begins an escape: Ctrl-A. */
const ESCAPE = 0x01;

/** The keys after Ctrl-A. */
export const ESCAPE_KEYS: readonly {
  readonly key: string;
  readonly command: EscapeCommand;
  readonly title: string;
}[] = [
  { key: "x", command: "quit", title: "end the machine" },
  { key: "h", command: "help", title: "show these keys" },
  { key: "s", command: "statistics", title: "show statistics" },
];

/** The help that Ctrl-A h shows. */
export const ESCAPE_HELP = [
  ...ESCAPE_KEYS.map(({ key, title }) => `Ctrl-A ${key}       ${title}`),
  "Ctrl-A Ctrl-A  send Ctrl-A to the guest",
].join("\n");

/** Part of what was typed: bytes for the guest, or a command for us. */
export type TypedPart =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: EscapeCommand };

/** Separates the escape keys from the rest of what is typed; keeps a Ctrl-A whose second key is still to come. */
export class EscapeKeys {
  #escaped = false;

  /** The parts of `typed` in their order. Keys that mean nothing after Ctrl-A are dropped with it. */
  split(typed: Uint8Array): TypedPart[] {
    const parts: TypedPart[] = [];
    let start = 0;
    const pass = (end: number): void => {
      if (end > start) parts.push({ kind: "bytes", bytes: typed.subarray(start, end) });
    };
    for (const [index, byte] of typed.entries()) {
      if (this.#escaped) {
        this.#escaped = false;
        start = byte === ESCAPE ? index : index + 1;
        const command = ESCAPE_KEYS.find(
          ({ key }) => key === String.fromCharCode(byte).toLowerCase(),
        )?.command;
        if (command !== undefined) parts.push({ kind: command });
      } else if (byte === ESCAPE) {
        pass(index);
        this.#escaped = true;
        start = index + 1;
      }
    }
    pass(typed.length);
    return parts;
  }
}
