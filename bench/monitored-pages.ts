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
  "dd if=/dev/zero bs=1M count=8 2>/dev/null | sha256sum; dd if=/bin/busybox bs=4k of=/tmp/copy 2>/dev/null; " +
  "for i in $(seq 100); do /bin/busybox true; done; rm /tmp/copy";
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

/** The work once for what a change of the protection makes necessary (code is translated again), and once more, timed. */
async function settled(): Promise<number> {
  await timed();
  return await timed();
}

async function settledUnderProtection(): Promise<number> {
  machine.protect({ kind: "kernel", action: "log", allow: [] });
  try {
    return await settled();
  } finally {
    machine.protect({ kind: "remove" });
  }
}

for (let round = 0; round < WARM_UP; round++) await timed();
const { trees } = machine.protect({ kind: "kernel", action: "log", allow: [] });
const pages = trees.reduce((sum, tree) => sum + tree.pages, 0);
machine.protect({ kind: "remove" });
const pairs: { without: number; under: number }[] = [];
for (let round = 0; round < PAIRS; round++) {
  // Which comes first changes, so that what drifts does not count for one of them.
  const first = round % 2 === 0 ? await settled() : await settledUnderProtection();
  const second = round % 2 === 0 ? await settledUnderProtection() : await settled();
  pairs.push(round % 2 === 0 ? { without: first, under: second } : { without: second, under: first });
}
await machine.close();

const ratios = pairs.map(({ under, without }) => under / without).sort((a, b) => a - b);
const quarter = (part: number): string =>
  percent(ratios[Math.floor((ratios.length - 1) * part)] ?? Number.NaN);
// On a busy host the fastest of many runs is the one that was disturbed least.
const best = (times: readonly number[]): number => Math.min(...times);
const ratioOfBest = best(pairs.map(({ under }) => under)) / best(pairs.map(({ without }) => without));
console.log(
  `${pages} pages protected: ${percent(ratioOfBest)} between the fastest, median ${percent(median(ratios) ?? Number.NaN)} of ${PAIRS} pairs, quartiles ${quarter(0.25)} and ` +
    `${quarter(0.75)}; ${median(pairs.map(({ without }) => without))?.toFixed(0)} ms without`,
);

function percent(ratio: number): string {
  return `${ratio >= 1 ? "+" : ""}${((ratio - 1) * 100).toFixed(2)} %`;
}
