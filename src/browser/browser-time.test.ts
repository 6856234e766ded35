import { afterAll, expect, test } from "vitest";
import { BrowserTime } from "./browser-time.ts";

const time = new BrowserTime();
afterAll(() => time.close());

test("breathing lets messages from elsewhere be handled", async () => {
  const channel = new MessageChannel();
  let arrived = false;
  channel.port1.on("message", () => {
    arrived = true;
    channel.port1.close();
  });
  channel.port2.postMessage("");
  // Node.js takes a thousand messages from one port before it looks at the next; browsers take turns.
  for (let breaths = 0; !arrived && breaths < 10_000; breaths++) await time.breathe();
  expect(arrived).toBe(true);
});

test("a sleep lasts as long as it should, or until it is ended", async () => {
  const began = time.now();
  await time.sleep(30).over;
  expect(time.now() - began).toBeGreaterThanOrEqual(29);
  const early = time.sleep(60_000);
  early.wake();
  await early.over;
  const later = time.sleep(60_000);
  setTimeout(() => later.wake(), 20);
  await later.over;
  expect(time.now() - began).toBeLessThan(30_000);
});
