import { expect, test } from "vitest";
import { withGuest } from "../support/guest.ts";

const MEBIBYTE = 2 ** 20;

test("the guest gives its memory to the balloon, takes it back, and says how much it has", {
  timeout: 300_000,
}, async () => {
  await withGuest({ kernel: "kernel:6.1-cloud", balloon: { bytes: 100 * MEBIBYTE } }, async (guest) => {
    const { balloon } = guest.machine;
    const until = async (size: number) => {
      for (let round = 0; round < 200 && balloon?.size !== size; round++)
        await new Promise((resolve) => setTimeout(resolve, 100));
      expect(balloon?.size).toBe(size);
    };
    const free = async () => (await balloon?.statistics())?.freeBytes ?? 0;
    await until(100 * MEBIBYTE);
    const less = await free();
    const memory = await guest.output("cat /proc/meminfo");
    expect((await balloon?.statistics())?.totalBytes).toBe(
      Number(/MemTotal: +(\d+)/.exec(memory)?.[1]) * 1024,
    );
    balloon?.setTarget(20 * MEBIBYTE);
    await until(20 * MEBIBYTE);
    const more = (await free()) - less;
    expect(more).toBeGreaterThan(70 * MEBIBYTE);
    expect(more).toBeLessThan(90 * MEBIBYTE);
  });
});
