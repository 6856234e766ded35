import { Bug } from "../../base/errors.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { BootPlan, Load } from "./boot-plan.ts";

/** Bytes looked at or cleared in one go. */
const CHUNK = 65536;

/**
 * Puts a plan's bytes into guest memory. The registers, the flash and fw_cfg are the board's to set. Room
 * was checked when the plan was made, so memory that refuses is our bug.
 */
export function applyBootPlan(plan: Pick<BootPlan, "loads">, memory: GuestMemory): void {
  for (const load of plan.loads) {
    if (!memory.write(load.address, load.bytes)) throw outside(load);
    clear(memory, load);
  }
}

/** Zeroes the rest of a load, leaving alone what is zero, so that untouched memory stays untouched. */
function clear(memory: GuestMemory, load: Load): void {
  const buffer = new Uint8Array(CHUNK);
  const zeros = new Uint8Array(CHUNK);
  const end = load.address + load.size;
  for (let at = load.address + load.bytes.length; at < end; at += CHUNK) {
    const part = buffer.subarray(0, Math.min(CHUNK, end - at));
    if (!memory.readInto(at, part)) throw outside(load);
    if (part.some((byte) => byte !== 0) && !memory.write(at, zeros.subarray(0, part.length)))
      throw outside(load);
  }
}

function outside({ what, address, size }: Load): Bug {
  return new Bug(`the boot plan puts the ${what} at ${address}, ${size} bytes, where there is no RAM`);
}
