/** How generated code goes on after an operation. */
export const FLOW = {
  /** With the next instruction; PC and the translation context are as before. */
  NEXT: 0,
  /** At PC, looking everything up again. */
  CHANGED: 1,
} as const;
export type Flow = (typeof FLOW)[keyof typeof FLOW];
