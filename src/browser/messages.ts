import type { ExitReason } from "../machine/virtual-machine-interface.ts";

/** What the page says to the worker in which a machine runs. One worker runs one machine once. */
export type PageMessage =
  /** The first message: fetch the guest and start it. */
  | { readonly kind: "start"; readonly guestAddress: string; readonly columns: number; readonly rows: number }
  /** Bytes typed on the terminal. */
  | { readonly kind: "input"; readonly bytes: Uint8Array }
  /** The terminal has another size. */
  | { readonly kind: "resize"; readonly columns: number; readonly rows: number }
  /** The terminal has shown so many more bytes of output. */
  | { readonly kind: "shown"; readonly count: number };

/** What the worker says to the page. */
export type WorkerMessage =
  /** So many bytes of a file have come. */
  | { readonly kind: "loading"; readonly name: string; readonly received: number; readonly size: number }
  /** Everything is there; the machine starts. */
  | { readonly kind: "started" }
  /** What the guest writes to its serial port and console. The page answers each with "shown". */
  | { readonly kind: "output"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Twice a second: how far the machine has come since its start. */
  | { readonly kind: "progress"; readonly milliseconds: number; readonly instructions: number }
  /** The last message: the machine has ended, or could not start, for which "failed" has the sentence. */
  | { readonly kind: "ended"; readonly reason: ExitReason };
