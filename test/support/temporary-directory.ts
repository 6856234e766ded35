import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

function make(): string {
  return mkdtempSync(join(tmpdir(), "elvisor-test-"));
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** A directory that goes away after the test that asked for it. */
export function temporaryDirectory(): string {
  const path = make();
  onTestFinished(() => remove(path));
  return path;
}

/** Calls `body` with the path of a new directory, which is gone afterwards. */
export function withTemporaryDirectory<Result>(body: (path: string) => Result): Result {
  const path = make();
  try {
    return body(path);
  } finally {
    remove(path);
  }
}
