import { expect, test } from "vitest";
import { PacedOutput } from "./paced-output.ts";

const CHUNK = new Uint8Array(100_000);

test("the guest waits while the terminal is behind, and everything is passed on", async () => {
  let passed = 0;
  const output = new PacedOutput((bytes) => {
    passed += bytes.length;
  });
  expect(output.write(CHUNK)).toBeUndefined();
  expect(output.write(CHUNK)).toBeUndefined();
  const first = output.write(CHUNK);
  const second = output.write(CHUNK);
  expect(passed).toBe(400_000);
  let isOver = false;
  const both = Promise.all([first, second]).then(() => {
    isOver = true;
  });
  output.shown(100_000);
  await Promise.resolve();
  expect(isOver).toBe(false);
  output.shown(100_000);
  await both;
  expect(output.write(new Uint8Array(1))).toBeUndefined();
});
