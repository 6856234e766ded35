/**
 * Device aliases: a user's table of ids under which system software knows drivers for devices whose own ids it
 * does not know.
 */

/** Which devices an alias is for. */
export interface AliasMatch {
  /** ACPI's id, or the same written into a device tree's `compatible`. */
  readonly hid?: string | undefined;
  /** One of a device tree's `compatible` names. */
  readonly compatible?: string | undefined;
  /** Only the device with this number, counting from 0 those with the same id in the order of the tree. */
  readonly uid?: number | undefined;
}

/** One alias. */
export interface DeviceAlias {
  readonly match: AliasMatch;
  /** Ids that system software knows: ACPI's ("ARMH0011") and `compatible` names ("arm,pl011"), best first. */
  readonly as: readonly string[];
  /** Properties that the drivers for those ids want. */
  readonly properties?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** What is wrong with a list of aliases. */
export interface AliasProblem {
  /** Number of the alias. */
  readonly index: number;
  /** Where in it. */
  readonly place: "match" | "as" | "whole";
  /** A sentence without its full stop. */
  readonly text: string;
}

/** Aliases of one table. */
export const MOST_ALIASES = 4096;
/** Characters that an id has room for in the table. */
export const LONGEST_ID = 16;

/** ACPI ids are three letters or four characters, then four hexadecimal digits (ACPI 6.5, section 6.1.5). */
export function isAcpiId(id: string): boolean {
  return /^([A-Z]{3}|[A-Z0-9]{4})[0-9A-F]{4}$/.test(id);
}

/** `compatible` names: printable, without spaces, "vendor,device" or a word in lower case. */
export function isCompatibleName(id: string): boolean {
  return /^[a-z0-9][\x21-\x7e]*$/.test(id) && !isAcpiId(id);
}

/** The id that an alias looks for. */
export function matchId({ match }: DeviceAlias): string {
  return match.hid ?? match.compatible ?? "";
}

/** All that is wrong with a list in itself; a list with a problem is not used at all. */
export function checkAliases(aliases: readonly DeviceAlias[]): AliasProblem[] {
  if (aliases.length > MOST_ALIASES) {
    const text = `there are ${aliases.length} aliases, and a table holds ${MOST_ALIASES}`;
    return [{ index: MOST_ALIASES, place: "whole", text }];
  }
  return [...aliases.flatMap(checkIds), ...findConflicts(aliases), ...findCycles(aliases)];
}

function checkIds(alias: DeviceAlias, index: number): AliasProblem[] {
  const problems: AliasProblem[] = [];
  const report = (place: "match" | "as", text: string): number => problems.push({ index, place, text });
  const { hid, compatible } = alias.match;
  if ((hid === undefined) === (compatible === undefined))
    report("match", "it needs either hid or compatible");
  if (hid !== undefined && !isAcpiId(hid)) report("match", `"${hid}" is no ACPI id like ACME0001 or ABC1234`);
  if (compatible !== undefined && !isCompatibleName(compatible)) {
    report("match", `"${compatible}" is no compatible name like acme,uart`);
  }
  for (const id of alias.as) {
    if (!isAcpiId(id) && !isCompatibleName(id)) {
      report("as", `"${id}" is neither an ACPI id like ARMH0011 nor a compatible name like arm,pl011`);
    }
    if (id === matchId(alias)) report("as", `"${id}" is an alias of itself`);
  }
  for (const id of [matchId(alias), ...alias.as]) {
    if (id.length > LONGEST_ID) {
      report(
        id === matchId(alias) ? "match" : "as",
        `"${id}" has more than the ${LONGEST_ID} characters that the table has room for`,
      );
    }
  }
  return problems;
}

function findConflicts(aliases: readonly DeviceAlias[]): AliasProblem[] {
  const seen = new Map<string, number>();
  return aliases.flatMap((alias, index): AliasProblem[] => {
    const key = `${matchId(alias)} ${alias.match.uid ?? "any"}`;
    const earlier = seen.get(key);
    seen.set(key, earlier ?? index);
    if (earlier === undefined) return [];
    return [{ index, place: "match", text: `it is for the same device as alias ${earlier + 1}` }];
  });
}

/** Aliases that lead back to where they began through others. */
function findCycles(aliases: readonly DeviceAlias[]): AliasProblem[] {
  const next = new Map<string, Set<string>>();
  for (const alias of aliases) {
    const targets = next.get(matchId(alias)) ?? new Set();
    for (const id of alias.as) if (id !== matchId(alias)) targets.add(id);
    next.set(matchId(alias), targets);
  }
  const finished = new Set<string>();
  const cyclic = new Set<string>();
  for (const start of next.keys()) {
    // Depth first, with a stack of our own: chains may be as long as the table.
    const path: { id: string; rest: string[] }[] = [{ id: start, rest: [...(next.get(start) ?? [])] }];
    const onPath = new Set([start]);
    while (path.length > 0) {
      const top = path.at(-1)!;
      const id = top.rest.pop();
      if (id === undefined) {
        finished.add(top.id);
        onPath.delete(top.id);
        path.pop();
      } else if (onPath.has(id)) cyclic.add(id);
      else if (!finished.has(id) && next.has(id)) {
        onPath.add(id);
        path.push({ id, rest: [...(next.get(id) ?? [])] });
      }
    }
  }
  return aliases.flatMap((alias, index): AliasProblem[] =>
    cyclic.has(matchId(alias))
      ? [{ index, place: "as", text: `aliases lead from "${matchId(alias)}" back to it` }]
      : [],
  );
}

/** A device as aliases see it. */
export interface AliasSubject {
  /** Its own ids: ACPI's, and `compatible` names. */
  readonly ids: readonly string[];
  /** Its number among the devices with the first of these ids. */
  readonly uid: number;
}

/** The alias for a device; one that names its number goes before one for all with the id. */
export function aliasFor(
  aliases: readonly DeviceAlias[],
  { ids, uid }: AliasSubject,
): DeviceAlias | undefined {
  const fitting = aliases.filter((alias) => ids.includes(matchId(alias)));
  return (
    fitting.find(({ match }) => match.uid === uid) ?? fitting.find(({ match }) => match.uid === undefined)
  );
}

/** What _CID says for an alias. Names of device trees are found through PRP0001. */
export function compatibleIds({ as }: DeviceAlias): readonly string[] {
  const ids = as.filter(isAcpiId);
  return ids.length > 0 ? ids : ["PRP0001"];
}
