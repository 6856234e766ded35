import { expect, test } from "vitest";
import { runHostProgram } from "../../../test/support/host-program.ts";
import { compareVersions } from "./debian-version.ts";

const VERSIONS = [
  "1.0",
  "1.0-1",
  "1.0-2",
  "1.0-10",
  "1:0.5",
  "0:1.0",
  "1.0~rc1",
  "1.0~rc1-1",
  "1.0~",
  "1.0+b1",
  "1.0a",
  "1.0.0",
  "1.0.",
  "6.1.192-2",
  "6.12.117-1~deb12u1",
  "6.12.117-1",
  "6.12.95-1~bpo12+1",
  "2022.11-6+deb12u1",
  "2022.11-6+deb12u2",
  "1:1.35.0-4+deb12u1+b1",
  "001.0",
  "1.0-1-1",
] as const;

test("the order is dpkg's", () => {
  for (const left of VERSIONS) {
    for (const right of VERSIONS) {
      const isBefore = runHostProgramStatus(["--compare-versions", left, "lt-nl", right]);
      const isEqual = runHostProgramStatus(["--compare-versions", left, "eq", right]);
      const expected = isEqual ? 0 : isBefore ? -1 : 1;
      expect([left, right, Math.sign(compareVersions(left, right))]).toEqual([left, right, expected]);
    }
  }
});

function runHostProgramStatus(parameters: readonly string[]): boolean {
  return runHostProgram("dpkg", parameters).status === 0;
}
