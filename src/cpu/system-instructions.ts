import {
  SYSTEM_INSTRUCTIONS,
  type SystemInstruction,
  type SystemInstructionName,
} from "../isa/system-registers/system-instructions.ts";
import { AT_OPERATION_NAMES, type AtOperation } from "../mmu/address-translation.ts";
import { STORE_RESULT } from "../mmu/data-access.ts";
import type { MemoryFault } from "../mmu/memory-fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import type { TlbiOperation } from "../mmu/tlb-maintenance.ts";
import { doubleWord, highWord, lowWord } from "../mmu/translation-registers.ts";
import type { ConditionContext } from "./condition.ts";
import { SLOT } from "./element-state.ts";
import { CACHE_LINE_BYTES } from "./identification.ts";
import { isReachable, type TrapTable } from "./trap-evaluation.ts";

/** What became of a SYS instruction. */
export type SystemResult =
  | { readonly type: "done" }
  /** Done, and what generated code keeps may be out of date. */
  | { readonly type: "changed" }
  | { readonly type: "undefined" }
  | { readonly type: "trap"; readonly target: 1 | 2 | 3 }
  | { readonly type: "fault"; readonly fault: MemoryFault };

const DONE: SystemResult = { type: "done" };
const CHANGED: SystemResult = { type: "changed" };
const UNDEFINED: SystemResult = { type: "undefined" };

const BY_ENCODING: ReadonlyMap<number, SystemInstruction<SystemInstructionName>> = new Map(
  SYSTEM_INSTRUCTIONS.map((row) => [row.encoding, row]),
);

/** The AT instructions; scans of address spaces execute hundreds of thousands of them. */
const AT_BY_NAME: ReadonlyMap<string, AtOperation> = new Map(
  AT_OPERATION_NAMES.map((operation) => [`AT ${operation}`, operation]),
);

interface Tlbi {
  readonly operation: TlbiOperation;
  readonly innerShareable: boolean;
}

/** The TLBI instructions that were executed so far, by name. */
const TLBI_BY_NAME = new Map<SystemInstructionName, Tlbi>();

function tlbiOf(name: SystemInstructionName): Tlbi {
  const known = TLBI_BY_NAME.get(name);
  if (known !== undefined) return known;
  const [, operation = ""] = name.split(" ");
  const innerShareable = operation.endsWith("IS");
  const base = innerShareable ? operation.slice(0, -2) : operation;
  // The table's TLBI rows have the names of the operations.
  const tlbi = { operation: base as TlbiOperation, innerShareable };
  TLBI_BY_NAME.set(name, tlbi);
  return tlbi;
}

/** Cache maintenance, address translation and TLB maintenance. */
export class SystemInstructions {
  readonly #context: ConditionContext;
  readonly #traps: TrapTable;
  readonly #mmu: Mmu;

  constructor(context: ConditionContext, traps: TrapTable, mmu: Mmu) {
    this.#context = context;
    this.#traps = traps;
    this.#mmu = mmu;
  }

  /** `operand` is Xt. */
  execute(encoding: number, operand: bigint): SystemResult {
    const { state, privilege } = this.#context;
    const row = BY_ENCODING.get(encoding);
    const exists = row !== undefined && (row.feature === undefined || privilege.features.has(row.feature));
    if (!exists || !isReachable(row, state.el, "write")) return this.#unallocated(encoding);
    if (row.needsEl2 && !privilege.el2Enabled) return UNDEFINED;
    const verdict = this.#traps.access(encoding, "write", this.#context);
    if (verdict === "undefined") return UNDEFINED;
    if (verdict !== "execute") return { type: "trap", target: verdict };
    return this.#perform(row.name, operand);
  }

  #unallocated(encoding: number): SystemResult {
    const crn = (encoding >> 7) & 15;
    if (crn === 11 || crn === 15) {
      const verdict = this.#traps.implementationDefined(this.#context);
      if (typeof verdict === "number") return { type: "trap", target: verdict };
    }
    return UNDEFINED;
  }

  #perform(name: SystemInstructionName, operand: bigint): SystemResult {
    switch (name) {
      case "IC IALLU":
      case "IC IALLUIS":
      case "DC ISW":
      case "DC CSW":
      case "DC CISW":
        // There is no cache to maintain: writes to code are noticed by themselves.
        return DONE;
      case "DC ZVA":
        return this.#zero(operand);
      case "DC IVAC":
        return this.#maintain(operand, true);
      case "IC IVAU":
      case "DC CVAC":
      case "DC CVAU":
      case "DC CVAP":
      case "DC CIVAC":
        return this.#maintain(operand, false);
      default:
        return this.#translation(name, operand);
    }
  }

  #translation(name: SystemInstructionName, operand: bigint): SystemResult {
    const translation = AT_BY_NAME.get(name);
    if (translation !== undefined) {
      const result = this.#mmu.addressTranslation.translate(translation, operand);
      if (result.type === "exception") return { type: "fault", fault: result.fault };
      this.#context.state.write(SLOT.PAR_EL1, result.value);
      return DONE;
    }
    const { operation, innerShareable } = tlbiOf(name);
    this.#mmu.invalidate(operation, operand, innerShareable);
    return CHANGED;
  }

  #maintain(address: bigint, needsWrite: boolean): SystemResult {
    const { access } = this.#mmu;
    const needsRead = this.#context.state.el === 0;
    if (access.maintain(lowWord(address), highWord(address), { needsRead, needsWrite })) return DONE;
    return access.fault === undefined ? DONE : { type: "fault", fault: access.fault };
  }

  #zero(address: bigint): SystemResult {
    const { access } = this.#mmu;
    const low = lowWord(address) & -CACHE_LINE_BYTES;
    const high = highWord(address);
    const result = access.zeroBlock(low, high, CACHE_LINE_BYTES);
    if (result === STORE_RESULT.DONE) return DONE;
    if (result === STORE_RESULT.DONE_AND_LEAVE || access.fault === undefined) return CHANGED;
    const { fault } = access;
    // FAR_ELx gets the address as given where the block itself is what failed.
    const isBlock = fault.virtualAddress === doubleWord(low, high) && fault.kind !== "debug";
    return { type: "fault", fault: isBlock ? { ...fault, virtualAddress: address } : fault };
  }
}
