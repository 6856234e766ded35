import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One suite of one archive, as a line of apt's configuration names it (sources.list(5)). */
export interface AptSource {
  /** Address of the archive, without a slash at its end. */
  readonly url: string;
  readonly suite: string;
  readonly components: readonly string[];
}

/**
 * The sources of binary packages in the text of a one-line-style file (`sources.list`). Lines that are not
 * understood are left out: the file belongs to somebody else.
 */
export function parseSourcesList(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const words = line
      .replace(/#.*/, "")
      .replace(/\[[^\]]*\]/, " ")
      .trim()
      .split(/\s+/);
    const [kind, url, suite, ...components] = words;
    if (kind !== "deb" || url === undefined || suite === undefined || components.length === 0) continue;
    sources.push({ url: withoutSlash(url), suite, components });
  }
  return sources;
}

/** The sources of binary packages in the text of a deb822-style file (`*.sources`). */
export function parseDeb822Sources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const stanza of text.replaceAll("\r", "").split(/\n\s*\n/)) {
    const fields = parseFields(stanza.split("\n").filter((line) => !line.startsWith("#")));
    const words = (name: string): string[] =>
      (fields.get(name) ?? "").split(/\s+/).filter((word) => word !== "");
    if (
      !words("types").includes("deb") ||
      /^(no|false|0|off|without|disable)$/i.test(fields.get("enabled") ?? "")
    ) {
      continue;
    }
    for (const url of words("uris")) {
      for (const suite of words("suites")) {
        sources.push({ url: withoutSlash(url), suite, components: words("components") });
      }
    }
  }
  return sources;
}

function parseFields(lines: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  let name = "";
  for (const line of lines) {
    const field = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (field) {
      name = field[1]!.toLowerCase();
      fields.set(name, field[2]!.trim());
    } else if (/^\s/.test(line) && name !== "") {
      fields.set(name, `${fields.get(name)} ${line.trim()}`);
    }
  }
  return fields;
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}

/** Everything that apt's configuration below `directory` (/etc/apt) names; nothing where there is none. */
export async function readAptSources(directory: string): Promise<AptSource[]> {
  const sources: AptSource[] = [];
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, "utf8");
    } catch {
      return "";
    }
  };
  sources.push(...parseSourcesList(await read(join(directory, "sources.list"))));
  let names: string[] = [];
  try {
    names = await readdir(join(directory, "sources.list.d"));
  } catch {
    // A machine without apt has no such directory.
  }
  for (const name of names.sort()) {
    const path = join(directory, "sources.list.d", name);
    if (name.endsWith(".list")) sources.push(...parseSourcesList(await read(path)));
    if (name.endsWith(".sources")) sources.push(...parseDeb822Sources(await read(path)));
  }
  return sources;
}
