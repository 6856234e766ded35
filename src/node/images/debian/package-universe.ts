import type { Readable } from "node:stream";
import { compareVersions } from "../debian-version.ts";
import { type PackageRecord, readStanzas, recordOf } from "../packages-index.ts";

/** A package as a system is put together from it. */
export interface SystemPackage extends PackageRecord {
  readonly url: string;
  readonly architecture: string;
  /** "required", "important", "standard", "optional", "extra". */
  readonly priority: string;
  readonly essential: boolean;
  readonly preDepends: string;
  readonly depends: string;
  readonly conflicts: string;
  readonly breaks: string;
  readonly provides: string;
}

/** Every package of a release, each in its newest version. */
export class PackageUniverse {
  readonly #byName = new Map<string, SystemPackage>();
  #providers: Map<string, Provider[]> | undefined;

  /** Adds a decompressed `Packages` list whose paths begin at `url`. */
  async add(list: Readable, url: string): Promise<void> {
    for await (const stanza of readStanzas(list)) {
      const field = (key: string): string => fieldOf(stanza, key);
      const name = field("Package");
      if (name === "") continue;
      const record = recordOf(name, stanza);
      const known = this.#byName.get(name);
      if (record === undefined) continue;
      if (known !== undefined && compareVersions(known.version, record.version) >= 0) continue;
      this.#byName.set(name, {
        ...record,
        url: `${url}/${record.path}`,
        architecture: field("Architecture"),
        priority: field("Priority"),
        essential: field("Essential") === "yes",
        preDepends: field("Pre-Depends"),
        depends: field("Depends"),
        conflicts: field("Conflicts"),
        breaks: field("Breaks"),
        provides: field("Provides"),
      });
    }
    this.#providers = undefined;
  }

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): SystemPackage | undefined {
    return this.#byName.get(name);
  }

  all(): Iterable<SystemPackage> {
    return this.#byName.values();
  }

  /** The packages that say they provide `name`, in the order of their names. */
  providers(name: string): readonly Provider[] {
    this.#providers ??= this.#collectProviders();
    return this.#providers.get(name) ?? [];
  }

  #collectProviders(): Map<string, Provider[]> {
    const providers = new Map<string, Provider[]>();
    for (const candidate of this.#byName.values()) {
      for (const provided of provisionsOf(candidate)) {
        const list = providers.get(provided.name) ?? [];
        list.push({ candidate, version: provided.version });
        providers.set(provided.name, list);
      }
    }
    for (const list of providers.values()) {
      list.sort((a, b) => (a.candidate.name < b.candidate.name ? -1 : 1));
    }
    return providers;
  }
}

/** A package that stands for a name that is not its own. */
export interface Provider {
  readonly candidate: SystemPackage;
  /** The version that it stands for, where it says one; without, no bound is satisfied (Policy 7.5). */
  readonly version: string | undefined;
}

/** The names, with versions where given, that a package provides. */
export function provisionsOf({ provides }: SystemPackage): { name: string; version: string | undefined }[] {
  if (provides === "") return [];
  return provides.split(",").flatMap((text) => {
    const match = /^\s*([a-z0-9][a-z0-9+.-]*)(?:\s*\(\s*=\s*([^\s)]+)\s*\))?\s*$/i.exec(text);
    return match === null ? [] : [{ name: match[1]!, version: match[2] }];
  });
}

function fieldOf(stanza: string, key: string): string {
  const start = stanza.startsWith(`${key}: `) ? 0 : stanza.indexOf(`\n${key}: `);
  if (start < 0) return "";
  const from = stanza.indexOf(": ", start) + 2;
  const end = stanza.indexOf("\n", from);
  return stanza.slice(from, end < 0 ? undefined : end).trim();
}
