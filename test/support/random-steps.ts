import { encode } from "../../src/isa/assembler/encode.ts";
import type { EncodedInstruction } from "../../src/isa/decoder.ts";
import { extractFields, insertFields } from "../../src/isa/encoding-pattern.ts";
import type { FieldValues, OperandValues } from "../../src/isa/instruction.ts";
import type { BaseOperand, ImmediateOperand, RegisterOperand } from "../../src/isa/operands.ts";
import { DOUBLE, HALF, SINGLE } from "../../src/isa/softfloat/format.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { PADS, padAddress, REGION, REGION_SIZE, SLOT, type StepCase, WINDOW } from "./qemu-stepper.ts";
import type { Random } from "./random.ts";
import { randomControl, randomFloat } from "./random-floats.ts";
import { randomElement, randomVector } from "./random-vectors.ts";
import { randomWord } from "./random-words.ts";

/** Rows that EL0 code cannot be compared on one step at a time. */
export const NOT_STEPPED: readonly { readonly row: RegExp; readonly reason: string }[] = [
  { row: /_exception$|^ERET|^DRPS/, reason: "they raise exceptions" },
  { row: /^(MSR|MRS|SYS|SYSL|DC_ZVA)_/, reason: "system registers are compared by tests of their own" },
  { row: /^(WFI|WFE|SEV|SEVL|YIELD)_hints$/, reason: "they act on other processors and time" },
];

/** The rows to be compared. */
export const STEPPED_ROWS: readonly EncodedInstruction[] = DECODER.rows.filter(
  ({ instruction }) => instruction.execute && !NOT_STEPPED.some(({ row }) => row.test(instruction.name)),
);

/** A case of this row, or undefined where the random word is unusable (unallocated, of another row, ...). */
export function randomStep(row: EncodedInstruction, random: Random): StepCase | undefined {
  const { instruction, pattern } = row;
  const values = { ...extractFields(pattern, randomWord(row, random)) };
  const accessed = REGION + BigInt(8 * random.below(REGION_SIZE / 8 - 64) + 128);
  // Acquire, release, exclusive and atomic accesses must be aligned; for others it may be anything.
  const mustAlign = /ldst(ord|excl)|comswap|memop/.test(instruction.name);
  const address = (accessed & ~15n) + (mustAlign || random.below(3) > 0 ? 0n : BigInt(random.below(16)));
  const x = Array.from({ length: 31 }, () => randomElement(random, 64));
  const state = {
    x,
    sp: randomElement(random, 64),
    pc: SLOT,
    nzcv: random.below(16),
    v: randomVectors(random),
    fpcr: randomControl(random),
    fpsr: random.pick([0, 16, 16, 0x9f, 0x0800_0000]),
  };
  aimBranch(values, x, instruction.name, random);
  if (instruction.name.endsWith("_loadlit")) values["imm19"] = Number((address & ~3n) - SLOT) / 4;
  const word = insertFields(pattern, values);
  const decoded = DECODER.decode(word, IMPLEMENTED_FEATURES);
  if (decoded?.instruction !== instruction) return undefined;
  const fields = extractFields(pattern, word);
  const sp = aimAccess(decoded.operands, x, address);
  if (sp === "impossible") return undefined;
  const windowAddress = (address & ~15n) - 32n;
  return {
    word,
    before: armMonitor(instruction.name, fields),
    state: { ...state, sp: sp ?? state.sp },
    windowAddress,
    window: Uint8Array.from({ length: WINDOW }, () => random.below(256)),
  };
}

function randomVectors(random: Random): bigint[] {
  const style = random.below(3);
  return Array.from({ length: 32 }, () => {
    if (style === 0) return randomVector(random);
    const format = style === 1 ? random.pick([SINGLE, DOUBLE]) : random.pick([HALF, SINGLE, DOUBLE]);
    let vector = 0n;
    for (let at = 0; at < 128; at += format.width) {
      vector |= BigInt.asUintN(format.width, randomFloat(random, format)) << BigInt(at);
    }
    return vector;
  });
}

/** Lets a branch, taken or not, go to a landing pad. */
function aimBranch(values: Record<string, number>, x: bigint[], name: string, random: Random): void {
  const range = name.startsWith("TBZ") ? 1000 : PADS;
  const target = padAddress(random.below(2 * range) - range);
  const distance = Number(target - SLOT) / 4;
  if (/^(B|BL|CBZ_CBNZ|TBZ_TBNZ)_.*branch/.test(name)) {
    for (const [field, width] of [
      ["imm14", 14],
      ["imm19", 19],
      ["imm26", 26],
    ] as const) {
      if (field in values) values[field] = distance & (2 ** width - 1);
    }
  }
  if (/^(BR|BLR|RET)_branch_reg$/.test(name)) {
    if (values["Rn"] === 31) values["Rn"] = 30;
    x[values["Rn"]!] = target;
  }
}

/** Makes base (and index) add up to `address`. Returns the stack pointer when it is the base. */
function aimAccess(operands: OperandValues, x: bigint[], address: bigint): bigint | "impossible" | undefined {
  const base = operands["base"] as BaseOperand | undefined;
  if (base === undefined) return undefined;
  const index = operands["m"] as RegisterOperand<"x"> | undefined;
  const extend = operands["extend"];
  const offset = operands["offset"] as ImmediateOperand<32> | undefined;
  let start = address;
  if (offset && operands["mode"] !== "postIndex") start -= BigInt(offset.value);
  if (index && extend !== undefined) {
    if (index.index === base.register.index && !base.isStackPointer) return "impossible";
    const value = index.index === 31 ? 0n : x[index.index]!;
    const low =
      extend === "uxtw" ? BigInt.asUintN(32, value) : extend === "sxtw" ? BigInt.asIntN(32, value) : value;
    start -= low << BigInt(operands["shift"] as number);
  }
  start = BigInt.asUintN(64, start);
  if (base.isStackPointer) return start;
  x[base.register.index] = start;
  return undefined;
}

/** For a store exclusive, the load exclusive of the same size and address, into registers that do not matter. */
function armMonitor(name: string, { size, sz, Rn }: FieldValues): number | undefined {
  const match = /^STX([RP])_/.exec(name);
  if (!match) return undefined;
  const address = Rn === 31 ? "sp" : `x${Rn}`;
  const single = ["ldxrb wzr", "ldxrh wzr", "ldxr wzr", "ldxr xzr"][size!];
  const pair = ["ldxp wzr, wzr", "ldxp xzr, xzr"][sz!];
  const line = `${match[1] === "R" ? single : pair}, [${address}]`;
  const [mnemonic, rest] = line.split(/ (.*)/);
  const word = encode(mnemonic!, rest!, 0n);
  if (typeof word !== "number") throw new Error(`${line}: ${word.problem}`);
  return word;
}
