import type { FloatingPointContext } from "../runtime-functions.ts";

/** Exact floating point for every case that WebAssembly's own cannot do. Names end in the operand width. */
export const FLOATING_POINT_FUNCTIONS = {
  // The first of many: it raises nothing and shows the form.
  raiseFlags: {
    operands: ["i32"],
    result: "i32",
    run: (context: FloatingPointContext, flags: number) => {
      context.raise(flags);
      return 0;
    },
  },
} as const;
