import { describe, expect, test } from "vitest";
import { runHostProgram } from "../../../test/support/host-program.ts";
import { makeKernelModule } from "../../../test/support/kernel-module.ts";
import { inLoadOrder, moduleIndexes, readModule } from "./modules.ts";

const make = (name: string, lines: readonly string[]) =>
  readModule(`kernel/${name}.ko`, makeKernelModule(lines));

describe("kernel modules", () => {
  test("tell their names, needs and aliases, compressed or not", async () => {
    const file = makeKernelModule([
      "license=GPL",
      "depends=virtio,virtio-ring",
      "name=virtio_blk",
      "alias=virtio:d2v*",
    ]);
    const expected = {
      name: "virtio_blk",
      dependencies: ["virtio", "virtio_ring"],
      aliases: ["virtio:d2v*"],
    };
    expect(await readModule("kernel/drivers/virtio_blk.ko", file)).toMatchObject(expected);
    const packed = await readModule(
      "kernel/drivers/virtio_blk.ko.xz",
      runHostProgram("xz", ["-c"], { input: file }).stdout,
    );
    expect(packed).toMatchObject({ ...expected, path: "kernel/drivers/virtio_blk.ko" });
    expect(Buffer.compare(packed.content, file)).toBe(0);
  });

  test("are called after their file where they do not say", async () => {
    expect(await make("virtio-rng", ["depends="])).toMatchObject({ name: "virtio_rng", dependencies: [] });
  });

  test("come after what they need; what is not there is left out", async () => {
    const modules = await Promise.all([
      make("a", ["depends=b,c"]),
      make("b", ["depends=c"]),
      make("c", ["depends=", "alias=fs-c"]),
      make("unused", ["depends="]),
    ]);
    expect(inLoadOrder(modules, ["a", "built-in"]).map(({ name }) => name)).toEqual(["c", "b", "a"]);
    expect(moduleIndexes(inLoadOrder(modules, ["a"]))).toEqual({
      "modules.dep": "kernel/c.ko:\nkernel/b.ko: kernel/c.ko\nkernel/a.ko: kernel/b.ko kernel/c.ko\n",
      "modules.alias": "alias fs-c c\n",
    });
  });

  test("that are damaged are refused, cut anywhere", async () => {
    const file = makeKernelModule(["depends=a"]);
    for (let length = 0; length < file.length - 64; length += 7) {
      await expect(readModule("kernel/x.ko", file.subarray(0, length))).rejects.toThrow(
        /kernel\/x\.ko is damaged/,
      );
    }
  });
});
