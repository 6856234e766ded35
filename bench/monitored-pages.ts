/**
 * What watching a guest's kernel costs work that does not touch it (row M7: at most 1 %). The same work is done with and
 * without the protection, in turns, and the processor time that the machine takes is compared pair by pair.
 * `npm run bench:protection [PAIRS]`
 */
import { VirtualMachine } from "../src/node/virtual-machine.ts";
import { median } from "./statistics.ts";

const PAIRS = Number(process.argv[2] ?? 21);
/** Computation, copies, and starts of processes, whose page tables and pages the kernel makes anew. */
const WORK =
  "dd if=/dev/zero bs=1M count=24 2>/dev/null | sha256sum; dd if=/bin/busybox bs=4k of=/tmp/copy 2>/dev/null; " +
  "for i in $(seq 300); do /bin/busybox true; done; rm /tmp/copy";
const WARM_UP = 4;

const machine = await VirtualMachine.create({ image: "kernel:6.1-cloud", memoryBytes: 2 ** 28 });
await machine.ready();

/** Milliseconds of this process's processor time. */
async function timed(): Promise<number> {
  const start = process.cpuUsage();
  const { exitCode, stderr } = await machine.exec(WORK);
  if (exitCode !== 0) throw new Error(`the work ended with ${exitCode}: ${stderr}`);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

async function timedUnderProtection(): Promise<number> {
  machine.protect({ kind: "kernel", action: "log", allow: [] });
  try {
    return await timed();
  } finally {
    machine.protect({ kind: "remove" });
  }
}

for (let round = 0; round < WARM_UP; round++) await timedUnderProtection();
machine.protect({ kind: "kernel", action: "log", allow: [] });
const pages = machine.protect({ kind: "state" }).trees.reduce((sum, tree) => sum + tree.pages, 0);
machine.protect({ kind: "remove" });
const pairs: { without: number; under: number }[] = [];
for (let round = 0; round < PAIRS; round++) {
  // Which comes first changes, so that what drifts does not count for one of them.
  const first = round % 2 === 0 ? await timed() : await timedUnderProtection();
  const second = round % 2 === 0 ? await timedUnderProtection() : await timed();
  pairs.push(round % 2 === 0 ? { without: first, under: second } : { without: second, under: first });
}
await machine.close();

const ratios = pairs.map(({ under, without }) => under / without).sort((a, b) => a - b);
const quarter = (part: number): string =>
  percent(ratios[Math.floor((ratios.length - 1) * part)] ?? Number.NaN);
console.log(
  `${pages} pages protected: median ${percent(median(ratios) ?? Number.NaN)} of ${PAIRS} pairs, quartiles ${quarter(0.25)} and ` +
    `${quarter(0.75)}; ${median(pairs.map(({ without }) => without))?.toFixed(0)} ms without`,
);

function percent(ratio: number): string {
  return `${ratio >= 1 ? "+" : ""}${((ratio - 1) * 100).toFixed(2)} %`;
}
