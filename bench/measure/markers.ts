/** What a measured program says on its console; all but `prompt` are lines of their own. */
export type Marker =
  | { readonly kind: "start"; readonly item: string }
  | {
      readonly kind: "end";
      readonly item: string;
      readonly checksum: string;
      readonly work: number | undefined;
    }
  | { readonly kind: "exception"; readonly text: string }
  /** The shell of the boot waits for a command. */
  | { readonly kind: "prompt" };

/** The prompt of the shell that ends the measurement of a boot. */
export const PROMPT = "@prompt#";

const START = /^@start (\S+)$/;
const END = /^@end (\S+) ([0-9a-f]+)(?: (\d*))?$/;
const EXCEPTION = /^@exception (.*)$/;

/** Finds markers in a console's output, which comes in pieces. */
export class MarkerReader {
  #line = "";

  /** The markers that `text` completes. */
  read(text: string): Marker[] {
    const markers: Marker[] = [];
    for (const character of text) {
      if (character === "\n") {
        const marker = parse(this.#line.replaceAll("\r", ""));
        if (marker !== undefined) markers.push(marker);
        this.#line = "";
        continue;
      }
      this.#line += character;
      // No line feed follows it.
      if (this.#line.endsWith(PROMPT)) {
        markers.push({ kind: "prompt" });
        this.#line = "";
      }
    }
    return markers;
  }
}

function parse(line: string): Marker | undefined {
  const start = START.exec(line);
  if (start?.[1] !== undefined) return { kind: "start", item: start[1] };
  const end = END.exec(line);
  if (end?.[1] !== undefined && end[2] !== undefined) {
    return { kind: "end", item: end[1], checksum: end[2], work: end[3] ? Number(end[3]) : undefined };
  }
  const exception = EXCEPTION.exec(line);
  return exception?.[1] === undefined ? undefined : { kind: "exception", text: exception[1] };
}
