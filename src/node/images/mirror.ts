import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { UserError } from "../../base/errors.ts";
import { type AptSource, readAptSources } from "./apt-sources.ts";

/** One suite of one archive that may hold a package. */
export interface ArchiveSuite {
  /** Address of the archive, without a slash at its end. */
  readonly url: string;
  readonly suite: string;
  /** Whether it may be absent: it was not configured, only guessed from what was. */
  readonly optional: boolean;
}

/** Where the packages come from. */
export interface Mirror {
  readonly suites: readonly ArchiveSuite[];
  /** Who named it, for messages: "--mirror", "ELVISOR_MIRROR", "…/config.yaml" or "…/apt". */
  readonly namedBy: string;
}

/** What {@link findMirror} looks at. */
export interface MirrorSettings {
  /** The value of `--mirror`. */
  readonly mirror?: string | undefined;
  /** The process environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** apt's configuration directory; `/etc/apt` unless a test says otherwise. */
  readonly aptDirectory?: string;
}

/** Releases whose packages the catalogue names; every mirror of Debian holds all supported ones. */
const RELEASES = ["bookworm", "trixie"] as const;

/** Suites beside a release in the same archive; `-security` lives in an archive of its own. */
const COMPANIONS = ["", "-backports"] as const;

/**
 * Finds the Debian mirror: `--mirror`, the variable ELVISOR_MIRROR, `mirror:` in the user's configuration
 * file, or what apt on this machine uses, in this order. No mirror's name is built in.
 */
export async function findMirror(settings: MirrorSettings): Promise<Mirror> {
  const { environment } = settings;
  if (settings.mirror !== undefined) return namedMirror(settings.mirror, "--mirror");
  const variable = environment["ELVISOR_MIRROR"];
  if (variable !== undefined && variable !== "") return namedMirror(variable, "ELVISOR_MIRROR");
  const configurationFile = configurationPath(environment);
  const configured = await mirrorFromConfiguration(configurationFile);
  if (configured !== undefined) return namedMirror(configured, configurationFile);
  const aptDirectory = settings.aptDirectory ?? "/etc/apt";
  const suites = suitesFromApt(await readAptSources(aptDirectory));
  if (suites.length > 0) return { suites, namedBy: aptDirectory };
  throw new UserError(
    `No Debian mirror is known: apt on this machine names none, so name one with --mirror URL, in the variable ELVISOR_MIRROR, or as "mirror: URL" in ${configurationFile}.`,
  );
}

/** The user's configuration file. */
function configurationPath(environment: MirrorSettings["environment"]): string {
  const base = environment["XDG_CONFIG_HOME"] || join(environment["HOME"] || homedir(), ".config");
  return join(base, "elvisor", "config.yaml");
}

async function mirrorFromConfiguration(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return undefined;
  }
  let content: unknown;
  try {
    content = parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new UserError(`${path} is not YAML (${reason}); correct it, or name a mirror with --mirror URL.`);
  }
  if (typeof content !== "object" || content === null || !("mirror" in content)) return undefined;
  if (typeof content.mirror !== "string") {
    throw new UserError(`"mirror" in ${path} is ${JSON.stringify(content.mirror)}; it must be a URL.`);
  }
  return content.mirror;
}

/** A mirror whose address alone is known: the archive itself, and the security archive beside it. */
function namedMirror(address: string, namedBy: string): Mirror {
  const url = checkedAddress(address, namedBy);
  const suites: ArchiveSuite[] = [];
  for (const release of RELEASES) {
    for (const companion of COMPANIONS) suites.push({ url, suite: release + companion, optional: true });
    suites.push({ url: `${url}-security`, suite: `${release}-security`, optional: true });
  }
  return { suites, namedBy };
}

function checkedAddress(address: string, namedBy: string): string {
  let url: URL | undefined;
  try {
    url = new URL(address);
  } catch {
    // Reported below with every other unfit value.
  }
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new UserError(`The mirror "${address}" of ${namedBy} is not an http or https address.`, {
      exitStatus: 2,
    });
  }
  return address.replace(/\/+$/, "");
}

/**
 * The Debian suites among apt's sources, and those that a mirror of Debian carries beside them, so that a
 * kernel of another release is found too.
 */
function suitesFromApt(sources: readonly AptSource[]): ArchiveSuite[] {
  const suites: ArchiveSuite[] = [];
  const add = (suite: ArchiveSuite): void => {
    if (!suites.some((other) => other.url === suite.url && other.suite === suite.suite)) suites.push(suite);
  };
  const debian = sources.filter(looksLikeDebian);
  for (const { url, suite } of debian) add({ url, suite, optional: false });
  for (const { url } of debian) {
    const security = /security/.test(url);
    for (const release of RELEASES) {
      const companions = security ? ["-security"] : COMPANIONS;
      for (const companion of companions) add({ url, suite: release + companion, optional: true });
    }
  }
  return suites;
}

/** Debian's own archive: an http address, component main, a path that ends as Debian's archives do. */
function looksLikeDebian(source: AptSource): boolean {
  if (!/^https?:\/\//.test(source.url) || !source.components.includes("main")) return false;
  return (
    /\/debian(-security)?(\/updates)?$/.test(source.url) || /\/debian(-security)?\//.test(`${source.url}/`)
  );
}
