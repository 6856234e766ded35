import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Every entry below a directory, with all that a copy must keep. Node's own recursion would follow links. */
export function listTree(root: string, prefix = ""): string[] {
  return readdirSync(root)
    .sort()
    .flatMap((entry) => {
      const [path, name] = [join(root, entry), `${prefix}${entry}`];
      const status = lstatSync(path);
      const mode = (status.mode & 0o7777).toString(8);
      if (status.isSymbolicLink()) return [`${name} -> ${readlinkSync(path)}`];
      if (status.isDirectory()) return [`${name}/ ${mode}`, ...listTree(path, `${name}/`)];
      const hash = createHash("sha256").update(readFileSync(path)).digest("hex");
      return [`${name} ${mode} ${Math.floor(status.mtimeMs / 1000)} ${hash}`];
    });
}
