import { describe, expect, test } from "vitest";
import { assemble } from "../../isa/assembler.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../isa/table.ts";
import { HandlerSet } from "../interpreter/handler-set.ts";
import {
  BackgroundCompiler,
  CompileService,
  CompilingMail,
  type CompilingRequest,
  type CompilingThread,
} from "./background-compiler.ts";
import { InstructionWords, type WordSource } from "./instruction-words.ts";
import { findRegion } from "./region.ts";
import type { CompiledRegions } from "./region-compiler.ts";
import { describeJob, type JobDescription, jobOf } from "./region-description.ts";
import { type RegionJob, writeRegionModule } from "./region-module.ts";

const PROGRAM = `
  1: add x0, x0, #1
  cbz x0, 3f
  bl 2f
  ldr x1, [x0, #8]
  fadd d0, d1, d2
  b.eq 1b
  br x3
  2: adds x2, x2, x1
  ret
  3: svc #0
`;

function wordSource(): WordSource {
  const decode = (word: number) => DECODER.decode(word, IMPLEMENTED_FEATURES);
  return { decode, handlers: new HandlerSet(), onNewHandler: () => {} };
}

/** A job with the program's region, as found with small functions taken in or not. */
function job(isCalledOften = true): RegionJob {
  const { bytes } = assemble(PROGRAM, { origin: 0n });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const page = { delta: 0, frame: 1, records: 4096 };
  const region = findRegion(
    {
      words: new InstructionWords(wordSource()),
      page: (delta) => (delta === 0 ? page : undefined),
      word: (_, index) => (index * 4 < bytes.length ? view.getUint32(index * 4, true) : 0),
      isKnown: () => true,
      isUsed: () => true,
      isCalledOften: () => isCalledOften,
      oftenJumpedTo: () => [1],
    },
    0,
  );
  return { memoryPages: 64, tracksRegisters: true, regions: [{ region, element: 4096 }] };
}

/** A thread whose answers come when the test says so. */
class HeldThread implements CompilingThread {
  readonly sent: { job: JobDescription; answer: (made: CompiledRegions | undefined | "lost") => void }[] = [];

  send(description: JobDescription, answer: (made: CompiledRegions | undefined | "lost") => void): void {
    this.sent.push({ job: structuredClone(description), answer });
  }
}

describe("a described job", () => {
  test.each([true, false])("is the same module for the other side (calls taken in: %s)", (isCalledOften) => {
    const original = job(isCalledOften);
    const copy = jobOf(structuredClone(describeJob(original)), new InstructionWords(wordSource()));
    const { bytes, entries } = writeRegionModule(original);
    expect(original.regions[0]!.region.blocks.size).toBeGreaterThan(2);
    expect(writeRegionModule(copy)).toEqual({ bytes, entries });
  });

  test("is made into a module by the other thread's service", () => {
    const made = new CompileService(wordSource()).compile(describeJob(job()));
    expect(made?.module).toBeInstanceOf(WebAssembly.Module);
    expect(made?.codeBytes).toBe(writeRegionModule(job()).bytes.length);
  });
});

describe("CompilingMail", () => {
  test("brings each reply to the job that it is for, and what is lost to all", () => {
    const posted: CompilingRequest[] = [];
    const mail = new CompilingMail((request) => posted.push(request));
    const answers: unknown[] = [];
    for (const name of ["a", "b", "c"]) mail.send(describeJob(job()), (made) => answers.push([name, made]));
    mail.receive({ number: posted[1]!.number, made: undefined });
    expect(answers).toEqual([["b", undefined]]);
    mail.lose();
    mail.send(describeJob(job()), (made) => answers.push(["d", made]));
    expect(answers.slice(1)).toEqual([
      ["a", "lost"],
      ["c", "lost"],
      ["d", "lost"],
    ]);
    expect(posted.length).toBe(3);
  });
});

describe("BackgroundCompiler", () => {
  test("has two jobs on their way at most, and hands answers on", () => {
    const thread = new HeldThread();
    const compiler = new BackgroundCompiler(thread);
    const answers: unknown[] = [];
    compiler.compile(job(), (made) => answers.push(made));
    expect(compiler.isBusy).toBe(false);
    compiler.compile(job(), (made) => answers.push(made));
    expect([compiler.isBusy, answers.length]).toEqual([true, 0]);
    const made = new CompileService(wordSource()).compile(thread.sent[0]!.job);
    thread.sent[0]!.answer(made);
    thread.sent[1]!.answer(undefined);
    expect([compiler.isBusy, ...answers]).toEqual([false, made, undefined]);
  });

  test("compiles by itself once the thread is lost, what was on its way too", () => {
    const thread = new HeldThread();
    const compiler = new BackgroundCompiler(thread);
    const answers: (CompiledRegions | undefined)[] = [];
    compiler.compile(job(), (made) => answers.push(made));
    thread.sent[0]!.answer("lost");
    compiler.compile(job(), (made) => answers.push(made));
    expect(answers.map((made) => made?.module instanceof WebAssembly.Module)).toEqual([true, true]);
    expect([thread.sent.length, compiler.isBusy]).toEqual([1, false]);
    expect(compiler.place).toBe("inline, as the background thread was lost");
  });
});
