import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { prepareBoot } from "../src/machine/boot/prepare-boot.ts";
import { InstructionTime } from "../src/machine/instruction-time.ts";
import { Machine } from "../src/machine/machine.ts";
import { MachineClock } from "../src/machine/machine-clock.ts";
import { KERNEL_DECOMPRESSORS } from "../src/node/kernel-decompressors.ts";
import { bootWorkload, linuxImages } from "./build/linux-workloads.ts";
import { MarkerReader } from "./measure/markers.ts";
import { ROOT } from "./paths.ts";
import { GUEST_MEMORY } from "./workload.ts";

const HOT_WORDS = join(ROOT, "src", "engine", "interpreter", "hot-words.ts");
/** Handlers that become arms of the switch: more of them make it slower for all. */
const HOT = 170;
/** Any date. */
const WALL_SECONDS = 1_704_067_200;
/** A boot takes less than 10^9 instructions; what takes this many does not come to its prompt. */
const INSTRUCTION_LIMIT = 2e10;
const WORDS_IN_LINE = 9;

/** Boots the default guest, counting, and writes the list of the hottest handlers. Equal boots give equal lists. */
export async function writeProfile({ output = HOT_WORDS }: { output?: string }): Promise<void> {
  const counts = (await profileBoot()).filter(({ count }) => count > 0);
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const words = counts.map(({ word }) => word);
  const share = (100 * counts.slice(0, HOT).reduce((sum, { count }) => sum + count, 0)) / total;
  await writeFile(resolve(output), hotWordsFile(words.slice(0, HOT), words.slice(HOT), share));
  process.stderr.write(
    `bench: ${Math.min(HOT, words.length)} of ${words.length} handlers execute ${share.toFixed(1)} % of ` +
      `${(total / 1e6).toFixed(0)} million instructions; ${output} is written.\n`,
  );
}

async function profileBoot(): Promise<{ word: number; count: number }[]> {
  const { guest } = await bootWorkload({ kind: "boot", name: "boot", group: "boot" }, await linuxImages());
  const instructionTime = new InstructionTime(WALL_SECONDS);
  const markers = new MarkerReader();
  let prompted = false;
  const plan = await prepareBoot({
    memoryBytes: GUEST_MEMORY,
    cpus: 1,
    deterministic: true,
    kernel: { name: guest.kernel, bytes: await readFile(guest.kernel) },
    initrd: { name: "initrd", bytes: await readFile(guest.initrd!) },
    commandLine: guest.commandLine,
    decompressors: KERNEL_DECOMPRESSORS,
  });
  const machine = new Machine({
    memoryBytes: GUEST_MEMORY,
    cpus: 1,
    secure: false,
    virtualization: false,
    plan,
    clock: new MachineClock(instructionTime),
    instructionTime,
    serial: {
      write(bytes) {
        const found = markers.read(Buffer.from(bytes).toString("latin1"));
        if (found.some(({ kind }) => kind === "prompt")) prompted = true;
      },
    },
    profile: true,
  });
  machine.start();
  while (!prompted) {
    const end = machine.loop.burst(() => prompted || machine.instructions > INSTRUCTION_LIMIT);
    if (!prompted && (end.kind !== "busy" || machine.instructions > INSTRUCTION_LIMIT)) {
      throw new UserError(`The guest did not come to its prompt (${end.kind}); does "npm start" work?`);
    }
  }
  return machine.interpreter.profile();
}

/** The text of hot-words.ts. `share`: per cent of the instructions that `hot` stands for. */
export function hotWordsFile(hot: readonly number[], warm: readonly number[], share: number): string {
  return `/**
 * Instruction words whose handlers are arms of the interpreter's switch, hottest first: the most frequent
 * handlers while Debian's 6.1 cloud kernel boots (${share.toFixed(0)} % of its instructions), one word for each. Written by
 * \`npm run bench -- profile\`.
 */
export const HOT_WORDS: readonly number[] = [
${listWords(hot)}
];

/**
 * The handlers that follow in frequency: compiled with the core module, as functions, so that a boot does not
 * pay for a module each. Written by the same command.
 */
export const WARM_WORDS: readonly number[] = [
${listWords(warm)}
];
`;
}

function listWords(words: readonly number[]): string {
  const lines: string[] = [];
  for (let at = 0; at < words.length; at += WORDS_IN_LINE) {
    const line = words
      .slice(at, at + WORDS_IN_LINE)
      .map((word) => `0x${(word >>> 0).toString(16).padStart(8, "0")}`);
    lines.push(`  ${line.join(", ")},`);
  }
  return lines.join("\n");
}
