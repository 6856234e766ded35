import { UserError } from "../../base/errors.ts";
import { readPackage } from "./deb.ts";
import { inLoadOrder, type KernelModule, MODULE_DIRECTORIES, moduleIndexes, readModule } from "./modules.ts";

const KERNEL_FILE = /^boot\/vmlinuz-/;

/**
 * Keeps of a kernel package the image and, decompressed, the modules called `wanted`, which are looked for in
 * `directories`, with what they need.
 */
export async function unpackKernel(
  path: string,
  wanted: readonly string[],
  directories: RegExp = MODULE_DIRECTORIES,
): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  const packed = new Map<string, Uint8Array>();
  let release = "";
  await readPackage(
    path,
    (file) => KERNEL_FILE.test(file) || directories.test(file),
    ({ path: file, content }) => {
      const module = /^(?:usr\/)?lib\/modules\/([^/]+)\/(.*)$/.exec(file);
      if (module === null) {
        contents.set("Image", content);
      } else {
        release = module[1]!;
        packed.set(module[2]!, content);
      }
    },
  );
  if (!contents.has("Image")) {
    throw new UserError(`${path}, a package of a kernel, has no kernel; pull it from another mirror.`);
  }
  const modules: KernelModule[] = [];
  for (const [file, content] of packed) modules.push(await readModule(file, content));
  const kept = inLoadOrder(modules, wanted);
  for (const module of kept) contents.set(`lib/modules/${release}/${module.path}`, module.content);
  for (const [name, text] of Object.entries(moduleIndexes(kept))) {
    contents.set(`lib/modules/${release}/${name}`, Buffer.from(text));
  }
  return contents;
}
