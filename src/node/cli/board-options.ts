/** The options that say what board a machine has, read; `run`, `dtb` and `devices` have them alike. */
export interface BoardOptions {
  /** Bytes. */
  readonly memory: number;
  readonly cpus: number;
  readonly numa: number;
  readonly secure?: boolean;
  readonly virtualization?: boolean;
}

/** The same as the machine's own options. */
export function boardOf(options: BoardOptions) {
  return {
    memoryBytes: options.memory,
    cpus: options.cpus,
    numaDomains: options.numa,
    secure: options.secure ?? false,
    virtualization: options.virtualization ?? false,
  };
}
