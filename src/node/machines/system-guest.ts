import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "../../base/errors.ts";
import { hvcallProgram } from "../../hypervisor/services/hvcall.ts";
import type { BootFile } from "../../machine/boot/boot-file.ts";
import { agentProgram } from "../agent/agent-program.ts";
import { SYSTEM_ROOT } from "../images/debian/system-image.ts";
import type { GuestSession } from "../images/initramfs.ts";
import { readModuleTree } from "../images/initramfs-tree.ts";
import { buildSystemInitramfs } from "../images/system-initramfs.ts";
import { commandUnits, type RunFiles, shareUnits } from "./system-units.ts";

/** What boots a system on a disk. */
export interface SystemGuest {
  readonly kernel: BootFile;
  readonly initrd: BootFile;
  /** Added to what every kernel is told. */
  readonly commandLine: string;
}

/** systemd's own messages tell how far it is; the kernel's would hide them. */
const COMMAND_LINE = "quiet systemd.show_status=1";

/** The kernel of a system image, and the initial file system for one start of it. */
export async function prepareSystem(
  base: string,
  session: GuestSession,
  console: "virtio" | "serial",
  busybox: BootFile,
): Promise<SystemGuest> {
  const directory = dirname(base);
  let root: string;
  let kernel: Uint8Array;
  let modules: Map<string, Uint8Array>;
  try {
    root = (await readFile(join(directory, SYSTEM_ROOT), "utf8")).trim();
    kernel = new Uint8Array(await readFile(join(directory, "Image")));
    modules = await readModuleTree(directory);
  } catch (cause) {
    throw new UserError(`The image in ${directory} is not complete (${String(cause)}); pull it again.`, {
      cause,
    });
  }
  const initrd = buildSystemInitramfs(busybox.bytes, modules, {
    root: `UUID=${root}`,
    init: "/sbin/init",
    runFiles: new Map([
      ...terminalFiles(session, console),
      ...shareUnits(session.mounts ?? []),
      ...(session.kind === "command" ? commandUnits(session.command, session.network === true) : []),
      ...(session.agent === true ? agentFiles() : []),
    ]),
  });
  return {
    kernel: { name: "the system's kernel", bytes: kernel },
    initrd: { name: "the initial file system", bytes: initrd },
    commandLine: COMMAND_LINE,
  };
}

/** The agent comes with each start of the machine, so that it is always the one that this host speaks with. */
function* agentFiles(): RunFiles {
  yield ["elvisor/agent", { content: agentProgram(), mode: 0o755 }];
  yield ["elvisor/hvcall", { content: hvcallProgram(), mode: 0o755 }];
  yield ["systemd/system/elvisor-agent.service", { content: AGENT_UNIT }];
  yield [
    "systemd/system/multi-user.target.d/10-elvisor.conf",
    { content: "[Unit]\nWants=elvisor-agent.service\n" },
  ];
}

/** A restart of the agent leaves the commands that run. */
const AGENT_UNIT = `[Unit]
Description=Commands of the host
After=local-fs.target

[Service]
ExecStartPre=-/sbin/modprobe vmw_vsock_virtio_transport
ExecStart=/run/elvisor/agent
Restart=always
RestartSec=1
KillMode=process
`;

/** On a busy host a start may take longer than on a computer. */
const PATIENCE = `[Manager]
DefaultTimeoutStartSec=15min
DefaultDeviceTimeoutSec=15min
`;

/** Puts the login where the user's keys go, and only there, for the kind of terminal that the user has. */
function* terminalFiles(session: GuestSession, console: "virtio" | "serial"): RunFiles {
  const [wanted, other] = console === "virtio" ? ["hvc0", "ttyAMA0"] : ["ttyAMA0", "hvc0"];
  const terminal = session.kind === "shell" ? session.terminal.replace(/[^\w.+-]/g, "") : "";
  yield [
    `systemd/system/serial-getty@${wanted}.service.d/20-terminal.conf`,
    { content: `[Service]\nEnvironment=TERM=${terminal || "vt220"}\n` },
  ];
  yield ["systemd/system.conf.d/10-elvisor.conf", { content: PATIENCE }];
  // An empty unit is a masked one (systemd.unit(5)).
  yield [`systemd/system/serial-getty@${other}.service`, { content: "" }];
}
