import type { KernelItem } from "../items.ts";
import type { Workload } from "../workload.ts";
import { compile, type Target } from "./compile.ts";

const LIMIT = 600;

const BARE = [
  ...["-DGUEST", "-ffreestanding", "-fno-tree-loop-distribute-patterns", "-fno-pic", "-fno-stack-protector"],
  ...["-static", "-nostdlib", "-Wl,-T,guest/guest.ld", "-Wl,--build-id=none"],
];
const BOARD_FILES = ["guest/start.S", "guest/main.c", "guest/board.c", "guest/memory.c"];

/** Builds a bare program and its twin for the host. `scale` multiplies the work. */
export async function kernelWorkload(item: KernelItem, scale: number): Promise<Workload> {
  const iterations = Math.max(1, Math.round(item.iterations * scale));
  const build = (target: Target): Promise<string> => {
    const options = [
      `-DNAME="${item.name}"`,
      `-DITERATIONS=${iterations}`,
      ...(item.element === undefined ? [] : [`-DELEMENT=${item.element}`]),
      ...(item.vectorise ? ["-ftree-vectorize", "-fvect-cost-model=dynamic"] : ["-fno-tree-vectorize"]),
    ];
    const kernel = `kernels/${item.source}.c`;
    if (target === "host") return compile(item.name, target, [...options, "guest/main.c", kernel]);
    const extensions = item.largeSystemExtensions ? "-march=armv8.1-a" : "-march=armv8-a";
    return compile(item.name, target, [
      ...options,
      ...[extensions, "-mno-outline-atomics", ...BARE, ...BOARD_FILES, kernel, "-lgcc"],
    ]);
  };
  const [guest, host] = await Promise.all([build("guest"), build("host")]);
  return {
    title: item.name,
    items: [item],
    guest: { kernel: guest },
    native: { program: host, arguments: [] },
    largeSystemExtensions: item.largeSystemExtensions ?? false,
    limitSeconds: LIMIT,
  };
}
