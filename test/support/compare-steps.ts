import { disassemble } from "../../src/isa/disassembler.ts";
import { DECODER } from "../../src/isa/table.ts";
import type { MachineUnderTest, ProcessorState } from "./machine-under-test.ts";
import { SLOT, type StepAnswer, type StepCase } from "./qemu-stepper.ts";

/** A case in which the machine and QEMU do not agree. */
export interface StepDifference {
  /** Name of the row. */
  readonly row: string;
  readonly case: StepCase;
  /** What is different: "x3", "nzcv", "memory", "exception" ... */
  readonly where: readonly string[];
  /** Listing, state before, both states after. */
  readonly report: string;
}

/** Runs the cases on `machine` and holds the results against QEMU's answers. */
export function compareSteps(
  machine: MachineUnderTest,
  cases: readonly StepCase[],
  answers: readonly StepAnswer[],
): StepDifference[] {
  return cases.flatMap((one, index) => compareStep(machine, one, answers[index]) ?? []);
}

function compareStep(
  machine: MachineUnderTest,
  one: StepCase,
  answer: StepAnswer,
): StepDifference | undefined {
  const ours = runStep(machine, one);
  const before = describe(one.state, one.window);
  const after = typeof ours === "string" ? { exception: ours } : describe(ours.state, ours.window);
  const theirs = answer ? describe(answer.state, answer.window) : { exception: "signal" };
  const where = [...new Set([...Object.keys(after), ...Object.keys(theirs)])].filter(
    (key) => after[key] !== theirs[key],
  );
  if (where.length === 0) return undefined;
  const row = DECODER.match(one.word)?.row.instruction.name ?? "none";
  const changed = [...new Set([...Object.keys(before), ...where])].filter(
    (key) => before[key] !== after[key] || before[key] !== theirs[key],
  );
  const lines = (typeof ours === "string" || !answer ? ["exception"] : changed).map(
    (key) =>
      `  ${where.includes(key) ? "*" : " "} ${key}: ${before[key]} -> ${after[key]}, QEMU ${theirs[key]}`,
  );
  const sources = Object.keys(before).filter((key) => !changed.includes(key) && mentions(one.word, key));
  const inputs = sources.map((key) => `    ${key}: ${before[key]}`);
  const listing = `${row} ${one.word.toString(16).padStart(8, "0")}  ${disassemble(one.word, SLOT)}`;
  return { row, case: one, where, report: [listing, ...inputs, ...lines].join("\n") };
}

function mentions(word: number, key: string): boolean {
  const text = disassemble(word, SLOT).replace(/\b[wbhsdq](\d+)\b/g, "x$1 v$1");
  return key === "nzcv" || key === "fpcr" || new RegExp(`\\b${key}\\b`).test(text);
}

function runStep(
  machine: MachineUnderTest,
  one: StepCase,
): { state: ProcessorState; window: Uint8Array } | string {
  machine.writeMemory(one.windowAddress, one.window);
  machine.clearExclusive();
  let { state } = one;
  for (const [word, pc] of [
    [one.before, SLOT - 4n],
    [one.word, SLOT],
  ] as const) {
    if (word === undefined) continue;
    const outcome = machine.step(word, { ...state, pc });
    if (outcome.kind === "exception") return outcome.description;
    state = outcome.state;
  }
  return { state, window: machine.readMemory(one.windowAddress, one.window.length) };
}

function describe(state: ProcessorState, window: Uint8Array): Record<string, string> {
  const text: Record<string, string> = {};
  const put = (name: string, value: bigint | number, digits: number): void => {
    text[name] = `0x${value.toString(16).padStart(digits, "0")}`;
  };
  state.x.forEach((value, index) => {
    put(`x${index}`, value, 16);
  });
  put("sp", state.sp, 16);
  put("pc", state.pc, 16);
  put("nzcv", state.nzcv, 1);
  state.v.forEach((value, index) => {
    put(`v${index}`, value, 32);
  });
  put("fpcr", state.fpcr, 8);
  put("fpsr", state.fpsr, 8);
  text["memory"] = Buffer.from(window).toString("hex");
  return text;
}
