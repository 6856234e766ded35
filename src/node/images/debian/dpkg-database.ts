import { createHash } from "node:crypto";
import { UserError } from "../../../base/errors.ts";
import type { PackageEntry } from "../deb.ts";

/** Where dpkg keeps what it knows (dpkg(1), "FILES"). */
const DIRECTORY = "var/lib/dpkg";
const SCRIPT = /^(preinst|postinst|prerm|postrm|config)$/;

/** A file of the database. */
export interface DatabaseFile {
  readonly path: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

/** One package as the database has it, taken from its archives while they are unpacked. */
export class DatabaseEntry {
  readonly #control = new Map<string, Uint8Array>();
  readonly #paths: string[] = ["/."];
  readonly #configurationHashes = new Map<string, string>();

  /** Takes an entry of the package's "control" archive. */
  async takeControl(entry: PackageEntry): Promise<void> {
    if (entry.type === "file") this.#control.set(entry.path, await entry.content());
  }

  /** Takes the path of an entry of the "data" archive, with its content where it is a file. */
  takePath(path: string, content: Uint8Array | undefined): void {
    if (path !== "") this.#paths.push(`/${path}`);
    if (content !== undefined && this.#configurationFiles().includes(`/${path}`)) {
      this.#configurationHashes.set(`/${path}`, createHash("md5").update(content).digest("hex"));
    }
  }

  /** The value of a field in the package's control file; "" where there is none. */
  field(name: string): string {
    return new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(this.#text("control"))?.[1]?.trim() ?? "";
  }

  /** The name of its files in the database: packages that may be there for several architectures say for which. */
  get fileName(): string {
    const { package: name, architecture } = this.#identity();
    return this.field("Multi-Arch") === "same" ? `${name}:${architecture}` : name;
  }

  get hasPreinst(): boolean {
    return this.#control.has("preinst");
  }

  /** What `status` says of it: unpacked, not yet configured. */
  stanza(): string {
    const [first = "", ...lines] = this.#text("control").trim().split("\n");
    const files = this.#configurationFiles().flatMap((path) => {
      const hash = this.#configurationHashes.get(path);
      return hash === undefined ? [] : [` ${path} ${hash}`];
    });
    const configuration = files.length > 0 ? ["Conffiles:", ...files] : [];
    return `${[first, "Status: install ok unpacked", ...lines, ...configuration].join("\n")}\n`;
  }

  /** Its files below `info/`. */
  files(): DatabaseFile[] {
    const files = [...this.#control]
      .filter(([name]) => name !== "control")
      .map(([name, content]) => ({
        path: `${DIRECTORY}/info/${this.fileName}.${name}`,
        mode: SCRIPT.test(name) ? 0o755 : 0o644,
        content,
      }));
    const list = Buffer.from(`${this.#paths.join("\n")}\n`);
    return [...files, { path: `${DIRECTORY}/info/${this.fileName}.list`, mode: 0o644, content: list }];
  }

  /** What it wants to hear of: names of triggers, or paths below which files change (deb-triggers(5)). */
  interests(): { readonly trigger: string; readonly noAwait: boolean }[] {
    return this.#text("triggers")
      .split("\n")
      .flatMap((line) => {
        const match = /^\s*interest(-noawait|-await)?\s+(\S+)/.exec(line);
        return match === null ? [] : [{ trigger: match[2]!, noAwait: match[1] === "-noawait" }];
      });
  }

  #configurationFiles(): string[] {
    return this.#text("conffiles")
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line.startsWith("/"));
  }

  #identity(): { package: string; architecture: string } {
    return { package: this.field("Package"), architecture: this.field("Architecture") };
  }

  #text(name: string): string {
    const content = this.#control.get(name);
    return content === undefined ? "" : new TextDecoder().decode(content);
  }
}

/** The files of the database that speak of all packages. */
export function commonDatabaseFiles(entries: readonly DatabaseEntry[]): DatabaseFile[] {
  const status = entries.map((entry) => entry.stanza()).join("\n");
  const paths: string[] = [];
  const named = new Map<string, string[]>();
  for (const entry of entries) {
    for (const { trigger, noAwait } of entry.interests()) {
      const who = `${entry.fileName}${noAwait ? "/noawait" : ""}`;
      if (trigger.startsWith("/")) paths.push(`${trigger} ${who}`);
      else named.set(trigger, [...(named.get(trigger) ?? []), who]);
    }
  }
  const file = (path: string, text: string): DatabaseFile => ({
    path: `${DIRECTORY}/${path}`,
    mode: 0o644,
    content: Buffer.from(text),
  });
  return [
    file("status", status),
    file("available", ""),
    file("diversions", ""),
    file("statoverride", ""),
    file("info/format", "1\n"),
    file("triggers/File", paths.map((line) => `${line}\n`).join("")),
    ...[...named].map(([name, who]) => {
      if (!/^[\w.:+-]+$/.test(name))
        throw new UserError(`A package asks for the trigger "${name}", which no trigger is called.`);
      return file(`triggers/${name}`, who.map((one) => `${one}\n`).join(""));
    }),
  ];
}
