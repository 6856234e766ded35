import { FuseError } from "./fuse-protocol.ts";

/**
 * Whose the files are. A process of root's gives and takes owners as they are. Any other can only make files of its
 * own, so in the guest those are root's, and nobody else can be made an owner.
 */
export interface Owners {
  /** The guest's number for a user of the host. */
  userOf(host: number): number;
  groupOf(host: number): number;
  /** What to give to chown(2) on the host; undefined where there is nothing to change. */
  ownerFor(user: number | undefined, group: number | undefined): { user: number; group: number } | undefined;
}

/** chown(2) leaves as it is what is -1. */
const UNCHANGED = -1;

/** The owners as a process of `user` and `group` sees them. */
export function ownersFor(user: number, group: number): Owners {
  if (user === 0) {
    return {
      userOf: (host) => host,
      groupOf: (host) => host,
      ownerFor: (newUser, newGroup) =>
        newUser === undefined && newGroup === undefined
          ? undefined
          : { user: newUser ?? UNCHANGED, group: newGroup ?? UNCHANGED },
    };
  }
  return {
    userOf: (host) => (host === user ? 0 : host),
    groupOf: (host) => (host === group ? 0 : host),
    ownerFor(newUser, newGroup) {
      if ((newUser ?? 0) !== 0 || (newGroup ?? 0) !== 0) throw new FuseError("EPERM");
      return undefined;
    },
  };
}
