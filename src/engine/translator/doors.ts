import {
  HANDLER_REGION,
  RECORD_SIZE,
  REGION_ENTRY,
  REGION_FUNCTION,
  REGION_SLOT,
} from "../interpreter/record.ts";

/** A record that is to lead into a region. */
export interface NewDoor {
  readonly record: number;
  /** Where the record itself is kept meanwhile: an address, and the number of the slot there. */
  readonly original: number;
  readonly slot: number;
  /** The region's place in the function table. */
  readonly function: number;
  /** From 1; 0 where the region has one entry. */
  readonly entry: number;
}

/** Has control that comes to the record enter the region. `view` is of all linear memory. */
export function openDoor(view: DataView, { record, original, slot, function: place, entry }: NewDoor): void {
  for (let offset = 0; offset < RECORD_SIZE; offset += 8) {
    view.setBigUint64(original + offset, view.getBigUint64(record + offset, true), true);
  }
  view.setUint16(record, HANDLER_REGION, true);
  view.setInt32(record + REGION_SLOT, slot, true);
  view.setInt32(record + REGION_FUNCTION, place, true);
  view.setInt32(record + REGION_ENTRY, entry, true);
}
