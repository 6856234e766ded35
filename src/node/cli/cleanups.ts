/** What must be undone when something ends. */
export class Cleanups {
  readonly #steps: (() => void)[] = [];

  add(step: () => void): void {
    this.#steps.push(step);
  }

  /** Listens until {@link run}. What an event brings is the caller's knowledge. */
  listen<Brought extends unknown[]>(
    emitter: NodeJS.EventEmitter,
    event: string,
    listener: (...brought: Brought) => void,
  ): void {
    emitter.on(event, listener);
    this.add(() => emitter.off(event, listener));
  }

  /** Undoes everything, the last thing first. */
  run(): void {
    for (const step of this.#steps.splice(0).reverse()) step();
  }
}
