import { writeSync } from "node:fs";
import { openDrive } from "../../src/node/disks/drive-file.ts";
import { plannedWrites, sectorContent } from "./planned-writes.ts";

/**
 * A process that is to be killed: writes to a drive as planned for its seed, several at once, and says on standard
 * output how many of them were durable. `node kill-writer.js IMAGE SEED SECTORS`
 */
const [path = "", seed = "0", sectors = "0"] = process.argv.slice(2);
const drive = await openDrive(path, { report: (sentence) => writeSync(2, `${sentence}\n`) });
writeSync(1, "open\n");
let pending: Promise<unknown>[] = [];
for (const { sequence, first, count, flush } of plannedWrites(Number(seed), Number(sectors))) {
  const bytes = new Uint8Array(count * 512);
  for (let i = 0; i < count; i++) bytes.set(sectorContent(first + i, sequence), i * 512);
  pending.push(Promise.resolve(drive.write(first * 512, bytes)));
  if (!flush) continue;
  await Promise.all(pending);
  pending = [];
  await drive.flush();
  writeSync(1, `${sequence}\n`);
}
