import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { UserError } from "../../base/errors.ts";

/** Something that a recipe says, and "FILE:LINE" where it says so. */
export interface RecipeItem {
  readonly text: string;
  readonly where: string;
}

/** Files of the host that go into the system. */
export interface RecipeFile {
  /** A file or directory, seen from the recipe's directory. */
  readonly from: string;
  /** An absolute path in the guest; with a slash at its end, the directory into which `from` goes. */
  readonly to: string;
  /** Permission bits of a file; the host's unless given. */
  readonly mode: number | undefined;
  readonly where: string;
}

/** What `elvisor build` makes an image from. */
export interface Recipe {
  readonly name: RecipeItem | undefined;
  readonly base: RecipeItem;
  readonly packages: readonly RecipeItem[];
  readonly files: readonly RecipeFile[];
  readonly commands: readonly RecipeItem[];
}

const KEYS = ["name", "base", "packages", "files", "commands"] as const;
const FILE_KEYS = ["from", "to", "mode"] as const;
/** As Debian Policy, section 5.6.1, has it. */
const PACKAGE_NAME = /^[a-z0-9][a-z0-9+.-]+$/;

/** Reads a recipe. What is wrong with it is a UserError with the line. */
export function parseRecipe(text: string, path: string): Recipe {
  return new RecipeReader(text, path).read();
}

class RecipeReader {
  readonly #text: string;
  readonly #path: string;
  readonly #lines = new LineCounter();

  constructor(text: string, path: string) {
    this.#text = text;
    this.#path = path;
  }

  read(): Recipe {
    const document = parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false });
    const [error] = document.errors;
    if (error !== undefined) throw this.#wrong(error.pos[0], `This is not YAML (${error.message})`);
    const fields = this.#fields(document.contents, KEYS, "A recipe");
    const base = fields.get("base");
    if (base === undefined)
      throw this.#wrong(0, "The recipe names no base; add a line such as base: debian:12");
    const name = fields.get("name");
    return {
      name: name && this.#string(name, "name"),
      base: this.#string(base, "base"),
      packages: this.#list(fields.get("packages"), "packages").map((node) => this.#package(node)),
      files: this.#list(fields.get("files"), "files").map((node) => this.#file(node)),
      commands: this.#list(fields.get("commands"), "commands").map((node) => this.#string(node, "A command")),
    };
  }

  #package(node: Node): RecipeItem {
    const item = this.#string(node, "A package");
    if (PACKAGE_NAME.test(item.text)) return item;
    throw this.#wrong(node, `"${item.text}" cannot be the name of a package`);
  }

  #file(node: Node): RecipeFile {
    const fields = this.#fields(node, FILE_KEYS, "An entry of files");
    const [from, to, mode] = FILE_KEYS.map((key) => fields.get(key));
    if (from === undefined || to === undefined)
      throw this.#wrong(node, "An entry of files needs from: and to:");
    const target = this.#string(to, "to").text;
    if (!target.startsWith("/") || target.split("/").includes(".."))
      throw this.#wrong(to, `"${target}" is no absolute path in the guest, such as /etc/motd`);
    return {
      from: this.#string(from, "from").text,
      to: target,
      mode: mode && this.#mode(mode),
      where: this.#where(node),
    };
  }

  #mode(node: Node): number {
    // Written with or without quotes; YAML takes 0644 for a decimal number and 0o644 for an octal one.
    const text = isScalar(node) ? (node.source ?? String(node.value)) : "";
    if (/^(0o?)?[0-7]{3,4}$/.test(text)) return Number.parseInt(text.replace("o", ""), 8);
    throw this.#wrong(node, `"${text}" is no mode in octal digits, such as 0755`);
  }

  #fields<Key extends string>(node: unknown, keys: readonly Key[], what: string): Map<Key, Node> {
    const [first] = keys;
    if (!isMap(node)) {
      const at = isNode(node) ? node : 0;
      throw this.#wrong(at, `${what} has lines of the form ${first}: VALUE`);
    }
    const fields = new Map<Key, Node>();
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const known = keys.find((candidate) => candidate === name);
      const at = isNode(key) ? key : node;
      if (known === undefined)
        throw this.#wrong(at, `${what} has no "${name}:"; it may have ${keys.join(", ")}`);
      if (isNode(value) && !(isScalar(value) && value.value === null)) fields.set(known, value);
    }
    return fields;
  }

  #list(node: Node | undefined, what: string): Node[] {
    if (node === undefined) return [];
    if (isSeq(node)) return node.items.filter(isNode);
    throw this.#wrong(node, `${what}: is followed by a list; begin each of its lines with "- "`);
  }

  #string(node: Node, what: string): RecipeItem {
    if (isScalar(node) && typeof node.value !== "object" && node.value !== null) {
      const text = typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
      if (text.trim() !== "") return { text, where: this.#where(node) };
    }
    throw this.#wrong(node, `${what} must be text; put it in quotes`);
  }

  #where(at: Node | number): string {
    const offset = typeof at === "number" ? at : (at.range?.[0] ?? 0);
    return `${this.#path}:${this.#lines.linePos(offset).line}`;
  }

  #wrong(at: Node | number, sentence: string): UserError {
    return new UserError(`${this.#where(at)}: ${sentence}.`, { exitStatus: 2 });
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "range" in value;
}
