import type { GuestReader, ReadingSpace } from "../../mmu/guest-reader.ts";
import { TypeInformation } from "./btf.ts";
import type { ElementView, GuestView } from "./guest-view.ts";
import { findKallsyms, type KernelSymbol, kernelSymbols, symbolBefore } from "./kallsyms.ts";
import { findBytes, findKernelImage } from "./kernel-image.ts";
import { findRoots, type KernelRoots } from "./linux-roots.ts";

const BANNER = new TextEncoder().encode("Linux version ");
const DIGIT = /^Linux version \d/;
/** Bytes of the banner that are looked at. */
const LONGEST_BANNER = 256;
/** Bytes of the image by which a kernel is recognised again. */
const FINGERPRINT = 4096;

/** Bits of TTBR1_EL1 that say where the tables are; others change with each process. */
const TABLE_ADDRESS = 0xffff_ffff_f000n;

/** A Linux kernel found in a guest's memory, with its symbols and types; nothing of it comes from files. */
export class LinuxKernel {
  readonly space: ReadingSpace;
  readonly element: ElementView;
  readonly reader: GuestReader;
  /** Undefined for a kernel without CONFIG_DEBUG_INFO_BTF. */
  readonly types: TypeInformation | undefined;
  /** Sorted by address. */
  readonly symbols: readonly KernelSymbol[];
  readonly banner: string;
  /** Where the image was mapped when it was found. */
  readonly base: bigint;
  readonly roots: KernelRoots;
  readonly #byName = new Map<string, bigint>();
  readonly #fingerprint: string;

  private constructor(
    parts: Pick<
      LinuxKernel,
      "space" | "element" | "reader" | "base" | "types" | "roots" | "banner" | "symbols"
    > & {
      fingerprint: string;
    },
  ) {
    this.space = parts.space;
    this.element = parts.element;
    this.reader = parts.reader;
    this.base = parts.base;
    this.types = parts.types;
    this.symbols = parts.symbols;
    this.roots = parts.roots;
    this.banner = parts.banner;
    this.#fingerprint = parts.fingerprint;
    for (const { name, address } of parts.symbols) {
      if (!this.#byName.has(name)) this.#byName.set(name, address);
    }
  }

  /** The kernel that the guest runs; undefined where there is none yet, or none with a symbol table. */
  static find(view: GuestView): LinuxKernel | undefined {
    const image = findKernelImage(view);
    if (image === undefined) return undefined;
    const { base, bytes, element, space } = image;
    const layout = findKallsyms(bytes);
    if (layout === undefined) return undefined;
    const symbols = [...kernelSymbols(bytes, layout)].sort(byAddress);
    const types = TypeInformation.find(bytes);
    const named = (name: string) => symbols.find((symbol) => symbol.name === name)?.address;
    const roots = findRoots(view, image, types, { firstTask: named("init_task"), modules: named("modules") });
    return new LinuxKernel({
      ...{ space, element, base, types, symbols, roots, reader: view.reader },
      banner: bannerOf(bytes),
      fingerprint: bytes.subarray(0, FINGERPRINT).join(),
    });
  }

  /**
   * Whether the guest still runs this very kernel, at this place, and all of it was found. One that was looked at while
   * it started may lack lists that it had not made yet, and was seen through tables that it has given up since.
   */
  isIn({ reader, elements }: GuestView): boolean {
    const element = elements[this.element.index];
    if (element === undefined) return false;
    if (this.roots.firstTask === undefined || this.roots.modules === undefined) return false;
    if (((element.upperTables ^ this.element.upperTables) & TABLE_ADDRESS) !== 0n) return false;
    return reader.read(element.space(), this.base, FINGERPRINT).bytes.join() === this.#fingerprint;
  }

  address(name: string): bigint | undefined {
    return this.#byName.get(name);
  }

  /** "name+0x10" for an address in the kernel's code; undefined elsewhere. */
  symbolise(address: bigint): string | undefined {
    const [first, last] = [this.address("_stext"), this.address("_etext")];
    if (first === undefined || last === undefined || address < first || address >= last) return undefined;
    const found = symbolBefore(this.symbols, address);
    if (found === undefined) return undefined;
    const distance = address - found.address;
    return distance === 0n ? found.name : `${found.name}+0x${distance.toString(16)}`;
  }
}

function byAddress(one: KernelSymbol, other: KernelSymbol): number {
  return one.address < other.address ? -1 : one.address > other.address ? 1 : 0;
}

/** There are two banners; only the one with the number of the build is the kernel's. */
function bannerOf(image: Uint8Array): string {
  let found = "";
  for (let at = findBytes(image, BANNER); at >= 0; at = findBytes(image, BANNER, at + 1)) {
    const text = new TextDecoder().decode(image.subarray(at, at + LONGEST_BANNER)).split(/[\0\n]/)[0]!;
    if (DIGIT.test(text) && (found === "" || /#\d/.test(text))) found = text;
  }
  return found;
}
