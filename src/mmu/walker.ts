import type { PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import {
  ATTRIBUTES,
  combineAttributes,
  combineShareability,
  effectiveShareability,
  isDevice,
  SHAREABILITY,
} from "./memory-attributes.ts";
import { FAULT_STATUS, faultKind, faultLevel, type MemoryFault, NO_FAULT } from "./memory-fault.ts";
import type { Stage1Configuration, Stage2Configuration } from "./regime.ts";
import { Stage2Walk } from "./stage2-walk.ts";
import { DESCRIPTOR_HIGH, DESCRIPTOR_LOW, TableWalk } from "./table-walk.ts";
import { doubleWord } from "./translation-registers.ts";
import { PERMISSION, REQUEST } from "./walk-request.ts";

/** A successful translation, for those who can afford an object. */
export interface Translation {
  readonly type: "translation";
  /** Physical address; intermediate when only stage 1 was asked for. */
  readonly address: number;
  readonly secure: boolean;
  /** As in MAIR_ELx, both stages combined. */
  readonly attributes: number;
  readonly shareability: number;
  /** PERMISSION bits for the asked privilege. */
  readonly permissions: number;
  /** log2 of the bytes that the stage 1 leaf maps. */
  readonly shift: number;
}

/** Requests that stage 2 of the final address must not see. */
const STAGE1_BITS = REQUEST.PRIVILEGED | REQUEST.PAN;
/** What stage 2 of a table address keeps of the request. */
const TABLE_BITS = REQUEST.PEEK | REQUEST.INSPECT | REQUEST.ADDRESS_TRANSLATION;

/**
 * Both stages of address translation (Arm ARM, AArch64.FullTranslate). A successful walk leaves its result in
 * fields and allocates nothing; a failing one is described on demand.
 */
export class Walker {
  /** Output address of the byte asked for. */
  outLow = 0;
  outHigh = 0;
  /** It lies in Secure physical address space. */
  outSecure = false;
  attributes = 0;
  shareability = 0;
  /** PERMISSION bits for the privilege asked for; WRITE also while `writeNeedsUpdate`. */
  permissions = 0;
  /** A write would first have to mark a descriptor as dirty. */
  writeNeedsUpdate = false;
  /** log2 of the bytes that the stage 1 leaf maps. */
  shift = 12;
  global = true;
  /** The result stays right without TLB maintenance, see TableWalk.isCoherent. */
  coherent = false;

  #failedStage: 1 | 2 = 1;
  #failedOnWalk = false;
  #failedLow = 0;
  #failedHigh = 0;
  readonly #walk: TableWalk;
  readonly #stage2: Stage2Walk;

  constructor(map: PhysicalMap, store: TracedStore, walk: TableWalk = new TableWalk(map, store)) {
    this.#walk = walk;
    this.#stage2 = new Stage2Walk(map, store);
  }

  /** Translates a virtual address given as halves. Returns NO_FAULT or a status. */
  translate(
    stage1: Stage1Configuration,
    stage2: Stage2Configuration | undefined,
    low: number,
    high: number,
    request: number,
  ): number {
    this.#failedStage = 1;
    this.#failedOnWalk = false;
    let status: number;
    if (stage1.enabled) {
      status = this.#walkStage1(stage1, stage2, low, high, request);
      // A fault counts only if no write to a table is unknown (spec 2.5, delivery rule).
      if (status !== NO_FAULT && this.#walk.freshen()) {
        status = this.#walkStage1(stage1, stage2, low, high, request);
      }
      this.coherent = this.#walk.isCoherent && stage2 === undefined;
    } else {
      status = this.#identity(stage1, low, high, request);
      this.coherent = false;
    }
    if (status !== NO_FAULT || stage2 === undefined || (request & REQUEST.STAGE1_ONLY) !== 0) return status;
    return this.#applyStage2(stage2, request);
  }

  /** The last success as an object. */
  describe(): Translation {
    return {
      type: "translation",
      address: this.outHigh * 2 ** 32 + (this.outLow >>> 0),
      secure: this.outSecure,
      attributes: this.attributes,
      shareability: effectiveShareability(this.attributes, this.shareability),
      permissions: this.permissions,
      shift: this.shift,
    };
  }

  /** The last failure as an object. */
  describeFault(status: number, low: number, high: number, request: number): MemoryFault {
    const isStage2 = this.#failedStage === 2;
    return {
      type: "fault",
      kind: faultKind(status),
      status,
      level: faultLevel(status),
      stage: this.#failedStage,
      onStage1Walk: this.#failedOnWalk,
      access: accessOf(request),
      virtualAddress: doubleWord(low, high),
      intermediateAddress: isStage2 ? this.#failedHigh * 2 ** 32 + (this.#failedLow >>> 0) : 0,
    };
  }

  #walkStage1(
    stage1: Stage1Configuration,
    stage2: Stage2Configuration | undefined,
    low: number,
    high: number,
    request: number,
  ): number {
    const isUpper = stage1.twoPrivileges && (high & 0x0080_0000) !== 0;
    const geometry = isUpper ? stage1.upper : stage1.lower;
    const sign = isUpper ? -1 : 0;
    if (
      !geometry.usable ||
      ((low ^ sign) & geometry.checkLow) !== 0 ||
      ((high ^ sign) & geometry.checkHigh) !== 0 ||
      (geometry.privilegedOnly && (request & REQUEST.PRIVILEGED) === 0)
    ) {
      return FAULT_STATUS.TRANSLATION;
    }
    if (geometry.baseOutOfRange) return FAULT_STATUS.ADDRESS_SIZE;
    const walk = this.#walk;
    if (stage2 !== undefined) this.#stage2.configuration = stage2;
    const nested = stage2 === undefined ? undefined : this.#stage2;
    for (;;) {
      this.#stage2.tableRequest = (request & TABLE_BITS) | REQUEST.TABLE;
      const status = walk.descend(geometry, low, high, stage1.secure, nested);
      if (status !== NO_FAULT) return walk.nestedFault ? this.#failOnTable(status) : status;
      this.#setOutput(stage1, low, request);
      if ((request & REQUEST.PEEK) !== 0) return NO_FAULT;
      const refused = this.#check(stage1, request);
      if (refused !== NO_FAULT) return refused;
      const wanted = this.#wantedDescriptor(request);
      if (wanted === walk.descriptorLow || (request & REQUEST.INSPECT) !== 0) return NO_FAULT;
      if (nested !== undefined) {
        this.#stage2.tableRequest = (request & TABLE_BITS) | REQUEST.TABLE_UPDATE;
        const updateStatus = nested.translateTable(walk.descriptorAddressLow, walk.descriptorAddressHigh);
        if (updateStatus !== NO_FAULT) return this.#failOnTable(updateStatus);
      }
      const outcome = walk.updateLeaf(geometry, wanted);
      if (outcome === "unsupported") return FAULT_STATUS.UNSUPPORTED_ATOMIC_UPDATE;
      if (outcome === "done") {
        if ((wanted & DESCRIPTOR_LOW.READ_ONLY) === 0) this.writeNeedsUpdate = false;
        return NO_FAULT;
      }
      walk.freshen();
    }
  }

  #failOnTable(status: number): number {
    this.#failedStage = 2;
    this.#failedOnWalk = true;
    this.#failedLow = this.#walk.descriptorAddressLow;
    this.#failedHigh = this.#walk.descriptorAddressHigh;
    return status;
  }

  #setOutput(stage1: Stage1Configuration, low: number, request: number): void {
    const walk = this.#walk;
    const word = walk.descriptorLow;
    const offsetMask = (1 << walk.shift) - 1;
    this.outLow = (word & ~offsetMask) | (low & offsetMask);
    this.outHigh = walk.descriptorHigh & 0xffff;
    this.shift = walk.shift;
    const nonSecureTable = walk.hierarchy < 0;
    this.outSecure = stage1.secure && !nonSecureTable && (word & DESCRIPTOR_LOW.NON_SECURE) === 0;
    this.global =
      !stage1.twoPrivileges ||
      ((word & DESCRIPTOR_LOW.NOT_GLOBAL) === 0 && !(stage1.secure && nonSecureTable));
    const attributes = stage1.mair[(word >>> 2) & 7]!;
    const cacheable = (request & REQUEST.EXECUTE) !== 0 ? stage1.fetchCacheable : stage1.dataCacheable;
    this.attributes = cacheable || isDevice(attributes) ? attributes : ATTRIBUTES.NORMAL_NON_CACHEABLE;
    this.shareability = (word >>> 8) & 3;
    this.permissions = this.#permissions(stage1, request);
  }

  /** AArch64.S1Permissions: what the asked privilege may do. */
  #permissions(stage1: Stage1Configuration, request: number): number {
    const { descriptorLow: low, descriptorHigh: high, hierarchy } = this.#walk;
    const readOnlyTable = (hierarchy & DESCRIPTOR_HIGH.TABLE_READ_ONLY) !== 0;
    const readOnly = (low & DESCRIPTOR_LOW.READ_ONLY) !== 0;
    const markable = readOnly && stage1.hardwareDirty && (high & DESCRIPTOR_HIGH.DIRTY_BIT_MODIFIER) !== 0;
    this.writeNeedsUpdate = markable;
    const writable = (!readOnly || markable) && !readOnlyTable;
    const never = (high & DESCRIPTOR_HIGH.EXECUTE_NEVER) | (hierarchy & DESCRIPTOR_HIGH.XN_TABLE);
    const wrongWorld = stage1.secureFetchOnly && !this.outSecure;
    if (!stage1.twoPrivileges) {
      const executable = never === 0 && !(writable && stage1.wxn) && !wrongWorld;
      return permissionBits(true, writable, executable);
    }
    const unprivileged =
      (low & DESCRIPTOR_LOW.UNPRIVILEGED) !== 0 && (hierarchy & DESCRIPTOR_HIGH.TABLE_NO_UNPRIVILEGED) === 0;
    if ((request & REQUEST.PRIVILEGED) === 0) {
      const userWritable = unprivileged && writable;
      const executable = never === 0 && !(userWritable && stage1.wxn) && !wrongWorld;
      return permissionBits(unprivileged, userWritable, executable);
    }
    const privilegedNever =
      (high & DESCRIPTOR_HIGH.PRIVILEGED_EXECUTE_NEVER) | (hierarchy & DESCRIPTOR_HIGH.PXN_TABLE);
    const executable =
      privilegedNever === 0 && !(writable && stage1.wxn) && !(unprivileged && writable) && !wrongWorld;
    const allowed = !(unprivileged && (request & REQUEST.PAN) !== 0);
    return permissionBits(allowed, allowed && writable, executable);
  }

  #check(stage1: Stage1Configuration, request: number): number {
    const walk = this.#walk;
    if ((walk.descriptorLow & DESCRIPTOR_LOW.ACCESS_FLAG) === 0 && !stage1.hardwareAccessFlag) {
      return FAULT_STATUS.ACCESS_FLAG + walk.level;
    }
    if ((request & REQUEST.UNALIGNED) !== 0 && isDevice(this.attributes)) return FAULT_STATUS.ALIGNMENT;
    if ((this.permissions & neededPermission(request)) === 0) return FAULT_STATUS.PERMISSION + walk.level;
    return NO_FAULT;
  }

  #wantedDescriptor(request: number): number {
    const accessed = this.#walk.descriptorLow | DESCRIPTOR_LOW.ACCESS_FLAG;
    const marks =
      this.writeNeedsUpdate &&
      (request & (REQUEST.WRITE | REQUEST.EXECUTE | REQUEST.ADDRESS_TRANSLATION)) === REQUEST.WRITE;
    return marks ? accessed & ~DESCRIPTOR_LOW.READ_ONLY : accessed;
  }

  /** Stage 1 off: the address itself, if the physical size allows (AArch64.S1DisabledOutput). */
  #identity(stage1: Stage1Configuration, low: number, high: number, request: number): number {
    const isUpper = (high & 0x0080_0000) !== 0;
    const checked = isUpper ? stage1.identityCheckUpper : stage1.identityCheckLower;
    if ((high & checked) !== 0) return FAULT_STATUS.ADDRESS_SIZE;
    this.outLow = low;
    this.outHigh = high & 0xffff;
    this.outSecure = stage1.secure;
    this.permissions = PERMISSION.ALL;
    this.writeNeedsUpdate = false;
    this.shift = 12;
    this.global = true;
    this.shareability = SHAREABILITY.OUTER;
    if (stage1.defaultCacheable) {
      this.attributes = ATTRIBUTES.NORMAL_WRITE_BACK;
      this.shareability = SHAREABILITY.NONE;
    } else if ((request & REQUEST.EXECUTE) === 0) {
      this.attributes = ATTRIBUTES.DEVICE_nGnRnE;
      if ((request & REQUEST.UNALIGNED) !== 0) return FAULT_STATUS.ALIGNMENT;
    } else {
      this.attributes = stage1.fetchCacheable
        ? ATTRIBUTES.NORMAL_WRITE_THROUGH
        : ATTRIBUTES.NORMAL_NON_CACHEABLE;
    }
    return NO_FAULT;
  }

  #applyStage2(stage2: Stage2Configuration, request: number): number {
    const low = this.outLow;
    const high = this.outHigh;
    const walk = this.#stage2;
    const status = walk.translate(stage2, low, high, request & ~STAGE1_BITS);
    if (status !== NO_FAULT) {
      this.#failedStage = 2;
      this.#failedLow = low;
      this.#failedHigh = high;
      return status;
    }
    this.outLow = walk.outLow;
    this.outHigh = walk.outHigh;
    this.permissions &= walk.permissions;
    this.writeNeedsUpdate ||= walk.writeNeedsUpdate;
    const cacheDisabled =
      (request & REQUEST.EXECUTE) !== 0 ? stage2.fetchCacheDisabled : stage2.dataCacheDisabled;
    const shareability = effectiveShareability(this.attributes, this.shareability);
    this.attributes = combineAttributes(this.attributes, walk.memAttr, cacheDisabled);
    this.shareability = combineShareability(shareability, walk.shareability);
    return NO_FAULT;
  }
}

function permissionBits(read: boolean, write: boolean, execute: boolean): number {
  return (read ? PERMISSION.READ : 0) | (write ? PERMISSION.WRITE : 0) | (execute ? PERMISSION.EXECUTE : 0);
}

function neededPermission(request: number): number {
  if ((request & REQUEST.EXECUTE) !== 0) return PERMISSION.EXECUTE;
  return (request & REQUEST.WRITE) !== 0 ? PERMISSION.WRITE : PERMISSION.READ;
}

export function accessOf(request: number): MemoryFault["access"] {
  if ((request & REQUEST.EXECUTE) !== 0) return "execute";
  return (request & REQUEST.WRITE) !== 0 ? "write" : "read";
}
