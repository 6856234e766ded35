import { callService, type DoorRegisters } from "./call-service.ts";
import type { CallOutcome, GuestCaller } from "./guest-caller.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { ServiceHost } from "./service-table.ts";

/** SMCCC's fast calls to a hypervisor's vendor (Arm DEN 0028, section 6): the third door, for kernels. */
const FIRST_FUNCTION = 0x8600_0000n;
const UID_FUNCTION = 0x8600_ff01n;
const REVISION_FUNCTION = 0x8600_ff03n;
/** Services by number; beyond lie the general queries. */
const LAST_FUNCTION = 0x8600_feffn;

/** b5e9d4ac-3b0f-4a4e-9c1d-e1715080e1f1, this hypervisor's name, as four words. */
const UID: readonly bigint[] = [0xacd4_e9b5n, 0x4e4a_0f3bn, 0x71e1_1d9cn, 0xf1e1_8050n];

const REGISTERS: DoorRegisters = { arguments: [1, 2, 3, 4], results: [0, 1, 2] };

/** What a caller puts where, for documentation. */
export const SMCCC_DOOR = { ...REGISTERS, first: FIRST_FUNCTION } as const;

export function callSmccc(host: ServiceHost, limit: RateLimit, caller: GuestCaller): CallOutcome {
  const id = caller.x(0) & 0xffff_ffffn;
  if (id === UID_FUNCTION) {
    UID.forEach((word, register) => {
      caller.setX(register, word);
    });
    return "served";
  }
  if (id === REVISION_FUNCTION) {
    caller.setX(0, 1n);
    caller.setX(1, 0n);
    return "served";
  }
  if (id < FIRST_FUNCTION || id > LAST_FUNCTION || !limit.take()) return "not ours";
  return callService(host, caller, Number(id - FIRST_FUNCTION), REGISTERS);
}
