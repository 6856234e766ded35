/** Access to one count in a block of reference counts. `order`: a count has 2^order bits, 0 to 6. */

/** The greatest count; counts of 64 bits are bounded by what a number holds. */
export function greatestCount(order: number): number {
  return order >= 6 ? Number.MAX_SAFE_INTEGER : 2 ** (1 << order) - 1;
}

export function readCount(view: DataView, order: number, index: number): number {
  switch (order) {
    case 6:
      return view.getUint32(index * 8) * 2 ** 32 + view.getUint32(index * 8 + 4);
    case 5:
      return view.getUint32(index * 4);
    case 4:
      return view.getUint16(index * 2);
    case 3:
      return view.getUint8(index);
    default: {
      // Narrow counts fill a byte from its least significant bit on.
      const bit = index << order;
      return (view.getUint8(bit >>> 3) >>> (bit & 7)) & greatestCount(order);
    }
  }
}

export function writeCount(view: DataView, order: number, index: number, count: number): void {
  switch (order) {
    case 6:
      view.setUint32(index * 8, Math.floor(count / 2 ** 32));
      view.setUint32(index * 8 + 4, count >>> 0);
      return;
    case 5:
      view.setUint32(index * 4, count);
      return;
    case 4:
      view.setUint16(index * 2, count);
      return;
    case 3:
      view.setUint8(index, count);
      return;
    default: {
      const bit = index << order;
      const shift = bit & 7;
      const others = view.getUint8(bit >>> 3) & ~(greatestCount(order) << shift);
      view.setUint8(bit >>> 3, others | (count << shift));
    }
  }
}
