import type { Account } from "./account.ts";
import type { AddressReader } from "./addresses.ts";
import type { InterruptReader } from "./interrupts.ts";
import type { Namespace } from "./namespace.ts";
import type { TreeIndex } from "./tree-index.ts";

/** What every part of a conversion reads from and writes to. */
export interface Conversion {
  readonly index: TreeIndex;
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
