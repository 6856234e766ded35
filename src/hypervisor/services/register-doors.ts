import type { BackdoorOutcome, VmwareBackdoor } from "../vmware/backdoor.ts";
import { callService, type DoorRegisters } from "./call-service.ts";
import type { CallOutcome, GuestCaller } from "./guest-caller.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { ServiceHost } from "./service-table.ts";

/**
 * The two doors that programs reach without a kernel's help (rows H1 and H2): a read of MDCCSR_EL0 into XZR,
 * and BRK #0x5658. Both take the same registers: X0 says whose call it is, the upper half of X7 that it is one.
 */

/** BRK's immediate. No kernel, debugger or compiler uses it for something else. */
export const BACKDOOR_IMMEDIATE = 0x5658;
/** Bits 63:32 of X7. */
const CALL = 0x86n;
/** X0 of our own services: "ELVI". */
export const SERVICE_MAGIC = 0x454c_5649n;
/** X0 of VMware's public interface. */
const VMWARE_MAGIC = 0x564d_5868n;

const REGISTERS: DoorRegisters = { arguments: [1, 4, 5, 6], results: [0, 1, 3] };

/** What a caller of our services puts where, for tools and documentation. */
export const REGISTER_DOOR = { ...REGISTERS, number: 2, call: CALL << 32n } as const;

/** Serves the calls that come through registers. */
export class RegisterDoors {
  readonly #host: ServiceHost;
  readonly #limit: RateLimit;
  readonly #vmware: VmwareBackdoor | undefined;
  served = 0;

  /** `vmware`: also answers as VMware's hypervisors do. */
  constructor(host: ServiceHost, limit: RateLimit, vmware: VmwareBackdoor | undefined) {
    this.#host = host;
    this.#limit = limit;
    this.#vmware = vmware;
  }

  /** The element executed one of the two instructions. */
  call(caller: GuestCaller): CallOutcome {
    if (caller.x(7) >> 32n !== CALL) return "not ours";
    const magic = caller.x(0) & 0xffff_ffffn;
    const vmware = magic === VMWARE_MAGIC ? this.#vmware : undefined;
    if (magic !== SERVICE_MAGIC && vmware === undefined) return "not ours";
    if (!this.#limit.take()) return "not ours";
    const outcome: BackdoorOutcome =
      vmware === undefined
        ? callService(this.#host, caller, Number(caller.x(2) & 0xffffn), REGISTERS)
        : vmware.call(caller);
    if (outcome === "served") this.served++;
    return outcome;
  }
}
