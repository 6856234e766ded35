import { type Encoding, type RegisterOptions, register } from "./definition.ts";

function absent<const N extends string>(name: N, place: Encoding, options?: RegisterOptions) {
  return register(name, "absent", place, options);
}

/** This product's own registers, in the space the architecture leaves for that. None is implemented yet. */
export const IMPLEMENTATION_DEFINED_REGISTERS = [
  absent("GWBBASE_EL2", [3, 4, 15, 1, 0]),
  absent("GWBCTL_EL2", [3, 4, 15, 1, 1]),
  absent("GWBPROD_EL2", [3, 4, 15, 1, 2], { access: "RO" }),
  absent("GWBCONS_EL2", [3, 4, 15, 1, 3]),
  absent("SPTBASE_EL2", [3, 4, 15, 2, 0]),
  absent("SASID_EL2", [3, 4, 15, 2, 1]),
  absent("CNTSCALE_EL2", [3, 4, 15, 3, 0]),
  absent("CNTREBASE_EL2", [3, 4, 15, 3, 1]),
  absent("VIEW_EL3", [3, 6, 15, 0, 0]),
] as const;
