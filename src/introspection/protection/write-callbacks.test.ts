import { expect, test } from "vitest";
import type { MonitoredWrite } from "./monitor.ts";
import { WriteCallbacks } from "./write-callbacks.ts";

function write(sequence: number): MonitoredWrite {
  const bytes = new Uint8Array(4);
  return {
    ...{ sequence, seconds: 0, kind: "page", tree: 1, cookie: 0, action: "callback", address: 0, count: 1 },
    ...{ before: bytes, after: bytes, writer: undefined },
  };
}

/** Lets what is pending go on. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

test("a listener hears of writes in batches, and not while it has work", async () => {
  const callbacks = new WriteCallbacks();
  callbacks.add(write(0));
  const heard: (readonly [number[], number])[] = [];
  let finish = (): void => {};
  callbacks.listen((writes, dropped) => {
    heard.push([writes.map(({ sequence }) => sequence), dropped]);
    return new Promise((resolve) => {
      finish = resolve;
    });
  });
  callbacks.deliver();
  // Of what came before it, it hears nothing.
  expect(heard).toEqual([]);
  callbacks.add(write(1));
  callbacks.add(write(2));
  callbacks.deliver();
  expect(heard).toEqual([[[1, 2], 0]]);
  for (let sequence = 3; sequence < 3 + 5000; sequence++) callbacks.add(write(sequence));
  callbacks.deliver();
  expect(heard.length).toBe(1);
  finish();
  await settle();
  callbacks.deliver();
  expect(heard.length).toBe(2);
  expect(heard[1]![0].length).toBe(1024);
  expect(heard[1]![1]).toBe(5000 - 1024);
});

test("a listener that fails is called again", async () => {
  const callbacks = new WriteCallbacks();
  let calls = 0;
  callbacks.listen(() => {
    calls++;
    throw new Error("it fails");
  });
  for (let round = 1; round <= 3; round++) {
    callbacks.add(write(round));
    callbacks.deliver();
    await settle();
    expect(calls).toBe(round);
  }
});
