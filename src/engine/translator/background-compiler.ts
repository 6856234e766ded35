import { InstructionWords, type WordSource } from "./instruction-words.ts";
import {
  type CompiledRegions,
  compileRegions,
  INLINE_COMPILER,
  type RegionCompiler,
} from "./region-compiler.ts";
import { describeJob, type JobDescription, jobOf } from "./region-description.ts";
import { type EntriesOfRegions, type RegionJob, writeRegionModule } from "./region-module.ts";

/** Another thread that compiles. */
export interface CompilingThread {
  /**
   * `answer` is called once, between two runs of guest code: with what {@link CompileService} there returned, or
   * "lost" where the thread is no more.
   */
  send(job: JobDescription, answer: Answer): void;
}

type Answer = (made: CompiledRegions | undefined | "lost") => void;

/** Jobs that are on their way at a time: while one is compiled the next can be sent. */
const JOBS = 2;

/** Has modules compiled on another thread, and by itself once that is lost. */
export class BackgroundCompiler implements RegionCompiler {
  readonly #thread: CompilingThread;
  #isLost = false;
  #jobs = 0;

  constructor(thread: CompilingThread) {
    this.#thread = thread;
  }

  get place(): string {
    return this.#isLost ? "inline, as the background thread was lost" : "background";
  }

  get isBusy(): boolean {
    return this.#jobs >= JOBS;
  }

  compile(job: RegionJob, done: (made: CompiledRegions | undefined) => void): void {
    if (this.#isLost) {
      INLINE_COMPILER.compile(job, done);
      return;
    }
    this.#jobs++;
    this.#thread.send(describeJob(job), (made) => {
      this.#jobs--;
      if (made !== "lost") {
        done(made);
        return;
      }
      this.#isLost = true;
      INLINE_COMPILER.compile(job, done);
    });
  }
}

/** What the other thread is sent, and its answer. */
export interface CompilingRequest {
  readonly number: number;
  readonly job: JobDescription;
}
export interface CompilingReply {
  readonly number: number;
  readonly made: CompiledRegions | undefined;
}

/** The thread as messages: whoever owns it posts requests, and hands replies and its end on. */
export class CompilingMail implements CompilingThread {
  readonly #post: (request: CompilingRequest) => void;
  readonly #waiting = new Map<number, Answer>();
  #isLost = false;
  #next = 0;

  constructor(post: (request: CompilingRequest) => void) {
    this.#post = post;
  }

  send(job: JobDescription, answer: Answer): void {
    if (this.#isLost) {
      answer("lost");
      return;
    }
    const number = this.#next++;
    this.#waiting.set(number, answer);
    this.#post({ number, job });
  }

  receive({ number, made }: CompilingReply): void {
    const answer = this.#waiting.get(number);
    this.#waiting.delete(number);
    answer?.(made);
  }

  /** The thread is no more. */
  lose(): void {
    this.#isLost = true;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const answer of waiting) answer("lost");
  }
}

/** The other thread's side. */
export class CompileService {
  readonly #words: InstructionWords;

  constructor(source: WordSource) {
    this.#words = new InstructionWords(source);
  }

  compile(description: JobDescription): CompiledRegions | undefined {
    return compileRegions(jobOf(description, this.#words));
  }

  /** The module's bytes, for who keeps them. */
  write(description: JobDescription): { bytes: Uint8Array; entries: EntriesOfRegions } {
    return writeRegionModule(jobOf(description, this.#words));
  }

  answer({ number, job }: CompilingRequest): CompilingReply {
    return { number, made: this.compile(job) };
  }
}
