/**
 * What host and agent say to each other (docs/decisions/0009-agent.md). Every number is little-endian. The agent
 * listens on {@link AGENT_PORT}; each connection there is one command. Its streams have connections of their own,
 * so the guest's kernel keeps them apart, and one that nobody reads does not stop the others.
 */
export const AGENT_PORT = 1024;

/** Port of the host to which the agent connects once it listens. */
export const READY_PORT = 1023;

/** "EVA1": the first word of a request. */
export const REQUEST_MAGIC = 0x31_41_56_45;

/** Words of a request: magic, flags, terminal size, bytes of strings, arguments, variables; then the strings. */
export const REQUEST_SIZE = 24;

export const REQUEST_FLAG = { TERMINAL: 1 } as const;

/** The most bytes of strings in a request, below Linux's own limit for a program's arguments. */
export const LONGEST_STRINGS = 1 << 20;

/** Messages are two words: what, and a value. */
export const MESSAGE_SIZE = 8;

/** From the agent. */
export const REPORT = {
  /** The port at which it waits for the streams: input, output, errors; with a terminal one for all. */
  PORT: 1,
  /** The command's exit status. */
  EXITED: 2,
  /** The signal that ended it. */
  KILLED: 3,
  /** The command could not be started: errno. */
  FAILED: 4,
} as const;

/** From the host. */
export const ORDER = {
  /** Sends a signal to the command's process group. */
  SIGNAL: 1,
  /** Rows in the upper half of the value, columns in the lower. */
  RESIZE: 2,
} as const;
