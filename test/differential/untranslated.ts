/** Rows whose instructions regions leave to the interpreter, always or under a condition. */
export const UNTRANSLATED: readonly { readonly row: RegExp; readonly reason: string }[] = [
  { row: /^(SVC|HVC|SMC|BRK|HLT|DCPS|DRPS)_/, reason: "they raise exceptions or are UNDEFINED" },
  { row: /^ERET_/, reason: "it changes the exception level and with it the translation regime" },
  { row: /^(WFI|WFE|YIELD|SEV|SEVL)_hints$/, reason: "they concern the run loop and other elements" },
  { row: /^ISB_/, reason: "what stands before it may have changed what follows it" },
  { row: /^MSR_imm_/, reason: "PSTATE fields choose stack pointer, soft-TLB bank and interrupts" },
  {
    row: /^(MRS|MSR)_systemmove$/,
    reason: "the processor decides, unless cpu/fast-registers.ts has the register",
  },
  { row: /^SYSL?_/, reason: "cache and TLB maintenance are the processor's" },
  { row: /^DC_ZVA_/, reason: "it writes through the processor, which checks traps and zeroes a block" },
];
