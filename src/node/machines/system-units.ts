import { posix } from "node:path";
import { OPEN_COMMAND_PORTS } from "../images/guest-scripts.ts";
import type { GuestMount } from "../images/initramfs.ts";
import type { RunFile } from "../images/system-initramfs.ts";

/** Files for /run, by their paths below it. */
export type RunFiles = Generator<[string, RunFile]>;

/** What runs the one command, and the command itself. */
const SESSION = "elvisor/session";
const COMMAND = "elvisor/command";

/** Seconds that a command waits for the network, which it may not need. */
const NETWORK_LIMIT = 30;

/** Mounts directories of the host; a start goes on where one cannot be mounted. */
export function* shareUnits(mounts: readonly GuestMount[]): RunFiles {
  for (const { tag, mountPoint, readOnly } of mounts) {
    const where = posix.normalize(mountPoint).replace(/\/$/, "");
    const lines = ["[Mount]", `What=${tag}`, `Where=${where.replaceAll("%", "%%")}`, "Type=virtiofs"];
    if (readOnly) lines.push("Options=ro");
    const unit = `${escapePath(where)}.mount`;
    yield [`systemd/system/${unit}`, { content: `${lines.join("\n")}\n` }];
    yield [`systemd/system/local-fs.target.d/10-${tag}.conf`, { content: `[Unit]\nWants=${unit}\n` }];
  }
}

/** A path as the name of its unit (systemd.unit(5), "String escaping for inclusion in unit names"). */
function escapePath(path: string): string {
  const hexadecimal = (letter: string): string =>
    [...Buffer.from(letter)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  return path
    .slice(1)
    .replace(/^\.|[^A-Za-z0-9:_./]/gu, hexadecimal)
    .replaceAll("/", "-");
}

/** Runs one command when the system is up, and switches off with its end. */
export function* commandUnits(command: string, network: boolean): RunFiles {
  yield [SESSION, { content: commandSession(network), mode: 0o755 }];
  yield [COMMAND, { content: `${command}\n` }];
  yield ["systemd/system/elvisor-command.service", { content: COMMAND_UNIT }];
  yield [
    "systemd/system/multi-user.target.d/20-command.conf",
    { content: "[Unit]\nWants=elvisor-command.service\n" },
  ];
}

/** It comes last, as a person would after the login. */
const COMMAND_UNIT = `[Unit]
Description=The command of this start
After=multi-user.target

[Service]
ExecStart=/bin/sh /run/${SESSION}
ExecStopPost=/bin/systemctl poweroff --force
WorkingDirectory=/root
Environment=HOME=/root
StandardInput=null
`;

/** The rest of the system is told to end, and its file systems are unmounted, by systemd's last process. */
function commandSession(network: boolean): string {
  const wait = `/lib/systemd/systemd-networkd-wait-online --any --timeout=${NETWORK_LIMIT}`;
  return `#!/bin/sh
${OPEN_COMMAND_PORTS}${network ? `${wait} >/dev/null 2>&1 3<&- 4>&- 5>&- 9>&-\n` : ""}sh /run/${COMMAND} <&3 >&4 2>&5 3<&- 4>&- 5>&- 9>&-
echo $? >&9
`;
}
