/** Rows whose instructions regions leave to the interpreter, always or under a condition. */
export const UNTRANSLATED: readonly { readonly row: RegExp; readonly reason: string }[] = [
  { row: /^(SVC|HVC|SMC|BRK|HLT|DCPS|DRPS)_/, reason: "they raise exceptions or are UNDEFINED" },
  { row: /^ERET_/, reason: "it changes the exception level and with it the translation regime" },
  { row: /^(WFI|WFE|YIELD|SEV|SEVL)_hints$/, reason: "they concern the run loop and other elements" },
  {
    row: /^MSR_imm_/,
    reason: "PSTATE fields choose stack pointer and soft-TLB bank; masks, while something pends",
  },
  {
    row: /^(MRS|MSR)_systemmove$/,
    reason:
      "the processor decides, unless it is plain: cpu/fast-registers.ts, interpreter/fast-operations.ts",
  },
  { row: /^SYSL?_/, reason: "cache and TLB maintenance are the processor's" },
  { row: /^DC_ZVA_/, reason: "where it may trap, or the soft TLB does not let stores through" },
];
