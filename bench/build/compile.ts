import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { UserError } from "../../src/base/errors.ts";
import { BENCH, BUILD } from "../paths.ts";

const execute = promisify(execFile);

/** For whom a program is built, and with what. */
export const COMPILERS = {
  guest: { program: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu" },
  host: { program: "gcc", package: "gcc" },
} as const;

export type Target = keyof typeof COMPILERS;

/** What is wrong in the sources should be heard; what the optimiser may assume is the same for both targets. */
const COMMON = [
  ...["-O2", "-std=gnu17", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"],
  ...["-fno-strict-aliasing", "-fno-math-errno"],
];

/** Compiles `arguments_` (options and files below bench/) to a program, unless that was done before; its path. */
export async function compile(name: string, target: Target, arguments_: readonly string[]): Promise<string> {
  const { program } = COMPILERS[target];
  const parameters = [...COMMON, ...arguments_];
  const key = createHash("sha256")
    .update(JSON.stringify([program, parameters]))
    .update(await sources());
  const path = join(BUILD, `${name}-${target}-${key.digest("hex").slice(0, 16)}`);
  if (await exists(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  try {
    await execute(program, [...parameters, "-o", draft], { cwd: BENCH });
  } catch (cause) {
    throw compilerError(target, cause as NodeJS.ErrnoException & { stderr?: string }, name);
  }
  await rename(draft, path);
  return path;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** A digest of every C file, because they include each other. */
async function sources(): Promise<string> {
  const hash = createHash("sha256");
  for (const directory of ["guest", "kernels"]) {
    for (const file of (await readdir(join(BENCH, directory))).sort()) {
      hash.update(file).update(await readFile(join(BENCH, directory, file)));
    }
  }
  return hash.digest("hex");
}

function compilerError(
  target: Target,
  error: NodeJS.ErrnoException & { stderr?: string },
  name: string,
): Error {
  const { program, package: debianPackage } = COMPILERS[target];
  if (error.code === "ENOENT") {
    return new UserError(
      `The compiler ${program} is not installed; the benchmarks need it: apt install ${debianPackage}`,
    );
  }
  return new UserError(`${program} could not compile ${name}:\n${error.stderr ?? error.message}`);
}
