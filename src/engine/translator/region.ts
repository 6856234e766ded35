import type { InstructionWords, KnownWord } from "./instruction-words.ts";

/** Instructions of one page. */
const PAGE_WORDS = 1024;
const PAGE_BYTES = 4096;
/** Bounds of a region: beyond, WebAssembly functions get too large to compile quickly. */
export const MAXIMUM_INSTRUCTIONS = 480;
const MAXIMUM_BLOCKS = 96;
/** A called function of fewer instructions is copied to where it is called. */
const MAXIMUM_COPY = 40;
const MAXIMUM_DEPTH = 4;
/** One of fewer than so many is part of its caller's region, once, and returns there as computed jumps do. */
const MAXIMUM_CALLEE = 120;

/** A page of code, seen from a region's entry. */
export interface CodePage {
  /** Bytes from the page of the entry to this one. */
  readonly delta: number;
  /** Host frame number, and the address of its records. */
  readonly frame: number;
  readonly records: number;
}

/** One instruction of a region. */
export interface RegionInstruction {
  /** Bytes from the start of the entry's page. */
  readonly offset: number;
  readonly known: KnownWord;
}

/** Where control may go: a block by its name, which the region may lack, and the offset of its code. */
export interface Edge {
  readonly block: number;
  readonly offset: number;
}

/** How a basic block ends. */
export type Terminator =
  /** The interpreter goes on at the offset. */
  | { readonly kind: "leave"; readonly offset: number }
  /** Its last instruction computes the target. */
  | { readonly kind: "indirect" }
  /** The same, and it is expected to be where the call came from. */
  | { readonly kind: "return"; readonly to: Edge }
  | { readonly kind: "goto"; readonly to: Edge }
  /** Its last instruction is a conditional branch. */
  | { readonly kind: "conditional"; readonly taken: Edge; readonly next: Edge };

/** Straight-line code with one entry, inside one page. */
export interface BasicBlock {
  readonly name: number;
  readonly start: number;
  readonly page: CodePage;
  readonly instructions: readonly RegionInstruction[];
  readonly terminator: Terminator;
}

/** The name of what is no block: the place that sends control to one of a region's entries. */
export const DISPATCH = -1;
/** Entries are told apart by a byte. */
export const MAXIMUM_ENTRIES = 255;
/** Entries lie within so many bytes of the beginning. */
const ENTRY_DISTANCE = 4 * PAGE_BYTES;

/**
 * Code that becomes one WebAssembly function: what direct branches reach, in one page or several, where calls from
 * it return to, and small functions that are called often, once for each place that calls them.
 */
export interface Region {
  readonly entry: number;
  /** Blocks that computed branches and control from outside may go to, the entry first. */
  readonly entries: readonly number[];
  /** By name; the entry's block is among them. */
  readonly blocks: ReadonlyMap<number, BasicBlock>;
}

export interface RegionSource {
  readonly words: InstructionWords;
  /** The page `delta` bytes from the entry's, when code there was executed lately in this translation context. */
  page(delta: number): CodePage | undefined;
  /** The word at a place (0 to 1023) of a page. */
  word(page: CodePage, index: number): number;
  /** False where the interpreter never came. */
  isKnown(page: CodePage, index: number): boolean;
  /** False where hardly anything branches to, nor comes from a branch that is not taken. */
  isUsed(page: CodePage, index: number): boolean;
  /** True where so much calls it that it should be part of its callers. */
  isCalledOften(page: CodePage, index: number): boolean;
  /** Places of a page that much jumps to. */
  oftenJumpedTo(page: CodePage): readonly number[];
}

/** One activation of a function in the region. */
interface Activation {
  readonly number: number;
  readonly parent: Activation | undefined;
  /** Offset in the parent's code that the call returns to. */
  readonly returnTo: number;
  readonly functions: readonly number[];
  /** Offsets that its direct branches go to. */
  readonly leaders: Set<number>;
}

/** Finds the region that begins at the entry, bytes from the start of its page. */
export function findRegion(source: RegionSource, entry: number): Region {
  return new RegionFinder(source).find(entry);
}

export function successors(terminator: Terminator): readonly number[] {
  switch (terminator.kind) {
    case "leave":
    case "indirect":
      return [];
    case "goto":
    case "return":
      return [terminator.to.block];
    case "conditional":
      return [terminator.taken.block, terminator.next.block];
  }
}

/** The page of an offset, as its distance from the entry's page. */
export function pageDelta(offset: number): number {
  return Math.floor(offset / PAGE_BYTES) * PAGE_BYTES;
}

class RegionFinder {
  readonly #source: RegionSource;
  readonly #blocks = new Map<number, BasicBlock>();
  readonly #pending: { activation: Activation; offset: number }[] = [];
  readonly #pages = new Map<number, CodePage | undefined>();
  /** Places of entries that are still to be read. */
  readonly #waiting: { activation: Activation; offset: number }[] = [];
  /** Blocks of the function that the region began in. */
  readonly #entries = new Set<number>();
  /** Pages with computed jumps or calls, whose targets may be among what is jumped to there. */
  readonly #computing = { jump: new Set<CodePage>(), call: new Set<CodePage>() };
  #activations = 0;
  #count = 0;

  constructor(source: RegionSource) {
    this.#source = source;
  }

  find(entry: number): Region {
    const main = this.#activation(entry, undefined, 0);
    this.#entry(main, entry);
    for (;;) {
      // What direct branches reach comes first, then what an entry is needed for.
      const next = this.#pending.shift() ?? this.#waiting.shift();
      if (next === undefined && this.#findTargets(main)) continue;
      if (next === undefined || this.#blocks.size >= MAXIMUM_BLOCKS || this.#count >= MAXIMUM_INSTRUCTIONS) {
        break;
      }
      const name = nameOf(next.activation, next.offset);
      if (this.#blocks.has(name)) continue;
      const page = this.#page(next.offset);
      if (page === undefined) continue;
      const block = this.#readBlock(next.activation, next.offset, page);
      this.#count += block.instructions.length;
      this.#blocks.set(name, block);
    }
    const entries = [...this.#entries].filter(
      (name) => (this.#blocks.get(name)?.instructions.length ?? 0) > 0,
    );
    return {
      entry: nameOf(main, entry),
      entries: entries.slice(0, MAXIMUM_ENTRIES / 2),
      blocks: this.#blocks,
    };
  }

  /** A place of the region's own function where control may arrive otherwise than by a direct branch. */
  #entry(main: Activation, offset: number): void {
    const name = nameOf(main, offset);
    if (this.#entries.has(name) || Math.abs(offset) > ENTRY_DISTANCE) return;
    this.#entries.add(name);
    this.#join(main, offset);
  }

  /** Once everything else is found: what computed jumps may go to. False where there is nothing of the kind. */
  #findTargets(main: Activation): boolean {
    const { jump, call } = this.#computing;
    for (const page of new Set([...jump, ...call])) {
      for (const index of this.#source.oftenJumpedTo(page)) {
        const offset = page.delta + index * 4;
        const isSmall = (): boolean => this.#scan(offset, MAXIMUM_CALLEE).count < MAXIMUM_CALLEE;
        if (jump.has(page) || isSmall()) this.#entry(main, offset);
      }
    }
    jump.clear();
    call.clear();
    return this.#waiting.length > 0;
  }

  /** True where the interpreter came, and often jumped to. */
  #isArrivedAt(offset: number): boolean {
    const page = this.#page(offset);
    const index = page === undefined ? 0 : (offset - page.delta) / 4;
    return page !== undefined && this.#read(offset) !== undefined && this.#source.isCalledOften(page, index);
  }

  #activation(entry: number, parent: Activation | undefined, returnTo: number): Activation {
    return {
      number: this.#activations++,
      parent,
      returnTo,
      functions: [...(parent?.functions ?? []), entry],
      leaders: new Set(this.#scan(entry, MAXIMUM_INSTRUCTIONS).leaders),
    };
  }

  #page(offset: number): CodePage | undefined {
    const delta = pageDelta(offset);
    if (!this.#pages.has(delta)) this.#pages.set(delta, this.#source.page(delta));
    return this.#pages.get(delta);
  }

  /** The instruction at an offset, where the interpreter has been. */
  #read(offset: number): KnownWord | undefined {
    const page = this.#page(offset);
    if (page === undefined) return undefined;
    const index = (offset - page.delta) / 4;
    if (!this.#source.isKnown(page, index)) return undefined;
    return this.#source.words.of(this.#source.word(page, index));
  }

  /** What direct branches reach from `entry`, calls aside: their targets, and how many instructions there are. */
  #scan(entry: number, limit: number): { leaders: ReadonlySet<number>; count: number } {
    const leaders = new Set([entry]);
    const pending = [entry];
    let count = 0;
    while (pending.length > 0 && count < limit) {
      let offset = pending.pop() ?? entry;
      for (; count < limit; offset += 4) {
        const flow = this.#read(offset)?.flow;
        if (flow === undefined) break;
        count++;
        if (flow.kind === "next") {
          if (leaders.has(offset + 4)) break;
          continue;
        }
        const targets =
          flow.kind === "goto"
            ? [offset + flow.distance]
            : flow.kind === "conditional"
              ? [offset + flow.distance, offset + 4]
              : flow.kind === "call"
                ? [offset + 4]
                : [];
        for (const target of targets) {
          if (leaders.has(target)) continue;
          leaders.add(target);
          pending.push(target);
        }
        break;
      }
    }
    return { leaders, count };
  }

  #readBlock(activation: Activation, start: number, page: CodePage): BasicBlock {
    const instructions: RegionInstruction[] = [];
    const end = (terminator: Terminator): BasicBlock => ({
      name: nameOf(activation, start),
      start,
      page,
      instructions,
      terminator,
    });
    const room = MAXIMUM_INSTRUCTIONS - this.#count;
    for (let offset = start; ; ) {
      const isBorder = offset === page.delta + PAGE_WORDS * 4;
      if (offset > start && (isBorder || activation.leaders.has(offset))) {
        return end({ kind: "goto", to: this.#edge(activation, offset) });
      }
      const known = instructions.length < room ? this.#read(offset) : undefined;
      if (known === undefined || known.flow.kind === "leave") return end({ kind: "leave", offset });
      const { flow } = known;
      const target = "distance" in flow ? offset + flow.distance : offset;
      instructions.push({ offset, known });
      offset += 4;
      switch (flow.kind) {
        case "next":
          continue;
        case "indirect":
          if (activation.parent === undefined && flow.branch !== "return")
            this.#computing[flow.branch].add(page);
          if (flow.branch === "call") this.#return(activation, offset);
          if (flow.branch !== "return" || activation.parent === undefined) return end({ kind: "indirect" });
          return end({ kind: "return", to: this.#edge(activation.parent, activation.returnTo) });
        case "goto":
          return end({ kind: "goto", to: this.#edge(activation, target) });
        case "call":
          return end(this.#call(activation, target, offset));
        case "conditional":
          // A branch to the next instruction has one way to go: two edges to a block would have it emitted twice.
          return target === offset
            ? end({ kind: "goto", to: this.#edge(activation, offset) })
            : end({
                kind: "conditional",
                taken: this.#edge(activation, target, true),
                next: this.#edge(activation, offset, true),
              });
      }
    }
  }

  /** An edge, whose target becomes part of the region where there is room. */
  #edge(activation: Activation, offset: number, isChosen = false): Edge {
    const block = nameOf(activation, offset);
    const page = this.#page(offset);
    const index = page === undefined ? 0 : (offset - page.delta) / 4;
    if (page !== undefined && (!isChosen || this.#source.isUsed(page, index))) {
      this.#pending.push({ activation, offset });
    }
    return { block, offset };
  }

  /** Where a call that leaves the region comes back to. */
  #return(activation: Activation, offset: number): void {
    if (activation.parent === undefined && this.#isArrivedAt(offset)) this.#entry(activation, offset);
  }

  #call(activation: Activation, target: number, returnTo: number): Terminator {
    const page = this.#page(target);
    const isOften = page !== undefined && this.#source.isCalledOften(page, (target - page.delta) / 4);
    const mayCopy = activation.functions.length < MAXIMUM_DEPTH && !activation.functions.includes(target);
    const size = isOften ? this.#scan(target, MAXIMUM_CALLEE).count : MAXIMUM_CALLEE;
    if (mayCopy && size < MAXIMUM_COPY) {
      return { kind: "goto", to: this.#edge(this.#activation(target, activation, returnTo), target) };
    }
    this.#return(activation, returnTo);
    const leave = { kind: "leave", offset: target } as const;
    if (activation.parent !== undefined) return leave;
    const isEntry = this.#entries.has(nameOf(activation, target));
    const returns = this.#entries.has(nameOf(activation, returnTo));
    if (!isEntry && returns && size < MAXIMUM_CALLEE) this.#join(activation, target);
    // A function that calls itself, or one of those that belong to the region.
    const isHere = isEntry || activation.leaders.has(target);
    return isHere ? { kind: "goto", to: { block: nameOf(activation, target), offset: target } } : leave;
  }

  /** Makes what is at the offset part of the region, as if it belonged to the function that the region began in. */
  #join(main: Activation, offset: number): void {
    if (!main.leaders.has(offset)) {
      for (const leader of this.#scan(offset, MAXIMUM_INSTRUCTIONS).leaders) main.leaders.add(leader);
    }
    this.#waiting.push({ activation: main, offset });
  }
}

/** True for blocks of the function that the region began in, which stand for their code from outside, too. */
export function isOwn({ name }: Pick<BasicBlock, "name">): boolean {
  return name < 2 ** 34;
}

/** True for blocks that a computed address may be the beginning of: own ones, near enough for a table. */
export function isFindable(block: BasicBlock): boolean {
  return isOwn(block) && Math.abs(block.start) <= ENTRY_DISTANCE;
}

/** Calls reach 128 MiB; a few of them in a row stay far below 2^33 bytes. */
function nameOf({ number }: Activation, offset: number): number {
  return number * 2 ** 34 + offset + 2 ** 33;
}
