import { availableParallelism } from "node:os";
import { assertNever } from "../src/base/errors.ts";
import type { VirtualMachineOptions } from "../src/machine/virtual-machine-interface.ts";
import type { Contender } from "./contenders.ts";
import type { Item } from "./items.ts";
import type { Command } from "./measure/run-process.ts";

/** Something that runs in one process and measures one or more items. */
export interface Workload {
  readonly title: string;
  readonly items: readonly Item[];
  /** Files for a machine; undefined where there is no guest. */
  readonly guest: GuestFiles;
  /** The same work as a program of the host. */
  readonly native: { readonly program: string; readonly arguments: readonly string[] } | undefined;
  /** Cores that lack FEAT_LSE cannot run it. */
  readonly largeSystemExtensions: boolean;
  /** So often our machine runs it before it is measured, for the code that it then keeps. */
  readonly warmingRuns?: number;
  /** Seconds after which something is wrong. */
  readonly limitSeconds: number;
}

export interface GuestFiles {
  /** Our machine's directory of translated code; without, it starts cold. */
  readonly codeCache?: string;
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine?: string;
  readonly drives?: readonly { readonly path: string; readonly format: "raw" | "qcow2" }[];
  /** A directory of the host, as a virtio file system called {@link SHARE_TAG}. */
  readonly share?: string;
  /** Commands that are run in the guest; QEMU's reaches the guest's {@link EXEC_PORT} by this port of the host. */
  readonly exec?: { readonly item: string; readonly count: number; readonly hostPort: number };
  /** A virtio card with the user-mode network of the machine. */
  readonly network?: boolean;
}

/** What `machine-process` is told. */
export interface MachineRequest extends GuestFiles, Pick<VirtualMachineOptions, "mmu" | "tlbi" | "mmuCheck"> {
  readonly engine: NonNullable<VirtualMachineOptions["engine"]>;
}

/** Where guests listen that have no agent of ours. */
export const EXEC_PORT = 7;

export const SHARE_TAG = "share";

/** Bytes of memory of every guest. */
export const GUEST_MEMORY: number = 512 * 2 ** 20;

export const QEMU = "qemu-system-aarch64";

/** Both machines get the same two host processors, if there are more. */
const PROCESSORS = 2;
const MEBIBYTE = 2 ** 20;

/** How `contender` runs `workload`, our machine by `machineProcess`; undefined where it cannot. */
export function commandFor(
  contender: Contender,
  workload: Workload,
  machineProcess: string,
): Command | undefined {
  switch (contender.kind) {
    case "native":
      return workload.native && bound({ ...workload.native, reports: false });
    case "qemu":
      if (workload.largeSystemExtensions && !contender.largeSystemExtensions) return undefined;
      return bound(qemuCommand(contender.cpu, workload.guest));
    case "ours": {
      const request: MachineRequest = { ...workload.guest, engine: contender.engine };
      return bound({
        program: process.execPath,
        arguments: [machineProcess, JSON.stringify(request)],
        reports: true,
      });
    }
    default:
      return assertNever(contender, "a contender");
  }
}

/** QEMU's file systems are a process of their own, from the same Debian package, which ends with QEMU. */
const VIRTIOFSD = "/usr/lib/qemu/virtiofsd";

function qemuCommand(cpu: string, guest: GuestFiles): Command {
  const parameters = qemuArguments(cpu, guest);
  if (guest.share === undefined) return { program: QEMU, arguments: parameters, reports: false };
  const socket = `${guest.share}.socket`;
  const script = `rm -f "$1"; ${VIRTIOFSD} --socket-path="$1" -o source="$2",sandbox=chroot,log_level=err >/dev/null &
while [ ! -S "$1" ]; do sleep 0.01; kill -0 $! || exit; done; shift 2; exec "$@"`;
  const memory = `memory-backend-memfd,id=memory,size=${GUEST_MEMORY},share=on`;
  const device = [
    ...["-object", memory, "-numa", "node,memdev=memory"],
    ...["-chardev", `socket,id=share,path=${socket}`],
    ...["-device", `vhost-user-fs-pci,chardev=share,tag=${SHARE_TAG}`],
  ];
  return {
    program: "sh",
    arguments: ["-c", script, "sh", socket, guest.share, QEMU, ...parameters, ...device],
    reports: false,
  };
}

function qemuArguments(cpu: string, guest: GuestFiles): string[] {
  return [
    ...["-M", "virt,gic-version=3,dtb-randomness=off", "-accel", "tcg", "-cpu", cpu, "-smp", "1"],
    ...["-global", "virtio-mmio.force-legacy=false"],
    ...["-m", String(GUEST_MEMORY / MEBIBYTE), "-nodefaults", "-display", "none", "-no-reboot"],
    ...["-serial", "stdio", "-kernel", guest.kernel],
    ...(guest.initrd === undefined ? [] : ["-initrd", guest.initrd]),
    ...(guest.network === true
      ? ["-netdev", "user,id=network", "-device", "virtio-net-device,netdev=network"]
      : []),
    ...(guest.exec === undefined
      ? []
      : [
          ...["-netdev", `user,id=network,hostfwd=tcp:127.0.0.1:${guest.exec.hostPort}-:${EXEC_PORT}`],
          ...["-device", "virtio-net-device,netdev=network"],
        ]),
    ...(guest.commandLine === undefined ? [] : ["-append", guest.commandLine]),
    // QEMU puts the first device in the last slot, and Linux counts from the first.
    ...(guest.drives ?? [])
      .toReversed()
      .flatMap(({ path, format }, index) => [
        ...["-drive", `if=none,id=disk${index},file=${path},format=${format}`],
        ...["-device", `virtio-blk-device,drive=disk${index}`],
      ]),
  ];
}

function bound(command: Command): Command {
  if (process.platform !== "linux" || availableParallelism() <= PROCESSORS) return command;
  return {
    ...command,
    program: "taskset",
    arguments: ["-c", `0-${PROCESSORS - 1}`, command.program, ...command.arguments],
  };
}
