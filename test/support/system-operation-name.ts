import { decodeRegister } from "../../src/isa/system-registers/definition.ts";
import { SYSTEM_INSTRUCTIONS } from "../../src/isa/system-registers/system-instructions.ts";
import { REGISTER_BY_ENCODING } from "../../src/isa/system-registers/table.ts";

/** Registers that QEMU has and our table has not. */
const FOREIGN: Readonly<Record<string, string>> = {
  "2_4_0_7_0": "dbgvcr32_el2",
  "3_0_5_3_0": "erridr_el1",
  "3_0_12_1_1": "disr_el1",
  "3_3_4_2_6": "ssbs",
  "3_4_3_0_0": "dacr32_el2",
  "3_4_5_0_1": "ifsr32_el2",
  "3_4_5_2_3": "vsesr_el2",
  "3_4_5_3_0": "fpexc32_el2",
  "3_4_12_1_1": "vdisr_el2",
  "3_6_1_1_1": "sder32_el3",
};

/** Name of a register, or of a SYS operation without its mnemonic, in lower case; else s<op0>_<op1>_c<n>_... */
export function systemOperationName(encoding: number): string {
  const place = decodeRegister(encoding);
  const known =
    REGISTER_BY_ENCODING.get(encoding)?.name ??
    SYSTEM_INSTRUCTIONS.find((row) => row.encoding === encoding)?.name.split(" ")[1] ??
    FOREIGN[place.join("_")];
  const [op0, op1, crn, crm, op2] = place;
  return (known ?? `s${op0}_${op1}_c${crn}_c${crm}_${op2}`).toLowerCase();
}
