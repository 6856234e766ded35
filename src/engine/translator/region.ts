import type { Decoded } from "../../isa/decoder.ts";
import type { Handler, HandlerSet } from "../interpreter/handler-set.ts";

/** Instructions of one page. */
const PAGE_WORDS = 1024;
/** Bounds of a region: beyond, WebAssembly functions get too large to compile quickly. */
const MAXIMUM_INSTRUCTIONS = 400;
const MAXIMUM_BLOCKS = 64;

/** One instruction of a region: its place in the page (0 to 1023), its handler and operands. */
export interface RegionInstruction {
  readonly index: number;
  readonly decoded: Decoded;
  readonly handler: Handler;
}

/** How a basic block ends. Targets are places in the page; -1 or 1024 and beyond lie outside. */
export type Terminator =
  /** The next instruction is left to the interpreter, or lies in the next page. */
  | { readonly kind: "leave"; readonly at: number }
  /** Its last instruction computes the target. */
  | { readonly kind: "indirect" }
  | { readonly kind: "goto"; readonly target: number }
  /** A call: the target gets a region of its own. */
  | { readonly kind: "exit"; readonly target: number }
  /** Its last instruction is a conditional branch. */
  | { readonly kind: "conditional"; readonly taken: number; readonly next: number };

/** Straight-line code with one entry. */
export interface BasicBlock {
  readonly start: number;
  readonly instructions: readonly RegionInstruction[];
  readonly terminator: Terminator;
}

/** Code with one entry, inside one page, that becomes one WebAssembly function. */
export interface Region {
  /** Place of the entry in its page. */
  readonly entry: number;
  /** By place of their first instruction; the entry's block is among them. */
  readonly blocks: ReadonlyMap<number, BasicBlock>;
}

export interface RegionSource {
  decode(word: number): Decoded | undefined;
  readonly handlers: HandlerSet;
  /** The word at a place of the page. */
  word(index: number): number;
  /** Told of every handler made for the first time, so that the interpreter has it too. */
  onNewHandler(handler: Handler): void;
}

/** Finds the region that begins at `entry`: what direct branches reach inside the page, calls aside. */
export function findRegion(source: RegionSource, entry: number): Region {
  const leaders = findLeaders(source, entry);
  const blocks = new Map<number, BasicBlock>();
  const pending = [entry];
  let count = 0;
  while (pending.length > 0) {
    const start = pending.pop() ?? entry;
    if (blocks.has(start) || blocks.size >= MAXIMUM_BLOCKS || count >= MAXIMUM_INSTRUCTIONS) continue;
    const block = readBlock(source, start, leaders, MAXIMUM_INSTRUCTIONS - count);
    count += block.instructions.length;
    blocks.set(start, block);
    for (const target of successors(block.terminator)) {
      if (target >= 0 && target < PAGE_WORDS) pending.unshift(target);
    }
  }
  return { entry, blocks };
}

export function successors(terminator: Terminator): readonly number[] {
  switch (terminator.kind) {
    case "leave":
    case "indirect":
    case "exit":
      return [];
    case "goto":
      return [terminator.target];
    case "conditional":
      return [terminator.taken, terminator.next];
  }
}

/** Every place that a direct branch of the code reachable from `entry` goes to. */
function findLeaders(source: RegionSource, entry: number): ReadonlySet<number> {
  const leaders = new Set([entry]);
  const pending = [entry];
  let count = 0;
  while (pending.length > 0 && count < MAXIMUM_INSTRUCTIONS) {
    let index = pending.pop() ?? entry;
    const visited = new Set<number>();
    for (; index < PAGE_WORDS && count < MAXIMUM_INSTRUCTIONS && !visited.has(index); index++) {
      visited.add(index);
      count++;
      const instruction = readInstruction(source, index);
      if (instruction === undefined) break;
      const flow = flowOf(instruction);
      if (flow.kind === "next") continue;
      if (flow.kind === "goto" || flow.kind === "conditional") {
        const targets = flow.kind === "goto" ? [flow.target] : [flow.target, index + 1];
        for (const target of targets) {
          if (target < 0 || target >= PAGE_WORDS || leaders.has(target)) continue;
          leaders.add(target);
          pending.push(target);
        }
      }
      break;
    }
  }
  return leaders;
}

function readBlock(
  source: RegionSource,
  start: number,
  leaders: ReadonlySet<number>,
  room: number,
): BasicBlock {
  const instructions: RegionInstruction[] = [];
  let index = start;
  for (;;) {
    if (index > start && leaders.has(index)) {
      return { start, instructions, terminator: { kind: "goto", target: index } };
    }
    const instruction =
      index < PAGE_WORDS && instructions.length < room ? readInstruction(source, index) : undefined;
    const flow = instruction === undefined ? undefined : flowOf(instruction);
    if (instruction === undefined || flow === undefined || flow.kind === "leave") {
      return { start, instructions, terminator: { kind: "leave", at: index } };
    }
    instructions.push(instruction);
    index++;
    switch (flow.kind) {
      case "next":
        continue;
      case "indirect":
        return { start, instructions, terminator: { kind: "indirect" } };
      case "goto":
        return { start, instructions, terminator: { kind: "goto", target: flow.target } };
      case "call":
        return { start, instructions, terminator: { kind: "exit", target: flow.target } };
      case "conditional":
        // A branch to the next instruction has one way to go: two edges to a block would have it emitted twice.
        return flow.target === index
          ? { start, instructions, terminator: { kind: "goto", target: index } }
          : { start, instructions, terminator: { kind: "conditional", taken: flow.target, next: index } };
    }
  }
}

function readInstruction(source: RegionSource, index: number): RegionInstruction | undefined {
  const decoded = source.decode(source.word(index));
  if (decoded === undefined) return undefined;
  const { handler, isNew } = source.handlers.handlerOf(decoded);
  if (isNew) source.onNewHandler(handler);
  return { index, decoded, handler };
}

type Flow =
  | { readonly kind: "next" | "leave" | "indirect" }
  | { readonly kind: "goto" | "call" | "conditional"; readonly target: number };

/** Where an instruction may go, from its meaning. */
function flowOf({ index, decoded, handler }: RegionInstruction): Flow {
  const { statements } = handler.block;
  const last = statements.at(-1);
  for (const statement of statements) {
    // System instructions belong to the interpreter; a stack alignment check sits inside a `when`.
    if (statement.kind === "processor") return { kind: "leave" };
  }
  const target = (): number => {
    const offset = decoded.operands["offset"];
    return typeof offset === "object" && offset.kind === "immediate" ? index + Number(offset.value) / 4 : -1;
  };
  switch (last?.kind) {
    case "branch":
      return { kind: "indirect" };
    case "branchRelative":
      return last.branch === "call" ? { kind: "call", target: target() } : { kind: "goto", target: target() };
    case "branchRelativeIf":
      return { kind: "conditional", target: target() };
    default:
      return { kind: "next" };
  }
}
