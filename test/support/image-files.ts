import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

/** Runs qemu-img; fails with what it said. */
export function qemuImg(...words: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync("qemu-img", words, { encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`qemu-img ${words.join(" ")} ended with ${status}: ${stderr}${stdout}`);
  return stdout;
}

/** What `qemu-img check` found: numbers of corruptions and of leaked clusters. */
export function checkImage(path: string): { readonly corruptions: number; readonly leaks: number } {
  const { stdout, stderr } = spawnSync("qemu-img", ["check", "--output=json", "-f", "qcow2", path], {
    encoding: "utf8",
  });
  // What qemu-img writes: a contract of its --output=json.
  const found = JSON.parse(stdout) as { corruptions?: number; leaks?: number; "check-errors"?: number };
  if (found["check-errors"]) throw new Error(`qemu-img check ${path}: ${stderr}`);
  return { corruptions: found.corruptions ?? 0, leaks: found.leaks ?? 0 };
}

/** The guest's view of an image, by QEMU. */
export function contentByQemu(path: string): Uint8Array {
  const raw = `${path}.converted`;
  try {
    qemuImg("convert", "-O", "raw", path, raw);
    return new Uint8Array(readFileSync(raw));
  } finally {
    rmSync(raw, { force: true });
  }
}
