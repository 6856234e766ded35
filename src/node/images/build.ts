import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, posix, resolve } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { CachedImage } from "./cache.ts";
import { CATALOGUE, type SystemDescription } from "./catalogue.ts";
import type { AddedFile } from "./debian/root-file-system.ts";
import { PullRun, type PullSettings } from "./pull.ts";
import { parseRecipe, type Recipe, type RecipeFile } from "./recipe.ts";

/** The recipe in a directory. */
export const RECIPE_FILE = "Elvisorfile";

/** What an image may be called. */
const IMAGE_NAME = /^[a-z0-9][a-z0-9._-]{0,40}(:[a-z0-9._-]{1,20})?$/;

/**
 * Makes the image that a recipe describes, and keeps it in the cache under its name. One that is there and would be
 * the same stays. `path` names the recipe, or the directory in which it is.
 */
export async function buildImage(
  path: string,
  name: string | undefined,
  settings: PullSettings,
): Promise<CachedImage> {
  const shown = await recipePath(path);
  const file = resolve(shown);
  const recipe = parseRecipe(await readRecipe(file), shown);
  const base = baseOf(recipe);
  const called = checkedImageName(name, recipe, file);
  const files = (await Promise.all(recipe.files.map((each) => collect(each, dirname(file))))).flat();
  const description: SystemDescription = { ...base, name: called, title: called, base: base.name };
  const run = new PullRun(settings);
  const image = await run.makeSystem(description, "newest", {
    packages: recipe.packages.map(({ text, where }) => ({ name: text, where })),
    files,
    commands: recipe.commands,
    sha256: await identityOf(recipe, files),
  });
  await run.end();
  return image;
}

/** As the user would name it. */
async function recipePath(path: string): Promise<string> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isDirectory ? join(path, RECIPE_FILE) : path;
}

async function readRecipe(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(
      `The recipe ${file} cannot be read (${code}); write one that begins with "base: debian:12", or name another.`,
      { exitStatus: 2, cause },
    );
  }
}

function baseOf({ base }: Recipe): SystemDescription {
  const systems = CATALOGUE.filter((candidate) => candidate.kind === "system");
  const found = systems.find((candidate) => candidate.name === base.text);
  if (found !== undefined) return found;
  const names = systems.map((candidate) => candidate.name).join(", ");
  throw new UserError(`${base.where}: Nothing can be built on "${base.text}", only on ${names}.`, {
    exitStatus: 2,
  });
}

/** The name of the command line, that in the recipe, or that of its directory. */
function checkedImageName(given: string | undefined, { name }: Recipe, file: string): string {
  const called = given ?? name?.text ?? basename(dirname(file)).toLowerCase();
  const where = given === undefined && name !== undefined ? `${name.where}: ` : "";
  if (!IMAGE_NAME.test(called)) {
    throw new UserError(
      `${where}"${called}" cannot be the name of an image; give one of small letters, digits, ".", "-" and "_" with --name, such as web or web:2.`,
      { exitStatus: 2 },
    );
  }
  if (CATALOGUE.some((candidate) => candidate.name.replace(":", "-") === called.replace(":", "-"))) {
    throw new UserError(`${where}${called} is what elvisor pull calls another image; give another name.`, {
      exitStatus: 2,
    });
  }
  return called;
}

/** Everything below `from`, as it will lie in the guest. */
async function collect({ from, to, mode, where }: RecipeFile, directory: string): Promise<AddedFile[]> {
  const source = resolve(directory, from);
  const target = posix.normalize(to.endsWith("/") ? `${to}${basename(source)}` : to).slice(1);
  const found: AddedFile[] = [];
  const add = async (path: string, place: string): Promise<void> => {
    const status = await lstat(path);
    if (status.isSymbolicLink()) found.push({ path: place, type: "link", target: await readlink(path) });
    else if (status.isFile()) {
      const bits = mode ?? (status.mode & 0o111 ? 0o755 : 0o644);
      found.push({ path: place, type: "file", mode: bits, from: path });
    } else if (status.isDirectory()) {
      if (place !== "") found.push({ path: place, type: "directory", mode: 0o755 });
      for (const name of (await readdir(path)).sort()) await add(join(path, name), posix.join(place, name));
    } else throw new UserError(`${where}: ${path} is no file, directory or link; leave it out.`);
  };
  try {
    // A link that is named itself stands for what it leads to.
    await add(await realpath(source), target);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`${where}: ${source} cannot be read (${code}); correct its name.`, {
      exitStatus: 2,
      cause,
    });
  }
  return found;
}

async function identityOf(recipe: Recipe, files: readonly AddedFile[]): Promise<string> {
  const hash = createHash("sha256");
  const commands = recipe.commands.map(({ text }) => text);
  const packages = recipe.packages.map(({ text }) => text);
  hash.update(JSON.stringify([recipe.base.text, packages, commands, files.map(withoutSource)]));
  for (const file of files) if (file.type === "file") hash.update(await readFile(file.from));
  return hash.digest("hex");
}

function withoutSource(file: AddedFile): unknown {
  if (file.type !== "file") return file;
  const { from: _, ...rest } = file;
  return rest;
}
