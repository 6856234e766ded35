import { compareVersions } from "../debian-version.ts";

/** How a version may relate to the one in a dependency (Debian Policy, section 7.1). */
export type VersionRelation = "<<" | "<=" | "=" | ">=" | ">>";

/** One name in a dependency, with a bound on its version where there is one. */
export interface PackageBound {
  readonly name: string;
  readonly bound: { readonly relation: VersionRelation; readonly version: string } | undefined;
}

/** What satisfies a dependency: any one of these. */
export type Alternatives = readonly PackageBound[];

/** Reads a field such as `Depends`. What is not understood is a `RangeError`. */
export function parseDependencies(text: string): Alternatives[] {
  return text
    .split(",")
    .map((group) => group.trim())
    .filter((group) => group !== "")
    .map((group) => group.split("|").map(parseBound));
}

function parseBound(text: string): PackageBound {
  const match =
    /^\s*([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s)]+)\s*\))?\s*$/i.exec(
      text,
    );
  if (match === null) throw new RangeError(`"${text.trim()}" is no dependency`);
  const [, name, relation, version] = match;
  if (relation === undefined || version === undefined) return { name: name!, bound: undefined };
  // The single signs are old spellings of "or equal".
  const modern = relation === "<" ? "<=" : relation === ">" ? ">=" : (relation as VersionRelation); // the pattern allows no other
  return { name: name!, bound: { relation: modern, version } };
}

/** Whether a package of this version lies within the bound. */
export function isWithin(version: string, { bound }: PackageBound): boolean {
  if (bound === undefined) return true;
  const order = compareVersions(version, bound.version);
  switch (bound.relation) {
    case "<<":
      return order < 0;
    case "<=":
      return order <= 0;
    case "=":
      return order === 0;
    case ">=":
      return order >= 0;
    case ">>":
      return order > 0;
  }
}

/** As a package's maintainer writes it. */
export function formatAlternatives(alternatives: Alternatives): string {
  return alternatives
    .map(({ name, bound }) => (bound === undefined ? name : `${name} (${bound.relation} ${bound.version})`))
    .join(" | ");
}
