import { expect, test } from "vitest";
import { EmptyWindow } from "./empty-window.ts";

test("an empty window reads as ones of every width", () => {
  const window = new EmptyWindow("nothing", 4096);
  window.write();
  expect(([1, 2, 4] as const).map((width) => window.read(0, width))).toEqual([0xff, 0xffff, 0xffff_ffff]);
});
