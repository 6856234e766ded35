import type { Stateful } from "../../base/state-fields.ts";
import type { AccessWidth } from "../../memory/mmio-device.ts";
import type { ConfigurationSpace } from "./configuration-space.ts";

/** What a function reaches of the bus it sits on. */
export interface PciSlot {
  /** Its interrupt pin, by level. */
  setInterrupt(asserted: boolean): void;
  /** A message-signalled interrupt: writes `data` to a bus address. */
  sendMessage(address: number, data: number): void;
}

/** A function on a PCI bus. No access may throw, whatever the guest does. */
export interface PciFunction extends Stateful {
  readonly name: string;
  readonly configuration: ConfigurationSpace;
  /** Configuration accesses, aligned, inside the 256 bytes. */
  readConfiguration(offset: number, width: AccessWidth): number;
  writeConfiguration(offset: number, width: AccessWidth, value: number): void;
  /** Accesses to what BAR register `bar` places; `offset` is below its size. */
  readBar(bar: number, offset: number, width: AccessWidth): number;
  writeBar(bar: number, offset: number, width: AccessWidth, value: number): void;
  reset(): void;
  /** Numbers that make up its state besides the configuration space. */
  state(): Iterable<number>;
}
