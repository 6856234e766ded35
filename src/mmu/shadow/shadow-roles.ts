import { isDevice } from "../memory-attributes.ts";
import { FAULT_STATUS } from "../memory-fault.ts";
import type { Stage1Configuration } from "../regime.ts";
import type { TableGeometry } from "../table-geometry.ts";
import { DESCRIPTOR_HIGH, DESCRIPTOR_LOW } from "../table-walk.ts";
import { FAST, KIND, NOT_GLOBAL, STATUS_SHIFT } from "./shadow-entry.ts";

/** Everything that the meaning of a descriptor depends on besides itself and its level. */
export interface ShadowRole {
  readonly number: number;
  readonly regime: Stage1Configuration["regime"];
  /** Addresses have bit 55 set. */
  readonly upper: boolean;
  readonly bigEndian: boolean;
  readonly outputCheckHigh: number;
  readonly twoPrivileges: boolean;
  readonly hardwareDirty: boolean;
  /** Bit n: MAIR attribute n is a Device type. */
  readonly deviceAttributes: number;
}

/** Gives equal configurations equal numbers, so that tables that several address spaces share are shadowed once. */
export class ShadowRoles {
  readonly #byKey = new Map<string, ShadowRole>();
  readonly #byNumber: ShadowRole[] = [];

  get(number: number): ShadowRole {
    return this.#byNumber[number - 1]!;
  }

  /** Notes on a configuration's geometries which roles they have. */
  assign(stage1: Stage1Configuration): void {
    stage1.lower.shadowRole = this.#roleOf(stage1, stage1.lower, false);
    stage1.upper.shadowRole = this.#roleOf(stage1, stage1.upper, true);
    stage1.lower.shadowRoot = 0;
    stage1.upper.shadowRoot = 0;
  }

  /** 0 for what is not shadowed: Secure regimes, other granules than 4 KiB. */
  #roleOf(stage1: Stage1Configuration, geometry: TableGeometry, upper: boolean): number {
    if (!stage1.enabled || stage1.secure || geometry.granule !== 12 || !geometry.usable) return 0;
    const deviceAttributes = stage1.mair.reduce(
      (bits, attributes, index) => bits | (isDevice(attributes) ? 1 << index : 0),
      0,
    );
    const { regime, twoPrivileges, hardwareDirty } = stage1;
    const { bigEndian, outputCheckHigh } = geometry;
    const facts = {
      regime,
      upper,
      bigEndian,
      outputCheckHigh,
      twoPrivileges,
      hardwareDirty,
      deviceAttributes,
    };
    const key = Object.values(facts).join();
    let role = this.#byKey.get(key);
    if (role === undefined) {
      role = { number: this.#byNumber.length + 1, ...facts };
      this.#byKey.set(key, role);
      this.#byNumber.push(role);
    }
    return role.number;
  }
}

/** STATE of a descriptor in a table of `level`; a table gets KIND.TABLE and has to be linked. */
export function classify(role: ShadowRole, level: number, low: number, high: number): number {
  if ((low & DESCRIPTOR_LOW.VALID) === 0) return absent(FAULT_STATUS.TRANSLATION + level);
  const isTable = (low & DESCRIPTOR_LOW.TABLE) !== 0;
  if (level === 3 ? !isTable : !isTable && level === 0) return absent(FAULT_STATUS.TRANSLATION + level);
  if ((high & role.outputCheckHigh) !== 0) return absent(FAULT_STATUS.ADDRESS_SIZE + level);
  if (isTable && level < 3) return KIND.TABLE;
  return KIND.LEAF | fastPermissions(role, low, high) | notGlobal(role, low);
}

function absent(status: number): number {
  return KIND.ABSENT | (status << STATUS_SHIFT);
}

function notGlobal(role: ShadowRole, low: number): number {
  return role.twoPrivileges && (low & DESCRIPTOR_LOW.NOT_GLOBAL) !== 0 ? NOT_GLOBAL : 0;
}

/** As Walker does, for data accesses through tables that restrict nothing. */
function fastPermissions(role: ShadowRole, low: number, high: number): number {
  if ((low & DESCRIPTOR_LOW.ACCESS_FLAG) === 0) return 0;
  if (((role.deviceAttributes >>> ((low >>> 2) & 7)) & 1) !== 0) return 0;
  const readOnly = (low & DESCRIPTOR_LOW.READ_ONLY) !== 0;
  // A page that a write would first mark as dirty counts as read-only here.
  const markable = role.hardwareDirty && (high & DESCRIPTOR_HIGH.DIRTY_BIT_MODIFIER) !== 0;
  const access = FAST.READ | (readOnly || (markable && readOnly) ? 0 : FAST.WRITE);
  if (!role.twoPrivileges) return access << FAST.PRIVILEGED;
  const unprivileged = (low & DESCRIPTOR_LOW.UNPRIVILEGED) !== 0;
  const privileged = access << FAST.PRIVILEGED;
  return unprivileged ? (access << FAST.USER) | privileged : privileged | (access << FAST.PRIVILEGED_PAN);
}
