import { systemInstruction } from "../isa/system-registers/system-instructions.ts";
import { systemRegister } from "../isa/system-registers/table.ts";

/** Bits 20:5 of the words that the processor looks for. */
export const DC_ZVA = systemInstruction("DC ZVA").encoding;
export const DAIF_ENCODING = systemRegister("DAIF").encoding;
export const SPSEL_ENCODING = systemRegister("SPSel").encoding;
export const PAN_ENCODING = systemRegister("PAN").encoding;
export const UAO_ENCODING = systemRegister("UAO").encoding;
