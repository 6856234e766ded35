import type { PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import { FAULT_STATUS, NO_FAULT } from "./memory-fault.ts";
import type { Stage2Configuration } from "./regime.ts";
import { DESCRIPTOR_HIGH, DESCRIPTOR_LOW, type TableTranslator, TableWalk } from "./table-walk.ts";
import { PERMISSION, REQUEST } from "./walk-request.ts";

/** Stage 2: intermediate to physical address (Arm ARM, AArch64.S2Translate). Results stay in fields. */
export class Stage2Walk implements TableTranslator {
  outLow = 0;
  outHigh = 0;
  /** PERMISSION bits; WRITE also while `writeNeedsUpdate`. */
  permissions = 0;
  /** A write would first have to mark the descriptor as dirty. */
  writeNeedsUpdate = false;
  /** MemAttr[3:0] and SH[1:0]. */
  memAttr = 0;
  shareability = 0;
  shift = 0;
  /** Set while stage 1 walks through this stage. */
  configuration: Stage2Configuration | undefined;
  /** The request that the stage 1 walk serves. */
  tableRequest = 0;
  readonly #walk: TableWalk;

  constructor(map: PhysicalMap, store: TracedStore) {
    this.#walk = new TableWalk(map, store);
  }

  translateTable(low: number, high: number): number {
    return this.translate(this.configuration!, low, high, this.tableRequest);
  }

  /** NO_FAULT or a status. */
  translate(configuration: Stage2Configuration, low: number, high: number, request: number): number {
    for (;;) {
      const status = this.#leaf(configuration, low, high, request);
      if (status !== NO_FAULT || (request & REQUEST.PEEK) !== 0) return status;
      const updated = this.#wantedDescriptor(request);
      if (updated === this.#walk.descriptorLow || (request & REQUEST.INSPECT) !== 0) return NO_FAULT;
      const outcome = this.#walk.updateLeaf(configuration.geometry, updated);
      if (outcome === "unsupported") return FAULT_STATUS.UNSUPPORTED_ATOMIC_UPDATE;
      if (outcome === "done") {
        if ((updated & DESCRIPTOR_LOW.STAGE2_WRITE) !== 0) this.writeNeedsUpdate = false;
        return NO_FAULT;
      }
    }
  }

  #leaf(configuration: Stage2Configuration, low: number, high: number, request: number): number {
    const { geometry } = configuration;
    if (!geometry.usable || (low & geometry.checkLow) !== 0 || (high & geometry.checkHigh) !== 0) {
      return FAULT_STATUS.TRANSLATION;
    }
    if (geometry.baseOutOfRange) return FAULT_STATUS.ADDRESS_SIZE;
    const walk = this.#walk;
    const status = walk.descend(geometry, low, high, false, undefined);
    if (status !== NO_FAULT) return status;
    const word = walk.descriptorLow;
    const offsetMask = (1 << walk.shift) - 1;
    this.outLow = (word & ~offsetMask) | (low & offsetMask);
    this.outHigh = walk.descriptorHigh & 0xffff;
    this.shift = walk.shift;
    this.memAttr = (word >>> 2) & 15;
    this.shareability = (word >>> 8) & 3;
    this.#setPermissions(configuration);
    if ((request & REQUEST.PEEK) !== 0) return NO_FAULT;
    return this.#check(configuration, request);
  }

  #setPermissions(configuration: Stage2Configuration): void {
    const { descriptorLow: low, descriptorHigh: high } = this.#walk;
    const writable = (low & DESCRIPTOR_LOW.STAGE2_WRITE) !== 0;
    this.writeNeedsUpdate =
      !writable && configuration.hardwareDirty && (high & DESCRIPTOR_HIGH.DIRTY_BIT_MODIFIER) !== 0;
    this.permissions =
      ((low & DESCRIPTOR_LOW.STAGE2_READ) !== 0 ? PERMISSION.READ : 0) |
      (writable || this.writeNeedsUpdate ? PERMISSION.WRITE : 0) |
      ((high & DESCRIPTOR_HIGH.EXECUTE_NEVER) === 0 ? PERMISSION.EXECUTE : 0);
  }

  #check(configuration: Stage2Configuration, request: number): number {
    const walk = this.#walk;
    const accessFlag = (walk.descriptorLow & DESCRIPTOR_LOW.ACCESS_FLAG) !== 0;
    if (!accessFlag && !configuration.hardwareAccessFlag) return FAULT_STATUS.ACCESS_FLAG + walk.level;
    const device = this.memAttr < 4;
    if (device && (request & REQUEST.UNALIGNED) !== 0) return FAULT_STATUS.ALIGNMENT;
    if ((this.permissions & neededPermission(request)) === 0) return FAULT_STATUS.PERMISSION + walk.level;
    const forTable = (request & (REQUEST.TABLE | REQUEST.TABLE_UPDATE)) !== 0;
    if (device && forTable && configuration.protectWalk) return FAULT_STATUS.PERMISSION + walk.level;
    return NO_FAULT;
  }

  #wantedDescriptor(request: number): number {
    const accessed = this.#walk.descriptorLow | DESCRIPTOR_LOW.ACCESS_FLAG;
    const needed = neededPermission(request);
    const isWrite = needed === PERMISSION.WRITE && (request & REQUEST.ADDRESS_TRANSLATION) === 0;
    const updatesTable = (request & REQUEST.TABLE_UPDATE) !== 0;
    return this.writeNeedsUpdate && (isWrite || updatesTable)
      ? accessed | DESCRIPTOR_LOW.STAGE2_WRITE
      : accessed;
  }
}

function neededPermission(request: number): number {
  if ((request & REQUEST.TABLE_UPDATE) !== 0) return PERMISSION.WRITE;
  if ((request & REQUEST.TABLE) !== 0) return PERMISSION.READ;
  if ((request & REQUEST.EXECUTE) !== 0) return PERMISSION.EXECUTE;
  return (request & REQUEST.WRITE) !== 0 ? PERMISSION.WRITE : PERMISSION.READ;
}
