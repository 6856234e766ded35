import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../../base/errors.ts";
import type { WriteDocument } from "../../introspection/protection/protection-document.ts";

/** Milliseconds between two requests at least, and for one at most. */
const INTERVAL = 100;
const LIMIT = 5000;

/** What is posted, in JSON. */
export interface WriteEvent {
  readonly machine: string;
  readonly writes: readonly WriteDocument[];
  /** Writes that are not told of, since too many came at once or a request before this one failed. */
  readonly dropped: number;
}

/** A URL of the web; everything else is a UserError. */
export function callbackUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new UserError(`"${text}" is no URL to call; give one such as http://localhost:8080/writes.`, {
    exitStatus: 2,
  });
}

/** Posts writes to a URL, a batch at a time and not too often. It never fails; trouble is reported once. */
export class UrlCallback {
  readonly #url: URL;
  readonly #machine: string;
  readonly #report: (sentence: string) => void;
  #lost = 0;
  #isReported = false;

  constructor(url: URL, machine: string, report: (sentence: string) => void) {
    this.#url = url;
    this.#machine = machine;
    this.#report = report;
  }

  async post(writes: readonly WriteDocument[], dropped: number): Promise<void> {
    const event: WriteEvent = { machine: this.#machine, writes, dropped: dropped + this.#lost };
    const pause = delay(INTERVAL);
    try {
      const answer = await fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(event),
        redirect: "error",
        signal: AbortSignal.timeout(LIMIT),
      });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      this.#lost = 0;
      this.#isReported = false;
    } catch (error) {
      this.#lost = event.dropped + writes.reduce((sum, { count }) => sum + count, 0);
      if (!this.#isReported) {
        const cause =
          error instanceof Error ? (error.cause instanceof Error ? error.cause : error) : undefined;
        this.#report(
          `Writes to protected pages cannot be posted to ${this.#url.href} (${cause?.message ?? String(error)}).`,
        );
      }
      this.#isReported = true;
    }
    await pause;
  }
}
