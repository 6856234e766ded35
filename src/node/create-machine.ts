import { UserError } from "../base/errors.ts";
import type { VirtualMachineFactory } from "../machine/virtual-machine-interface.ts";

/** Puts a machine together with what Node.js brings. */
export const createMachine: VirtualMachineFactory = () => {
  throw new UserError("The machine is not finished yet.");
};
