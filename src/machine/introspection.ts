import { UserError } from "../base/errors.ts";
import { SLOT } from "../cpu/element-state.ts";
import { type Inspection, inspectGuest } from "../introspection/inspection.ts";
import type { ElementView, GuestView } from "../introspection/kernel/guest-view.ts";
import type { KernelSymbol } from "../introspection/kernel/kallsyms.ts";
import { LinuxKernel } from "../introspection/kernel/linux-kernel.ts";
import type { Machine } from "./machine.ts";
import type { ProcessingElement } from "./processing-element.ts";

/** Looks into a machine's guest from outside, between two bursts; nothing has to run in the guest for it. */
export class Introspection {
  readonly #machine: Machine;
  #kernel: LinuxKernel | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** The guest's processes, modules and address spaces at this moment. */
  inspect(): Inspection {
    const view = guestView(this.#machine);
    return inspectGuest(view, this.kernel(view));
  }

  kernelSymbols(): readonly KernelSymbol[] {
    return this.kernel().symbols;
  }

  /** The kernel that runs at present; finding one takes a second, so it is kept while it stays the same. */
  kernel(view: GuestView = guestView(this.#machine)): LinuxKernel {
    if (this.#kernel?.isIn(view) !== true) this.#kernel = LinuxKernel.find(view);
    if (this.#kernel === undefined) {
      throw new UserError(
        "No Linux kernel with a symbol table (CONFIG_KALLSYMS) is found in the guest; it may still be starting: try again.",
      );
    }
    return this.#kernel;
  }
}

/** A machine's guest as introspection sees it. */
export function guestView({ elements }: Machine): GuestView {
  return {
    reader: elements[0]!.mmu.reader,
    elements: elements.filter(({ power }) => power === "on").map(elementView),
  };
}

function elementView({ index, processor, mmu }: ProcessingElement): ElementView {
  const { state } = processor;
  const level = mmu.context.isE2h ? "EL2" : "EL1";
  return {
    index,
    level: state.el,
    pc: state.pc,
    vectors: state.read(SLOT[`VBAR_${level}`]),
    lowerTables: state.read(SLOT[`TTBR0_${level}`]),
    upperTables: state.read(SLOT[`TTBR1_${level}`]),
    control: state.read(SLOT[`TCR_${level}`]),
    space: (lowerTables) => mmu.systemSpace(lowerTables),
    addressSpaces: () => mmu.context.addressSpaces(),
  };
}
