import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageFiles } from "./guest-packages.ts";
import { withTemporaryDirectory } from "./temporary-directory.ts";

/**
 * Builds a module for Debian's kernel `release` (such as 6.1.0-1-cloud-arm64) from a source beside this file, with
 * Debian's headers for it. Needs apt on Debian 12, for the programs of kbuild.
 */
export async function buildGuestModule(release: string, source: string): Promise<Uint8Array> {
  const version = release.replace(/-(cloud-)?arm64$/, "");
  const headers = await packageFiles([`linux-headers-${release}`, `linux-headers-${version}-common`]);
  return withTemporaryDirectory((root) => {
    const run = (program: string, words: readonly string[], cwd = root): void => {
      execFileSync(program, words, { cwd, stdio: ["ignore", "ignore", "pipe"] });
    };
    run("apt-get", ["download", `linux-kbuild-${version.replace(/\.0-\d+$/, "")}`]);
    const tools = readdirSync(root).map((name) => join(root, name));
    for (const file of [...headers, ...tools]) run("dpkg", ["-x", file, root]);
    const tree = join(root, "usr/src", `linux-headers-${release}`);
    // The packages' makefiles name each other by where they would be installed.
    for (const name of ["Makefile", ".kernelvariables"]) {
      const path = join(tree, name);
      writeFileSync(path, readFileSync(path, "utf8").replaceAll(" /usr/src/", ` ${root}/usr/src/`));
    }
    const module = join(root, "module");
    mkdirSync(module);
    copyFileSync(join(import.meta.dirname, source), join(module, "guest.c"));
    writeFileSync(join(module, "Makefile"), "obj-m := guest.o\n");
    const target = [
      "ARCH=arm64",
      "CROSS_COMPILE=aarch64-linux-gnu-",
      "KERNELRELEASE=",
      `M=${module}`,
      "modules",
    ];
    run("make", ["-C", tree, ...target]);
    return readFileSync(join(module, "guest.ko"));
  });
}
