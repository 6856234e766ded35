import { UserError } from "../../base/errors.ts";
import { compressionOf, decompressBytes } from "./compression.ts";

/** A loadable kernel module. */
export interface KernelModule {
  /** As the kernel calls it, with underscores. */
  readonly name: string;
  /** Path below `lib/modules/RELEASE/`, without a compression's ending. */
  readonly path: string;
  /** The decompressed ELF file. */
  readonly content: Uint8Array;
  /** Names of the modules that must be there before. */
  readonly dependencies: readonly string[];
  /** Names under which the kernel asks for it; they may hold "*". */
  readonly aliases: readonly string[];
}

/** What the default guest loads before its shell starts: its console, disks and entropy. */
export const BOOT_MODULES = ["virtio_mmio", "virtio_console", "virtio_blk", "virtio_rng"] as const;

/** What it loads besides when there are devices on the PCI bus. */
export const PCI_MODULES = ["virtio_pci"] as const;

/** What the default guest carries for `modprobe`, and for file systems that `mount` asks for. */
export const FURTHER_MODULES = [
  "virtio_net",
  "virtio_balloon",
  "virtiofs",
  "vmw_vsock_virtio_transport",
  "9p",
  "9pnet_virtio",
  "ext4",
  "crc32c_generic",
  "vfat",
  "nls_ascii",
  "nls_cp437",
  "nls_utf8",
  "isofs",
  "squashfs",
  "overlay",
  "loop",
] as const;

/** All modules that are kept of a kernel package, with what they need. */
export const KEPT_MODULES: readonly string[] = [...BOOT_MODULES, ...PCI_MODULES, ...FURTHER_MODULES];

/** The part of a kernel package's modules in which those above and what they need are found. */
export const MODULE_DIRECTORIES =
  /^(usr\/)?lib\/modules\/[^/]+\/kernel\/(drivers\/(virtio|block|char|net|cdrom)|fs|lib|crypto|net|arch\/arm64\/(lib|crypto))\/.*\.ko(\.(xz|gz|zst))?$/;

/** The kernel's spelling of a module's name. */
function moduleName(name: string): string {
  return name.replaceAll("-", "_");
}

/** Reads a module as it lies in a package. `path` begins after `lib/modules/RELEASE/`. */
export async function readModule(path: string, packed: Uint8Array): Promise<KernelModule> {
  const content = await decompressBytes(packed, compressionOf(path));
  const plainPath = path.replace(/\.(xz|gz|zst)$/, "");
  const information = moduleInformation(content, path);
  const values = (key: string): string[] =>
    information.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
  const fileName = /([^/]+)\.ko$/.exec(plainPath)?.[1] ?? plainPath;
  const needed = (values("depends")[0] ?? "").split(",");
  return {
    name: moduleName(values("name")[0] ?? fileName),
    path: plainPath,
    content,
    dependencies: needed.filter((name) => name !== "").map(moduleName),
    aliases: values("alias"),
  };
}

/** The "key=value" lines of the section .modinfo (ELF64, little-endian). */
function moduleInformation(content: Uint8Array, path: string): string[] {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  try {
    if (view.getUint32(0) !== 0x7f454c46 || content[4] !== 2 || content[5] !== 1)
      throw new RangeError("not ELF64");
    const sectionsOffset = Number(view.getBigUint64(0x28, true));
    const entrySize = view.getUint16(0x3a, true);
    const count = view.getUint16(0x3c, true);
    const section = (index: number): { name: number; offset: number; size: number } => {
      const at = sectionsOffset + index * entrySize;
      return {
        name: view.getUint32(at, true),
        offset: Number(view.getBigUint64(at + 0x18, true)),
        size: Number(view.getBigUint64(at + 0x20, true)),
      };
    };
    const names = section(view.getUint16(0x3e, true));
    const latin1 = new TextDecoder("latin1");
    for (let index = 0; index < count; index++) {
      const { name, offset, size } = section(index);
      const start = names.offset + name;
      if (latin1.decode(content.subarray(start, content.indexOf(0, start))) !== ".modinfo") continue;
      return latin1.decode(content.subarray(offset, offset + size)).split("\0");
    }
    throw new RangeError("no section .modinfo");
  } catch (cause) {
    throw new UserError(
      `The kernel module ${path} is damaged; remove the image from the cache and pull it again.`,
      {
        cause,
      },
    );
  }
}

/**
 * The modules called `names` with all that they need, each after what it needs. Names that are not among
 * `modules` are left out: they are built into the kernel, or this flavour does not have them.
 */
export function inLoadOrder(modules: readonly KernelModule[], names: readonly string[]): KernelModule[] {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const order = new Set<KernelModule>();
  const visiting = new Set<string>();
  const visit = (name: string): void => {
    const module = byName.get(name);
    if (module === undefined || order.has(module) || visiting.has(name)) return;
    visiting.add(name);
    for (const dependency of module.dependencies) visit(dependency);
    order.add(module);
  };
  for (const name of names) visit(moduleName(name));
  return [...order];
}

/** `modules.dep` and `modules.alias`, which `modprobe` reads. */
export function moduleIndexes(
  modules: readonly KernelModule[],
): Record<"modules.dep" | "modules.alias", string> {
  const dependencies = modules.map((module) => {
    // modprobe wants the nearest dependency first.
    const needed = inLoadOrder(modules, module.dependencies).reverse();
    return `${module.path}:${needed.map((other) => ` ${other.path}`).join("")}\n`;
  });
  const aliases = modules.flatMap((module) =>
    module.aliases.map((alias) => `alias ${alias} ${module.name}\n`),
  );
  return { "modules.dep": dependencies.join(""), "modules.alias": aliases.join("") };
}
