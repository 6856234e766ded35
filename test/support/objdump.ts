import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runHostProgram } from "./host-program.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

/** GNU objdump's lines for words that follow each other from address 0, as {@link normalizeAssembly} has them. */
export function objdump(words: readonly number[], options: { aliases: boolean }): string[] {
  return withTemporaryDirectory((folder) => {
    const bytes = Buffer.alloc(words.length * 4);
    words.forEach((word, index) => {
      bytes.writeUInt32LE(word >>> 0, index * 4);
    });
    const path = join(folder, "words.bin");
    writeFileSync(path, bytes);
    const aliases = options.aliases ? [] : ["-M", "no-aliases"];
    const outcome = runHostProgram(
      "aarch64-linux-gnu-objdump",
      ["-D", "-z", "-b", "binary", "-m", "aarch64", ...aliases, path],
      { seconds: 120 },
    );
    const lines: string[] = [];
    for (const line of outcome.stdout.toString("latin1").split("\n")) {
      const match = /^\s*[0-9a-f]+:\t[0-9a-f]{8} \t(.*)$/.exec(line);
      if (match) lines.push(normalizeAssembly(match[1]!));
    }
    if (lines.length !== words.length) {
      throw new Error(`objdump gave ${lines.length} lines for ${words.length} words: ${outcome.stderr}`);
    }
    return lines;
  });
}

/** Lower case, single blanks, no comments. */
export function normalizeAssembly(line: string): string {
  return line
    .replace(/\s*(\/\/|;).*$/, "")
    .replace(/\s+/g, " ")
    .trim()
    .toLowerCase();
}
