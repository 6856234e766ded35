import { execFileSync } from "node:child_process";
import { cpus, release, totalmem, type } from "node:os";

import { QEMU } from "./workload.ts";

/** What the figures depend on: the computer and the versions, a line each. */
export function describeSurroundings(guestKernel: string | undefined): string[] {
  const [processor] = cpus();
  return [
    `Host: ${processor?.model.trim() ?? "unknown processor"}, ${cpus().length} processors, ${Math.round(totalmem() / 2 ** 30)} GiB; ${type()} ${release()}`,
    `Node.js ${process.versions.node} (V8 ${process.versions.v8})`,
    firstLine(QEMU),
    firstLine("aarch64-linux-gnu-gcc"),
    firstLine("gcc"),
    ...(guestKernel === undefined ? [] : [`Guest: ${guestKernel}`]),
  ];
}

function firstLine(program: string): string {
  try {
    return execFileSync(program, ["--version"], { encoding: "utf8" }).split("\n")[0] ?? program;
  } catch {
    return `${program}: not installed`;
  }
}
