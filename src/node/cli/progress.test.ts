import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { stderrProgress } from "./progress.ts";

const MEBIBYTE = 2 ** 20;

/** What a download of 4 MiB shows, of which one is there already; to a terminal or to a file. */
function shown(terminal: boolean): string {
  const stderr = Object.assign(new PassThrough(), { isTTY: terminal, columns: 100, rows: 30 });
  const progress = stderrProgress(stderr);
  progress.start("linux-image", 4 * MEBIBYTE, MEBIBYTE);
  progress.advance(MEBIBYTE);
  progress.advance(2 * MEBIBYTE);
  progress.stop();
  progress.say("Done.");
  return String(stderr.read());
}

test("a download is a bar on a terminal, which reaches its end", () => {
  const text = shown(true);
  expect(text).toMatch(/linux-image \[=+-+\] 25% of 4\.0 MiB/);
  expect(text).toMatch(/linux-image \[=+\] 100% of 4\.0 MiB/);
  expect(text.endsWith("elvisor: Done.\n")).toBe(true);
});

test("and one line elsewhere", () => {
  expect(shown(false)).toBe(
    "elvisor: Fetching linux-image (4.0 MiB, 1.0 of them are here).\nelvisor: Done.\n",
  );
});
