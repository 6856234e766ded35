import { UserError } from "../../../base/errors.ts";
import {
  type Alternatives,
  formatAlternatives,
  isWithin,
  type PackageBound,
  parseDependencies,
} from "./dependency.ts";
import { type PackageUniverse, provisionsOf, type SystemPackage } from "./package-universe.ts";

/**
 * Everything that must be installed for `wanted`: their `Pre-Depends` and `Depends`, in turn. Of alternatives,
 * one that is there anyway is taken, else the first that exists; of providers, the first that can be had
 * without a conflict. Recommendations are not followed. A name that does not exist, a dependency that cannot
 * be satisfied, and packages that exclude each other are a `UserError`.
 */
export function resolvePackages(
  universe: PackageUniverse,
  wanted: readonly string[],
  origin: string,
): SystemPackage[] {
  const resolution = new Resolution(universe, origin);
  // Those that are asked for by name come first, so that alternatives fall on them.
  for (const name of wanted) resolution.select(name);
  resolution.complete();
  return resolution.packages();
}

class Resolution {
  readonly #universe: PackageUniverse;
  readonly #origin: string;
  readonly #chosen = new Map<string, SystemPackage>();
  /** What the chosen ones provide: name, and by whom. */
  readonly #provided = new Map<string, { version: string | undefined; by: SystemPackage }[]>();

  constructor(universe: PackageUniverse, origin: string) {
    this.#universe = universe;
    this.#origin = origin;
  }

  select(name: string): void {
    const found = this.#universe.get(name) ?? this.#universe.providers(name)[0]?.candidate;
    if (found === undefined) {
      throw new UserError(`There is no package "${name}" in ${this.#origin}; check its name.`);
    }
    this.#choose(found);
  }

  /** Follows the dependencies of all that is chosen. */
  complete(): void {
    // The set grows while it is walked, and a Map's iteration reaches what is added.
    for (const chosen of this.#chosen.values()) {
      for (const field of [chosen.preDepends, chosen.depends]) {
        for (const alternatives of this.#parse(field, chosen)) this.#satisfy(alternatives, chosen);
      }
    }
    for (const chosen of this.#chosen.values()) this.#checkExclusions(chosen);
  }

  packages(): SystemPackage[] {
    return [...this.#chosen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #choose(chosen: SystemPackage): void {
    if (this.#chosen.has(chosen.name)) return;
    this.#chosen.set(chosen.name, chosen);
    for (const { name, version } of provisionsOf(chosen)) {
      const list = this.#provided.get(name) ?? [];
      list.push({ version, by: chosen });
      this.#provided.set(name, list);
    }
  }

  #satisfy(alternatives: Alternatives, dependent: SystemPackage): void {
    if (alternatives.some((alternative) => this.#holds(alternative).length > 0)) return;
    for (const alternative of alternatives) {
      const own = this.#universe.get(alternative.name);
      if (own !== undefined && isWithin(own.version, alternative)) {
        this.#choose(own);
        return;
      }
      const provider = this.#universe
        .providers(alternative.name)
        .find(({ version, candidate }) => provides(version, alternative) && !this.#isExcluded(candidate));
      if (provider !== undefined) {
        this.#choose(provider.candidate);
        return;
      }
    }
    throw new UserError(
      `${dependent.name} ${dependent.version} needs ${formatAlternatives(alternatives)}, which ${this.#origin} does not have; name another mirror with --mirror URL.`,
    );
  }

  /** The chosen packages that stand for a name within its bound. */
  #holds(wanted: PackageBound): SystemPackage[] {
    const own = this.#chosen.get(wanted.name);
    const holders = own !== undefined && isWithin(own.version, wanted) ? [own] : [];
    for (const { version, by } of this.#provided.get(wanted.name) ?? []) {
      if (provides(version, wanted)) holders.push(by);
    }
    return holders;
  }

  #isExcluded(candidate: SystemPackage): boolean {
    return this.#exclusions(candidate).some((bound) =>
      this.#holds(bound).some((holder) => holder !== candidate),
    );
  }

  #exclusions(chosen: SystemPackage): PackageBound[] {
    return [chosen.conflicts, chosen.breaks].flatMap((field) => this.#parse(field, chosen).flat());
  }

  #checkExclusions(chosen: SystemPackage): void {
    for (const bound of this.#exclusions(chosen)) {
      const other = this.#holds(bound).find((holder) => holder !== chosen);
      if (other === undefined) continue;
      throw new UserError(
        `${chosen.name} ${chosen.version} and ${other.name} ${other.version} cannot be installed together; leave one out.`,
      );
    }
  }

  #parse(field: string, owner: SystemPackage): Alternatives[] {
    try {
      return parseDependencies(field);
    } catch (cause) {
      throw new UserError(
        `The list of packages in ${this.#origin} is not understood at ${owner.name} (${String(cause)}); name another mirror with --mirror URL.`,
        { cause },
      );
    }
  }
}

function provides(version: string | undefined, wanted: PackageBound): boolean {
  if (wanted.bound === undefined) return true;
  return version !== undefined && isWithin(version, wanted);
}
