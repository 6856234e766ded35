import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Guest } from "./guest.ts";
import { Random } from "./random.ts";

/** Changes the pace of time until `looking` is done, and at least so often; it begins again where it ends too early. */
export async function changeScalesDuring(
  guest: Guest,
  changes: number,
  look: () => Promise<void>,
): Promise<number> {
  const random = Random.ofThisRun();
  let [made, isOver] = [0, false];
  const changing = (async () => {
    for (; !isOver; made++) {
      guest.machine.pace.setScale((10 + random.below(10_000)) / 1000);
      await delay(1);
    }
  })();
  try {
    do await look();
    while (made < changes);
  } finally {
    isOver = true;
    await changing;
    guest.machine.pace.setScale(1);
  }
  return made;
}

/** Changes the pace of time so often while `probe monotonic` looks, on four elements, whether time goes back. */
export async function changeScales(guest: Guest, changes: number, seconds: number): Promise<void> {
  const random = Random.ofThisRun();
  const looking = guest.output("probe monotonic", seconds);
  for (let change = 0; change < changes; change++) {
    guest.machine.pace.setScale((10 + random.below(10_000)) / 1000);
    await delay(1);
  }
  guest.machine.pace.setScale(1);
  guest.machine.guest.set("stop", Buffer.from("now"));
  expect(await looking, `seed ${random.seed}`).toBe("back 0 of many\n");
}
