// First start: installs packages and builds what has changed, then becomes `elvisor`, or with --web the server of
// the page. Plain JavaScript without packages, because nothing is installed yet. Everything it says goes to stderr:
// stdout belongs to the guest.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const FINGERPRINT = join(ROOT, "dist", ".start-fingerprint");
const INSTALLED = join(ROOT, "node_modules", ".elvisor-installed");
const LOCK = join(ROOT, ".cache", "start.lock");

checkNodeVersion();
const words = process.argv.slice(2);
const onlyInstall = words[0] === "--only-install";
// The page's server is a program of its own.
const program = words[0] === "--web" ? "web" : "cli";
if (program === "web") words.shift();
// Tests and benchmarks need more than the command.
const projects = onlyInstall ? ["src/node", "tools", "bench"] : ["src/node"];
const existing = projects.filter((project) => sourcesBelow(join(ROOT, project)).length > 0);
if (!isInstalled() || !isBuilt(existing)) {
  const unlock = await lock();
  try {
    if (!isInstalled()) install();
    if (!isBuilt(existing)) await build(existing);
  } finally {
    unlock();
  }
}
if (!onlyInstall) {
  const entry = join(ROOT, "dist", program === "web" ? "src/node/web/main.js" : "bundle/elvisor.js");
  process.argv = [process.argv[0], entry, ...words];
  await import(entry);
}

function say(sentence) {
  process.stderr.write(`elvisor: ${sentence}\n`);
}

function fail(sentence) {
  say(sentence);
  rmSync(LOCK, { force: true });
  process.exit(1);
}

function checkNodeVersion() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const [wantedMajor, wantedMinor] = engines.node
    .replace(/[^\d.]/g, "")
    .split(".")
    .map(Number);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  process.stderr.write(
    `elvisor: This is Node.js ${process.versions.node}; elvisor needs ${wantedMajor}.${wantedMinor} or later, from https://nodejs.org.\n`,
  );
  process.exit(1);
}

/** Whether node_modules holds what package-lock.json asks for: by our note, or by npm's own record. */
function isInstalled() {
  if (readText(INSTALLED) === lockFileHash()) return true;
  const wanted = readPackages(join(ROOT, "package-lock.json"));
  const present = readPackages(join(ROOT, "node_modules", ".package-lock.json"));
  if (wanted === undefined || present === undefined) return false;
  return Object.entries(wanted).every(
    // Optional packages are for one kind of computer each; most of them are rightly absent.
    ([path, { version, optional }]) => path === "" || optional || present[path]?.version === version,
  );
}

function readPackages(path) {
  const text = readText(path);
  return text === undefined ? undefined : JSON.parse(text).packages;
}

function readText(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function lockFileHash() {
  return createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");
}

function install() {
  say("Installing the packages that elvisor is built with (npm ci).");
  const npm = process.env.npm_execpath?.endsWith(".js")
    ? [process.execPath, process.env.npm_execpath]
    : ["npm"];
  const status = runQuietly([...npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (status !== 0) {
    fail("The packages could not be installed; check the network and npm's configuration, then start again.");
  }
  writeFileSync(INSTALLED, lockFileHash());
}

function isBuilt(parts) {
  return readText(FINGERPRINT)?.includes(fingerprint(parts)) ?? false;
}

async function build(parts) {
  say("Building.");
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  if (runQuietly([process.execPath, compiler, "-b", ...parts]) !== 0) {
    fail("The sources do not compile; the messages above say where.");
  }
  // Only now is there certainly what it is made with.
  const { bundle } = await import("./bundle.mjs");
  await bundle(join(ROOT, "dist"));
  // What was built for the tests serves the command, too.
  const built = parts.length > 1 ? [fingerprint(parts), fingerprint(["src/node"])] : [fingerprint(parts)];
  writeFileSync(FINGERPRINT, `${built.join("\n")}\n`);
}

/** Changes with every change of a source file that goes into these projects. */
function fingerprint(parts) {
  const hash = createHash("sha256").update(parts.join(" "));
  const roots = ["src", ...parts.filter((part) => part !== "src/node")];
  const files = roots.flatMap((root) => sourcesBelow(join(ROOT, root)));
  const others = ["tsconfig.base.json", "package-lock.json", "tools/bundle.mjs"].map((name) =>
    join(ROOT, name),
  );
  for (const file of [...files, ...others]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

function sourcesBelow(directory) {
  let entries = [];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return sourcesBelow(path);
    return /(?<!\.test)\.ts$|^tsconfig\.json$/.test(entry.name) ? [path] : [];
  });
}

/** Runs a program whose output goes to stderr; the result is its exit status. */
function runQuietly([program, ...args]) {
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: ["ignore", 2, 2] });
  if (error) say(`${program} cannot be run (${error.code}).`);
  return status ?? 1;
}

/** Two starts at once must not install into the same place; the second waits. */
async function lock() {
  mkdirSync(dirname(LOCK), { recursive: true });
  for (let told = false; ; ) {
    try {
      const file = openSync(LOCK, "wx");
      writeFileSync(file, String(process.pid));
      closeSync(file);
      process.on("exit", () => rmSync(LOCK, { force: true }));
      return () => rmSync(LOCK, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST")
        fail(`${LOCK} cannot be written (${error.code}); check the directory's permissions.`);
    }
    const holder = lockHolder();
    if (holder === undefined) {
      rmSync(LOCK, { force: true });
      continue;
    }
    if (!told) say(`Another start of elvisor (process ${holder}) is installing or building; waiting for it.`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The living process that holds the lock. A file without a number is one that is just being written. */
function lockHolder() {
  try {
    const text = readFileSync(LOCK, "utf8");
    if (text === "") return Date.now() - statSync(LOCK).mtimeMs < 2000 ? "just starting" : undefined;
    process.kill(Number(text), 0);
    return text;
  } catch (error) {
    return error.code === "EPERM" ? "of another user" : undefined;
  }
}
