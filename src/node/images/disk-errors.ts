import { UserError } from "../../base/errors.ts";

/**
 * The sentence for a failed write or read at `path`. `needed` is the number of bytes still to be written,
 * where it is known.
 */
export function diskError(path: string, cause: unknown, needed?: number): UserError {
  if (cause instanceof UserError) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const room = needed === undefined ? "" : ` (${Math.ceil(needed / 2 ** 20)} MiB more are needed)`;
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return new UserError(
        `The disk is full while writing ${path}${room}; free some space, or put the cache elsewhere with XDG_CACHE_HOME.`,
        { cause },
      );
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new UserError(
        `${path} may not be written; change its permissions, or put the cache elsewhere with XDG_CACHE_HOME.`,
        { cause },
      );
    default: {
      const reason = cause instanceof Error ? cause.message : String(cause);
      return new UserError(
        `${path} cannot be written (${reason}); put the cache elsewhere with XDG_CACHE_HOME.`,
        {
          cause,
        },
      );
    }
  }
}
