import type { TypeInformation } from "./btf.ts";
import type { GuestView } from "./guest-view.ts";
import { findBytes, type KernelImage, readKernelData } from "./kernel-image.ts";

/** Where a kernel's lists begin. */
export interface KernelRoots {
  /** The first task, whose list has all others. */
  readonly firstTask: bigint | undefined;
  /** Head of the list of modules; undefined also where none is loaded. */
  readonly modules: bigint | undefined;
}

/** Name of the task that the kernel starts as. */
const FIRST_TASK = new TextEncoder().encode("swapper");
const NAME = /^[a-z0-9_]{2,55}$/;
/** Places that are looked at closely. */
const MOST_TRIES = 200_000;
/** Bytes at the start of a module's name that are read. */
const NAME_LENGTH = 56;

/**
 * The lists as the symbol table names them. Where it names only code, as Debian's 6.1 does, they are found by what
 * their elements must look like, in the kernel's writable data.
 */
export function findRoots(
  view: GuestView,
  image: KernelImage,
  types: TypeInformation | undefined,
  named: KernelRoots,
): KernelRoots {
  if (types === undefined || (named.firstTask !== undefined && named.modules !== undefined)) return named;
  const data = readKernelData(view, image);
  return {
    firstTask: named.firstTask ?? findFirstTask(view, image, types, data),
    modules: named.modules ?? findModules(view, image, types, data),
  };
}

interface Data {
  readonly base: bigint;
  readonly bytes: Uint8Array;
}

/** The task called "swapper" that is its own parent, with a list whose neighbours point back. */
function findFirstTask(view: GuestView, image: KernelImage, types: TypeInformation, data: Data) {
  const { reader } = view;
  const { space } = image;
  const [comm, parent, tasks] = ["comm", "real_parent", "tasks"].map((name) =>
    types.offsetOf("task_struct", name),
  );
  if (comm === undefined || parent === undefined || tasks === undefined) return undefined;
  let tries = 0;
  for (let at = findBytes(data.bytes, FIRST_TASK); at >= 0; at = findBytes(data.bytes, FIRST_TASK, at + 1)) {
    if (++tries > MOST_TRIES) return undefined;
    const task = data.base + BigInt(at - comm);
    if (reader.u64(space, task + BigInt(parent)) !== task) continue;
    const node = task + BigInt(tasks);
    const next = reader.u64(space, node);
    if (next !== undefined && reader.u64(space, next + 8n) === node) return task;
  }
  return undefined;
}

/** A pair of pointers out of the data to elements that point back, of which the first has a module's name. */
function findModules(view: GuestView, image: KernelImage, types: TypeInformation, data: Data) {
  const { reader } = view;
  const { space } = image;
  const [list, name] = [types.offsetOf("module", "list"), types.offsetOf("module", "name")];
  if (list === undefined || name === undefined) return undefined;
  const words = new DataView(data.bytes.buffer, data.bytes.byteOffset, data.bytes.length);
  const end = data.base + BigInt(data.bytes.length);
  const upper = Number(image.base >> 32n);
  let tries = 0;
  for (let at = 0; at + 16 <= data.bytes.length; at += 8) {
    // Modules are loaded within 2 GiB of the kernel.
    if (Math.abs(words.getUint32(at + 4, true) - upper) > 1) continue;
    const next = words.getBigUint64(at, true);
    if ((next & 7n) !== 0n || (next >= image.base && next < end)) continue;
    if (++tries > MOST_TRIES) return undefined;
    const head = data.base + BigInt(at);
    if (reader.u64(space, next + 8n) !== head) continue;
    const previous = words.getBigUint64(at + 8, true);
    if (reader.u64(space, previous) !== head) continue;
    if (NAME.test(reader.string(space, next - BigInt(list) + BigInt(name), NAME_LENGTH))) return head;
  }
  return undefined;
}
