/** Operands of the SYS aliases: op1, CRn, CRm, op2 (DDI 0487, C5.3 to C5.5). */
type Place = readonly [op1: number, CRn: number, CRm: number, op2: number];

/** TLBI operations of EL1, by CRm and op2, with their "is" forms one CRm lower by 4. */
function invalidations(): Readonly<Record<string, Place>> {
  const operations: Record<string, Place> = {};
  const add = (name: string, op1: number, op2: number): void => {
    operations[name] = [op1, 8, 7, op2];
    operations[`${name}is`] = [op1, 8, 3, op2];
  };
  add("vmalle1", 0, 0);
  add("vae1", 0, 1);
  add("aside1", 0, 2);
  add("vaae1", 0, 3);
  add("vale1", 0, 5);
  add("vaale1", 0, 7);
  add("alle2", 4, 0);
  add("vae2", 4, 1);
  add("alle1", 4, 4);
  add("vale2", 4, 5);
  add("vmalls12e1", 4, 6);
  add("alle3", 6, 0);
  add("vae3", 6, 1);
  add("vale3", 6, 5);
  return {
    ...operations,
    ipas2e1: [4, 8, 4, 1],
    ipas2e1is: [4, 8, 0, 1],
    ipas2le1: [4, 8, 4, 5],
    ipas2le1is: [4, 8, 0, 5],
  };
}

export const SYSTEM_OPERATIONS: Readonly<
  Record<"dc" | "ic" | "at" | "tlbi", Readonly<Record<string, Place>>>
> = {
  dc: {
    ivac: [0, 7, 6, 1],
    isw: [0, 7, 6, 2],
    csw: [0, 7, 10, 2],
    cisw: [0, 7, 14, 2],
    zva: [3, 7, 4, 1],
    cvac: [3, 7, 10, 1],
    cvau: [3, 7, 11, 1],
    cvap: [3, 7, 12, 1],
    civac: [3, 7, 14, 1],
  },
  ic: {
    ialluis: [0, 7, 1, 0],
    iallu: [0, 7, 5, 0],
    ivau: [3, 7, 5, 1],
  },
  at: {
    s1e1r: [0, 7, 8, 0],
    s1e1w: [0, 7, 8, 1],
    s1e0r: [0, 7, 8, 2],
    s1e0w: [0, 7, 8, 3],
    s1e1rp: [0, 7, 9, 0],
    s1e1wp: [0, 7, 9, 1],
    s1e2r: [4, 7, 8, 0],
    s1e2w: [4, 7, 8, 1],
    s12e1r: [4, 7, 8, 4],
    s12e1w: [4, 7, 8, 5],
    s12e0r: [4, 7, 8, 6],
    s12e0w: [4, 7, 8, 7],
    s1e3r: [6, 7, 8, 0],
    s1e3w: [6, 7, 8, 1],
  },
  tlbi: invalidations(),
};
