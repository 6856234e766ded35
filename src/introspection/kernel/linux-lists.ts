import type { LinuxKernel } from "./linux-kernel.ts";

/** A process or kernel thread, as the guest's kernel describes it. */
export interface GuestProcess {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly threads: number;
  /** Guest-physical address of its translation tables; undefined for kernel threads. */
  readonly tables: number | undefined;
  readonly kernelThread: boolean;
}

export interface GuestModule {
  readonly name: string;
  /** Code: address and bytes. */
  readonly base: bigint;
  readonly size: number;
}

/** Lists longer than this are broken, or being written to just now. */
const LONGEST_LIST = 65_536;
const NAME_LENGTH = 16;
const MODULE_NAME_LENGTH = 56;

/** All processes of the guest, by their kernel's list; what is damaged ends the list. */
export function listProcesses(kernel: LinuxKernel): GuestProcess[] {
  const { types, reader, space } = kernel;
  const first = kernel.roots.firstTask;
  const at = (path: string) => types?.offsetOf("task_struct", path);
  const [tasks, pid, comm, mm] = [at("tasks"), at("tgid"), at("comm"), at("mm")];
  const [parent, signal] = [at("real_parent"), at("signal")];
  const threads = types?.offsetOf("signal_struct", "nr_threads");
  const root = types?.offsetOf("mm_struct", "pgd");
  if (first === undefined || tasks === undefined || pid === undefined || comm === undefined) return [];
  const number = (address: bigint, offset: number | undefined) =>
    offset === undefined ? undefined : reader.u32(space, address + BigInt(offset));
  const pointer = (address: bigint, offset: number | undefined) =>
    offset === undefined ? undefined : reader.u64(space, address + BigInt(offset));
  const found: GuestProcess[] = [];
  for (const node of listNodes(kernel, first + BigInt(tasks), true)) {
    const task = node - BigInt(tasks);
    const own = number(task, pid);
    if (own === undefined) break;
    const memory = pointer(task, mm) ?? 0n;
    const tables = memory === 0n ? undefined : pointer(memory, root);
    const [above, group] = [pointer(task, parent), pointer(task, signal)];
    found.push({
      pid: own,
      parent: (above === undefined ? undefined : number(above, pid)) ?? 0,
      name: reader.string(space, task + BigInt(comm), NAME_LENGTH),
      threads: (group === undefined ? undefined : number(group, threads)) ?? 1,
      tables: tables === undefined ? undefined : reader.translate(space, tables)?.address,
      kernelThread: memory === 0n,
    });
  }
  return found;
}

/** The modules that the guest's kernel has loaded, the last first. */
export function listModules(kernel: LinuxKernel): GuestModule[] {
  const { types, reader, space } = kernel;
  const head = kernel.roots.modules;
  const at = (path: string) => types?.offsetOf("module", path);
  const [list, name] = [at("list"), at("name")];
  // Since Linux 6.4 a module's memory is an array by kind, of which code is the first.
  const base = at("mem[0].base") ?? at("core_layout.base");
  const size = at("mem[0].size") ?? at("core_layout.size");
  if (head === undefined || list === undefined || name === undefined) return [];
  if (base === undefined || size === undefined) return [];
  const found: GuestModule[] = [];
  for (const node of listNodes(kernel, head, false)) {
    const module = node - BigInt(list);
    const address = reader.u64(space, module + BigInt(base));
    if (address === undefined) break;
    found.push({
      name: reader.string(space, module + BigInt(name), MODULE_NAME_LENGTH),
      base: address,
      size: reader.u32(space, module + BigInt(size)) ?? 0,
    });
  }
  return found;
}

/** The nodes of a `struct list_head` ring after `head`, which counts too where it is part of an element. */
function* listNodes(kernel: LinuxKernel, head: bigint, withHead: boolean): Generator<bigint> {
  if (withHead) yield head;
  let node = kernel.reader.u64(kernel.space, head);
  for (let count = 0; node !== undefined && node !== head && count < LONGEST_LIST; count++) {
    yield node;
    node = kernel.reader.u64(kernel.space, node);
  }
}
