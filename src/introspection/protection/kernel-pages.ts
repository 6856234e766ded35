import type { LinuxKernel } from "../kernel/linux-kernel.ts";
import type { AllowedCode } from "./monitor.ts";
import type { ProtectionAction, TreeEntry } from "./page-tree.ts";

const PAGE = 4096;
const TABLE_ADDRESS = 0xffff_ffff_f000n;
/** Pages that one entry of a tree can name. */
const LONGEST_SPAN = 65_535;

/** Kernels are smaller. */
const MOST_BYTES = 128n << 20n;

/** Numbers by which the entries of a kernel's tree are known. */
export const KERNEL_COOKIE = { TEXT: 1, READ_ONLY: 2 } as const;

/** Part of a kernel, and the physical page that each of its pages is. */
export interface KernelPages {
  readonly entries: readonly TreeEntry[];
  readonly textPages: number;
  readonly readOnlyPages: number;
  /** Virtual address of a guest-physical one, where it belongs to the kernel's image. */
  virtualOf(address: number): bigint | undefined;
}

/**
 * The pages of a kernel's code, its exception vectors among them, and of its read-only data, by its own symbols. The
 * root of its translation tables, which lies there but is written for every new gigabytes that it maps, is left out.
 */
export function kernelPages(kernel: LinuxKernel, action: ProtectionAction): KernelPages | undefined {
  const [text, textEnd, end] = ["_stext", "_etext", "__init_begin"].map((name) => kernel.address(name));
  if (text === undefined || textEnd === undefined || end === undefined) return undefined;
  // Symbols are the guest's word.
  if (textEnd < text || end < textEnd || end - text > MOST_BYTES) return undefined;
  const root = Number(kernel.element.upperTables & TABLE_ADDRESS) / PAGE;
  const entries: TreeEntry[] = [];
  const virtual = new Map<number, bigint>();
  const count = { [KERNEL_COOKIE.TEXT]: 0, [KERNEL_COOKIE.READ_ONLY]: 0 };
  for (let at = text; at < end; at += BigInt(PAGE)) {
    const found = kernel.reader.translate(kernel.space, at);
    if (found === undefined) continue;
    const first = Math.floor(found.address / PAGE);
    virtual.set(first, at);
    if (first === root) continue;
    const cookie = at < textEnd ? KERNEL_COOKIE.TEXT : KERNEL_COOKIE.READ_ONLY;
    count[cookie]++;
    const last = entries.at(-1);
    const follows = last !== undefined && last.first + last.pages === first && last.cookie === cookie;
    if (follows && last.pages < LONGEST_SPAN)
      entries[entries.length - 1] = { ...last, pages: last.pages + 1 };
    else entries.push({ first, pages: 1, action, cookie });
  }
  return {
    entries,
    textPages: count[KERNEL_COOKIE.TEXT],
    readOnlyPages: count[KERNEL_COOKIE.READ_ONLY],
    virtualOf(address) {
      const page = virtual.get(Math.floor(address / PAGE));
      return page === undefined ? undefined : page + BigInt(address % PAGE);
    },
  };
}

/** The code of a function, by its symbol and the next one. */
export function codeOf(kernel: LinuxKernel, name: string): AllowedCode | undefined {
  const first = kernel.address(name);
  if (first === undefined) return undefined;
  const next = kernel.symbols.find(({ address }) => address > first);
  return { first, end: next?.address ?? first + 4n };
}
