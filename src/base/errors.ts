/** A defect of ours. Never thrown because of what a guest or a user did. */
export class Bug extends Error {
  override readonly name = "Bug";
}

/**
 * A user's mistake, or the outside world's: one full sentence that names the bad value and the remedy.
 * It is printed without a stack trace.
 */
export class UserError extends Error {
  override readonly name = "UserError";
  /** Exit status of the command: 2 for an unknown option or malformed value, 1 for anything else. */
  readonly exitStatus: number;

  constructor(sentence: string, options: { exitStatus?: number; cause?: unknown } = {}) {
    super(sentence, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitStatus = options.exitStatus ?? 1;
  }
}

/** Ends an exhaustive switch: reaching it is our bug. */
export function assertNever(value: never, what: string): never {
  throw new Bug(`${what} has a value that its type does not allow: ${String(value)}`);
}

/** Throws a {@link Bug} with `message` unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Bug(message);
}
