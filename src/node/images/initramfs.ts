import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hvcallProgram } from "../../hypervisor/services/hvcall.ts";
import { agentProgram } from "../agent/agent-program.ts";
import type { CachedImage } from "./cache.ts";
import {
  FILE_SYSTEMS,
  INIT_SCRIPT,
  LEASE_SCRIPT,
  NETWORK_SCRIPT,
  PROFILE,
  SESSION_SCRIPT,
} from "./guest-scripts.ts";
import { busyboxTree, type ModuleFiles } from "./initramfs-tree.ts";

/** What the guest does once it is up. */
export type GuestSession = (
  | {
      readonly kind: "shell";
      /** The terminal's type, as in the variable TERM. */
      readonly terminal: string;
      readonly size: { readonly columns: number; readonly rows: number } | undefined;
    }
  | { readonly kind: "command"; readonly command: string }
) & {
  /** The guest has a network card, to be configured by DHCP. */
  readonly network?: boolean;
  /** The guest runs the agent, through which the host runs commands. Needs the socket device. */
  readonly agent?: boolean;
  /** Directories of the host, to be mounted before the session begins. */
  readonly mounts?: readonly GuestMount[];
};

/** A virtio file system that the guest mounts when it starts. */
export interface GuestMount {
  readonly tag: string;
  readonly mountPoint: string;
  readonly readOnly: boolean;
}

/** Reads the modules that were kept with a kernel image. */
export async function readModuleFiles(image: CachedImage): Promise<ModuleFiles> {
  const paths = image.files.map((file) => file.path).filter((path) => path.startsWith("lib/modules/"));
  return new Map(
    await Promise.all(
      paths.map(async (path) => [path, new Uint8Array(await readFile(join(image.directory, path)))] as const),
    ),
  );
}

/** The default guest's initial file system: busybox under all of its names, the modules, the scripts. */
export function buildInitramfs(busybox: Uint8Array, modules: ModuleFiles, session: GuestSession): Uint8Array {
  const tree = busyboxTree(busybox, modules);
  tree.file("init", INIT_SCRIPT, 0o755);
  tree.file("etc/elvisor/session", SESSION_SCRIPT, 0o755);
  tree.file("etc/elvisor/settings", settings(session));
  if (session.kind === "command") tree.file("etc/elvisor/command", `${session.command}\n`);
  if (session.network === true) {
    tree.file("etc/elvisor/network", NETWORK_SCRIPT, 0o755);
    tree.file("etc/elvisor/lease", LEASE_SCRIPT, 0o755);
  }
  if (session.agent === true) tree.file("etc/elvisor/agent", agentProgram(), 0o755);
  tree.file("bin/hvcall", hvcallProgram(), 0o755);
  tree.file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
  if (session.mounts !== undefined && session.mounts.length > 0)
    tree.file("etc/elvisor/mounts", mountScript(session.mounts));
  tree.file("etc/profile", PROFILE);
  tree.file("etc/fstab", FILE_SYSTEMS);
  tree.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
  tree.file("etc/group", "root:x:0:\n");
  return tree.pack();
}

function mountScript(mounts: readonly GuestMount[]): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = mounts.map(({ tag, mountPoint, readOnly }) => {
    const [name, place] = [quote(tag), quote(mountPoint)];
    return `mkdir -p ${place} && mount -t virtiofs ${readOnly ? "-o ro " : ""}${name} ${place}\n`;
  });
  return `modprobe virtiofs 2>/dev/null\n${lines.join("")}`;
}

function settings(session: GuestSession): string {
  if (session.kind === "command") return "MODE=command\n";
  const size =
    session.size === undefined ? "" : `ROWS=${session.size.rows}\nCOLUMNS=${session.size.columns}\n`;
  return `MODE=shell\nTERM=${session.terminal.replace(/[^\w.+-]/g, "") || "vt100"}\n${size}`;
}
