import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPackage } from "../../src/node/images/deb.ts";
import { packageFiles } from "./guest-packages.ts";
import { runHostProgram } from "./host-program.ts";
import { withLargeDirectory } from "./large-directory.ts";

export const SOURCE_PACKAGE = "linux-source-6.1";

/** Unpacks the kernel's sources of Debian below `directory`: all of them, or these files. */
export async function unpackKernelSource(directory: string, files: readonly string[] = []): Promise<void> {
  const [file] = await packageFiles([SOURCE_PACKAGE]);
  const archive = join(directory, "source.tar.xz");
  await readPackage(
    file!,
    (path) => path === `usr/src/${SOURCE_PACKAGE}.tar.xz`,
    ({ content }) => writeFileSync(archive, content),
  );
  const members = files.map((path) => `${SOURCE_PACKAGE}/${path}`);
  const words = ["-xf", archive, "-C", directory, ...members];
  const { status, stderr } = runHostProgram("tar", words, { seconds: 1800 });
  if (status !== 0) throw new Error(`the kernel's sources cannot be unpacked: ${stderr}`);
}

/** Compiles one of the kernel's selftests, a program of one file, for guests. */
export async function compileSelftest(name: string): Promise<Uint8Array> {
  const selftests = "tools/testing/selftests";
  return withLargeDirectory(async (directory) => {
    await unpackKernelSource(directory, [`${selftests}/${name}.c`, `${selftests}/kselftest.h`]);
    const out = join(directory, "program");
    const source = join(directory, SOURCE_PACKAGE, selftests, `${name}.c`);
    execFileSync("aarch64-linux-gnu-gcc", ["-O1", "-static", "-o", out, source]);
    return readFileSync(out);
  });
}
