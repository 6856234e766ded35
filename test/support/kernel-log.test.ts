import { describe, expect, test } from "vitest";
import { readKernelLog, troublesOnlyIn } from "./kernel-log.ts";

const RAW = `<5>[    0.000000] Linux version 6.1
<12>[    1.5] a program warns of 7 things
<6>[    2.000000] usb 1-1: device not accepting address, error -71
<4>[    3.000000] first line
second line
`;

describe("readKernelLog()", () => {
  test("takes levels and texts apart", () => {
    expect(readKernelLog(RAW)).toEqual([
      { level: 5, text: "Linux version 6.1" },
      { level: 4, text: "a program warns of 7 things" },
      { level: 6, text: "usb 1-1: device not accepting address, error -71" },
      { level: 4, text: "first line" },
      { level: 4, text: "second line" },
    ]);
  });
});

describe("troublesOnlyIn()", () => {
  test("finds warnings and words of trouble, numbers aside", () => {
    const theirs = readKernelLog("<4>a program warns of 12 things\n<4>second line\n");
    expect(troublesOnlyIn(readKernelLog(RAW), theirs)).toEqual([
      "usb 1-1: device not accepting address, error -71",
      "first line",
    ]);
    expect(troublesOnlyIn(theirs, theirs)).toEqual([]);
  });
});
