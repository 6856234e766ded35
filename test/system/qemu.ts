import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { END_OF_OUTPUT, PROGRAM_ADDRESS } from "./runtime.ts";

export interface QemuOptions {
  readonly cpu?: string;
  readonly timeoutSeconds?: number;
  /** Properties of the machine besides `virt,gic-version=3`. */
  readonly machine?: string;
}

/** Runs a bare program on QEMU's `virt` with EL3 and EL2, and returns what it prints up to the end mark. */
export async function runOnQemu(program: Uint8Array, options: QemuOptions = {}): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "bare-program-"));
  const file = join(folder, "program.bin");
  writeFileSync(file, program);
  const machine = options.machine ?? "secure=on,virtualization=on";
  const seconds = options.timeoutSeconds ?? 120;
  // `timeout` ends QEMU even when this process is killed while it waits.
  const child = spawn(
    "timeout",
    [
      ...["-s", "KILL", String(seconds + 10), "qemu-system-aarch64"],
      ...["-M", `virt,gic-version=3,${machine}`, "-cpu", options.cpu ?? "neoverse-n1", "-m", "256M"],
      ...["-display", "none", "-monitor", "none", "-serial", "stdio", "-net", "none"],
      ...["-accel", "tcg,thread=single"],
      ...["-device", `loader,file=${file},addr=0x${PROGRAM_ADDRESS.toString(16)},cpu-num=0,force-raw=on`],
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  try {
    return await untilEnd(child.stdout, child.stderr, seconds * 1000);
  } finally {
    child.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
}

function untilEnd(
  stdout: NodeJS.ReadableStream,
  stderr: NodeJS.ReadableStream,
  milliseconds: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: string[] = [];
    let tail = "";
    const fail = (why: string) => reject(new Error(`${why}; the end of its output: ${tail.slice(-500)}`));
    const timer = setTimeout(() => fail(`QEMU did not finish in ${milliseconds / 1000} s`), milliseconds);
    stderr.on("data", (data: Buffer) => {
      tail += data.toString("latin1");
    });
    stdout.on("data", (data: Buffer) => {
      const text = data.toString("latin1");
      chunks.push(text);
      tail = (tail + text).slice(-2000);
      if (!tail.includes(END_OF_OUTPUT)) return;
      clearTimeout(timer);
      resolve(chunks.join("").split(END_OF_OUTPUT)[0] ?? "");
    });
    stdout.on("end", () => {
      clearTimeout(timer);
      fail("QEMU ended");
    });
  });
}
