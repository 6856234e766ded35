import type { Account } from "./account.ts";
import type { AddressReader } from "./addresses.ts";
import type { InterruptReader } from "./interrupts.ts";
import type { Namespace } from "./namespace.ts";
import type { TreeIndex } from "./tree-index.ts";

/** Rows of maps and windows that are looked through. Boards of Linux 6.1 and 6.12 need at most 5,316. */
const MOST_STEPS = 1_000_000;
/** Bytes of DSDT. The largest of those boards needs 165,051. */
const MOST_BYTES = 2 * 2 ** 20;

/**
 * Bounds what a conversion costs. Within the 2 MiB that a tree may have, long lists that are looked up in other long
 * lists would take minutes, and references by path would make hundreds of mebibytes of AML.
 */
export class Effort {
  #steps = 0;
  #bytes = 0;

  /** Counts AML that is about to be made for the node at `path`; throws a {@link Refusal} when it is too much. */
  produce(path: string, bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= MOST_BYTES) return;
    throw new Refusal(
      `Its devices as far as ${path} take more than the ${MOST_BYTES} bytes of AML that go into DSDT; take out what ` +
        "system software does not need.",
    );
  }

  /** Throws a {@link Refusal} when it is too much. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MOST_STEPS) {
      throw new Refusal(
        `Its maps and windows take more than ${MOST_STEPS} steps to follow; a board has much shorter ones.`,
      );
    }
  }
}

/** What every part of a conversion reads from and writes to. */
export interface Conversion {
  readonly index: TreeIndex;
  readonly effort: Effort;
  readonly account: Account;
  readonly addresses: AddressReader;
  readonly interrupts: InterruptReader;
}

/** The same once devices have names. */
export interface NamedConversion extends Conversion {
  readonly namespace: Namespace;
}

/** A board that ACPI cannot describe at all: `message` is a sentence with the reason. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}
