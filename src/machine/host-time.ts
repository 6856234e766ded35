/** What a running machine needs of its host's time and event loop. */
export interface HostTime {
  /** Milliseconds on a steady clock, with fractions. */
  now(): number;
  /** Seconds since 1970. */
  wallSeconds(): number;
  /** Lets the host handle what has arrived (input, timers); resolves as soon as that is done. */
  breathe(): Promise<void>;
  /** Resolves after about so many milliseconds, or as soon as `wake` is called. */
  sleep(milliseconds: number): { readonly over: Promise<void>; wake(): void };
}
