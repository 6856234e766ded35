// Runs our machine in a process of its own, so that it is measured from outside like any other program. The
// guest's serial port is standard output; at the end the counts for each item go to file descriptor 3.
import { writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Command } from "../src/node/agent/command.ts";
import { READY_PORT } from "../src/node/agent/protocol.ts";
import { streamOpener } from "../src/node/agent/socket-stream.ts";
import { lowerBackgroundThreads } from "../src/node/background-priority.ts";
import { createMachine } from "../src/node/create-machine.ts";
import { openDrive } from "../src/node/disks/drive-file.ts";
import { KERNEL_DECOMPRESSORS } from "../src/node/kernel-decompressors.ts";
import { openShare } from "../src/node/share/share.ts";
import { MarkerReader } from "./measure/markers.ts";
import { BOOT_ITEM } from "./measure/run-process.ts";
import { GUEST_MEMORY, type MachineRequest, SHARE_TAG } from "./workload.ts";

const REPORT = 3;

type Counts = Record<string, number>;

const request = JSON.parse(process.argv[2] ?? "") as MachineRequest;
const markers = new MarkerReader();
const atStart = new Map<string, Counts>();
const counts: Record<string, Counts> = {};

const drives = await Promise.all(
  (request.drives ?? []).map(({ path, format }) => openDrive(path, { format })),
);
const shares =
  request.share === undefined
    ? []
    : [openShare({ directory: request.share, mountPoint: "/share", readOnly: false }, SHARE_TAG)];
const machine = await createMachine({
  memoryBytes: GUEST_MEMORY,
  cpus: 1,
  engine: request.engine,
  codeCache: request.codeCache ?? false,
  ...(request.mmu !== undefined && { mmu: request.mmu }),
  ...(request.tlbi !== undefined && { tlbi: request.tlbi }),
  ...(request.mmuCheck !== undefined && { mmuCheck: request.mmuCheck }),
  kernel: { name: request.kernel, bytes: await readFile(request.kernel) },
  ...(request.initrd !== undefined && {
    initrd: { name: request.initrd, bytes: await readFile(request.initrd) },
  }),
  commandLine: request.commandLine,
  drives,
  shares,
  decompressors: KERNEL_DECOMPRESSORS,
  ...(request.network === true && { net: {} }),
  ...(request.exec !== undefined && { sockets: true }),
  serial: onSerial,
});
process.once("SIGTERM", () => machine.stop());
lowerBackgroundThreads(process.env);
const { exec } = request;
if (exec !== undefined) {
  machine.sockets?.listen(READY_PORT, () => {
    void runCommands(exec).finally(() => machine.stop());
    return undefined;
  });
}
atStart.set(BOOT_ITEM, numbers());
const reason = await machine.run();
for (const drive of drives) await drive.close();
for (const share of shares) share.close();
writeSync(REPORT, JSON.stringify(counts));
if (reason.kind === "failed") {
  process.stderr.write(`${reason.sentence}\n`);
  process.exitCode = 1;
}

/** What `guest/exec.c` does in a machine without an agent of ours. */
async function runCommands({ item, count }: NonNullable<MachineRequest["exec"]>): Promise<void> {
  const open = streamOpener(machine.sockets!); // it was asked for
  onSerial(Buffer.from(`\n@start ${item}\n`));
  for (let number = 0; number < count; number++) {
    const { stdout } = await new Command(open, ["echo", "done"], { input: "" });
    if (stdout !== "done\n") throw new Error(`a command said ${JSON.stringify(stdout)}`);
  }
  onSerial(Buffer.from(`\n@end ${item} 0\n`));
}

function onSerial(bytes: Uint8Array): void {
  process.stdout.write(bytes);
  for (const marker of markers.read(Buffer.from(bytes).toString("latin1"))) {
    if (marker.kind === "start") atStart.set(marker.item, numbers());
    if (marker.kind === "end") countFrom(marker.item);
    if (marker.kind === "prompt") countFrom(BOOT_ITEM);
  }
}

function countFrom(item: string): void {
  const before = atStart.get(item) ?? {};
  counts[item] = Object.fromEntries(
    Object.entries(numbers()).map(([name, value]) => [name, value - (before[name] ?? 0)]),
  );
}

/** The machine's figures that are numbers. */
function numbers(): Counts {
  const entries = Object.entries(machine.stats());
  return Object.fromEntries(
    entries.filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}
