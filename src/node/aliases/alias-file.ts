import { readFile } from "node:fs/promises";
import { Ajv, type ErrorObject } from "ajv";
import { isNode, LineCounter, parseDocument } from "yaml";
import { UserError } from "../../base/errors.ts";
import type { BootFile } from "../../machine/boot/boot-file.ts";
import { checkAliasResources } from "../../platform/aliases/alias-tree.ts";
import { type AliasProblem, checkAliases, type DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import { readDeviceTree } from "../../platform/device-tree/reader.ts";
import { type VirtMachineOptions, virtDeviceTreeBlob } from "../../platform/virt-device-tree.ts";
import { readInputFile } from "../cli/user-files.ts";

/** Path of a value in the file: names and numbers. */
type ValuePath = readonly (string | number)[];

/** A file of aliases, and where in it each of them stands. */
export interface AliasFile {
  readonly aliases: readonly DeviceAlias[];
  /** A mistake in an alias that only shows beside a board, as a `UserError` with its line and column. */
  problem(problem: AliasProblem): UserError;
}

/** Reads a user's file of aliases, YAML or JSON. A file with any mistake in it is refused as a whole. */
export async function readAliasFile(path: string): Promise<AliasFile> {
  const { bytes } = await readInputFile(path, "file of aliases");
  return parseAliasFile(path, new TextDecoder().decode(bytes), await readSchema());
}

/**
 * The aliases of a file that was named, and whose mistakes beside a board are told with their places: a device tree
 * that was given, or else our own machine.
 */
export async function readAliases(
  path: string | undefined,
  board: BootFile | VirtMachineOptions,
): Promise<readonly DeviceAlias[] | undefined> {
  if (path === undefined) return undefined;
  const file = await readAliasFile(path);
  const tree = "bytes" in board ? board : { name: "of this machine", bytes: virtDeviceTreeBlob(board) };
  const [problem] = checkAliasResources(readDeviceTree(tree.bytes, tree.name), file.aliases);
  if (problem !== undefined) throw file.problem(problem);
  return file.aliases;
}

/** The same for a text; `schema` is schemas/device-aliases.schema.json. */
export function parseAliasFile(path: string, text: string, schema: object): AliasFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const fail = (offset: number, what: string): UserError => {
    const { line, col } = lines.linePos(offset);
    return new UserError(`${path}:${line}:${col}: ${what}; mend it, and no alias is used before.`);
  };
  const [syntax] = [...document.errors, ...document.warnings];
  if (syntax !== undefined)
    throw fail(syntax.pos[0], (syntax.message.split("\n")[0] ?? "").replace(/ at line.*/, ""));
  const offsetOf = (place: ValuePath): number => {
    for (let length = place.length; length >= 0; length--) {
      const node = length === 0 ? document.contents : document.getIn(place.slice(0, length), true);
      if (isNode(node) && node.range) return node.range[0];
    }
    return 0;
  };
  let content: unknown;
  try {
    // Anchors may not blow the file up.
    content = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw fail(0, cause instanceof Error ? cause.message : String(cause));
  }
  const validate = new Ajv({ strict: true }).compile<{ aliases: DeviceAlias[] }>(schema);
  if (!validate(content)) {
    const [error] = validate.errors ?? [];
    if (error === undefined) throw fail(0, "it does not fit the schema");
    throw fail(offsetOf(pathOf(error)), describe(error));
  }
  const { aliases } = content;
  const problem = ({ index, place, text: what }: AliasProblem): UserError =>
    fail(
      offsetOf(place === "whole" ? ["aliases"] : ["aliases", index, place]),
      `alias ${index + 1}: ${what}`,
    );
  const [first] = checkAliases(aliases);
  if (first !== undefined) throw problem(first);
  return { aliases, problem };
}

function pathOf({ instancePath }: ErrorObject): ValuePath {
  return instancePath
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function describe({ instancePath, message = "does not fit", params }: ErrorObject): string {
  const extra =
    typeof params["additionalProperty"] === "string" ? ` ("${params["additionalProperty"]}")` : "";
  return `${instancePath === "" ? "the file" : instancePath.slice(1)} ${message}${extra}`;
}

/** The schema, which is published with the package, wherever this file was built to. */
async function readSchema(): Promise<object> {
  for (
    let url = new URL("./schemas/device-aliases.schema.json", import.meta.url), above = 0;
    above < 8;
    above++
  ) {
    try {
      const schema: unknown = JSON.parse(await readFile(url, "utf8"));
      if (typeof schema === "object" && schema !== null) return schema;
    } catch {
      // Not here; further up.
    }
    url = new URL(`../${"../".repeat(above)}schemas/device-aliases.schema.json`, import.meta.url);
  }
  throw new UserError("schemas/device-aliases.schema.json is missing; install elvisor again.");
}
