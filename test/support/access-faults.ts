import { PAGE_KINDS, type PageKind, pageAddress } from "./engine-machine.ts";
import type { Random } from "./random.ts";
import type { AccessSite } from "./random-program.ts";

/** How an access lies to a page: inside, or across one of its ends. */
export const POSITIONS = ["inside", "across its start", "across its end", "misaligned"] as const;
export type Position = (typeof POSITIONS)[number];

/** One way in which an access is made to go wrong, or the long way. */
export interface AccessFault {
  readonly name: string;
  /** The address that the site's access then has; undefined where it is too short for that. */
  readonly target: (site: AccessSite, random: Random) => number | undefined;
}

const SPECIAL: readonly { readonly kind: PageKind; readonly index: number }[] = PAGE_KINDS.flatMap(
  (kind, index) => (kind === "normal" ? [] : [{ kind, index }]),
);

/** Every special page in every position, ordinary pages misaligned, and addresses that nothing maps. */
export const ACCESS_FAULTS: readonly AccessFault[] = [
  ...[{ kind: "normal", index: 2 } as const, ...SPECIAL].flatMap(({ kind, index }) =>
    POSITIONS.map((position) => ({
      name: `${kind}, ${position}`,
      target: (site: AccessSite, random: Random) => place(pageAddress(index), position, site, random),
    })),
  ),
  { name: "non-canonical", target: () => 0x1234_5678_9abc_0 },
  { name: "top of the address space", target: (site) => -site.bytes },
  { name: "around the end of the address space", target: (site) => 1 - site.bytes },
  { name: "not mapped at level 1", target: () => 0x1_0000_0040 },
];

function place(page: number, position: Position, site: AccessSite, random: Random): number | undefined {
  const { bytes } = site;
  switch (position) {
    case "inside":
      return page + 64 * (1 + random.below(60));
    case "misaligned":
      return page + 64 * (1 + random.below(60)) + (1 + random.below(15));
    case "across its start":
      return bytes === 1 ? undefined : page - (1 + random.below(bytes - 1));
    case "across its end":
      return bytes === 1 ? undefined : page + 4096 - (1 + random.below(bytes - 1));
  }
}
