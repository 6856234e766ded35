import { arrayField, numberField, type StateField, u64Field } from "../base/state-fields.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { type ElementState, SLOT, type StateWord } from "./element-state.ts";

/** Words of the block that nothing else determines, with their greatest values. */
const WORDS: readonly { readonly name: string; readonly offset: StateWord; readonly most: number }[] = [
  { name: "FPCR", offset: PE_LAYOUT.FPCR, most: 0xffff_ffff },
  { name: "FPSR", offset: PE_LAYOUT.FPSR, most: 0xffff_ffff },
  { name: "EL", offset: PE_LAYOUT.EL, most: 3 },
  { name: "SPSEL", offset: PE_LAYOUT.SPSEL, most: 1 },
  { name: "DAIF", offset: PE_LAYOUT.DAIF, most: 15 },
  { name: "PAN", offset: PE_LAYOUT.PAN, most: 1 },
  { name: "UAO", offset: PE_LAYOUT.UAO, most: 1 },
  { name: "SSBS", offset: PE_LAYOUT.SSBS, most: 1 },
  { name: "EVENT", offset: PE_LAYOUT.EVENT, most: 1 },
  { name: "SS", offset: PE_LAYOUT.SS, most: 1 },
  { name: "IL", offset: PE_LAYOUT.IL, most: 1 },
];

/** Registers and PSTATE of an element, as its block in linear memory holds them between two runs of the engine. */
export function elementFields(state: ElementState, hasEl: (level: number) => boolean): StateField[] {
  const { base, doubleWords, words } = state;
  const doubles = (offset: number, count: number) =>
    doubleWords.subarray((base + offset) >>> 3, ((base + offset) >>> 3) + count);
  return [
    arrayField("X", doubles(PE_LAYOUT.X, 31)),
    arrayField("SP", doubles(PE_LAYOUT.SP, 1)),
    arrayField("SP_ELx", doubles(PE_LAYOUT.SP_BANK, 4)),
    arrayField("PC", doubles(PE_LAYOUT.PC, 1)),
    arrayField("V", doubles(PE_LAYOUT.V, 64)),
    numberField(
      "NZCV",
      15,
      () => state.nzcv,
      (flags) => {
        state.nzcv = flags;
      },
    ),
    ...WORDS.map(({ name, offset, most }) =>
      numberField(
        name,
        most,
        () => state.word(offset),
        (value) => state.setWord(offset, name === "EL" && !hasEl(value) ? 1 : value),
      ),
    ),
    u64Field(
      "instructions",
      () =>
        doubleWords[(base + PE_LAYOUT.INSTRUCTIONS) >>> 3]! - BigInt(words[(base + PE_LAYOUT.FUEL) >>> 2]!),
      (value) => {
        doubleWords[(base + PE_LAYOUT.INSTRUCTIONS) >>> 3] = value;
        words[(base + PE_LAYOUT.FUEL) >>> 2] = 0;
      },
    ),
    // The names are the table's own.
    ...Object.entries(SLOT).map(([name, slot]) =>
      u64Field(
        name,
        () => state.read(slot),
        (value) => state.write(slot, value),
      ),
    ),
  ];
}
