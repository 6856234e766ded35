import { describe, expect, test } from "vitest";
import type { VirtualMachineFactory } from "../../src/machine/virtual-machine-interface.ts";
import { createMachine } from "../../src/node/create-machine.ts";
import { virtDeviceTreeBlob } from "../../src/platform/virt-device-tree.ts";
import { withGuest } from "../support/guest.ts";
import { qemuDeviceTree } from "../support/qemu-device-tree.ts";
import { createQemuMachine } from "../support/qemu-virtual-machine.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 200_000;
const MEBIBYTE = 2 ** 20;

interface Board {
  readonly cpus: number;
  readonly secure: boolean;
  readonly virtualization: boolean;
}

const QUICK: readonly Board[] = [{ cpus: 1, secure: false, virtualization: false }];
const LONG: readonly Board[] = [
  { cpus: 4, secure: false, virtualization: false },
  { cpus: 1, secure: false, virtualization: true },
  { cpus: 1, secure: true, virtualization: false },
  { cpus: 2, secure: true, virtualization: true },
];

/** RAM of the tree; the machine's, which must win, is twice as much. */
const TREE_MEBIBYTES = 256;

async function bootsWith(factory: VirtualMachineFactory, board: Board, tree: Uint8Array): Promise<void> {
  const options = { ...board, factory, deviceTree: tree, memoryMebibytes: 2 * TREE_MEBIBYTES };
  await withGuest({ kernel: "kernel:6.1-cloud", ...options }, async (guest) => {
    expect(await guest.output("grep -c ^processor /proc/cpuinfo")).toBe(`${board.cpus}\n`);
    const kibibytes = Number(/MemTotal: +(\d+) kB/.exec(await guest.output("cat /proc/meminfo"))?.[1]);
    expect(kibibytes).toBeGreaterThan(1.5 * TREE_MEBIBYTES * 1024);
    expect(await guest.powerOff()).toEqual({ kind: "power-off" });
  });
}

describe("each machine boots with the other's device tree", () => {
  describe.each(FULL ? [...QUICK, ...LONG] : QUICK)(
    "--cpus $cpus, secure $secure, virtualization $virtualization",
    (board) => {
      test(
        "ours with QEMU's",
        async () => {
          const { blob } = qemuDeviceTree({ ...board, memoryMebibytes: TREE_MEBIBYTES });
          await bootsWith(createMachine, board, blob);
        },
        LIMIT,
      );

      test(
        "QEMU with ours",
        async () => {
          const tree = virtDeviceTreeBlob({ ...board, memoryBytes: TREE_MEBIBYTES * MEBIBYTE });
          await bootsWith(createQemuMachine, board, tree);
        },
        LIMIT,
      );
    },
  );
});
