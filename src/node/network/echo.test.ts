import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { EchoProgram } from "./echo.ts";

/** A program that says what `ping` would. */
function program(script: string): EchoProgram {
  const path = join(temporaryDirectory(), "ping");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return new EchoProgram(path);
}

test.each([
  ['[ "$*" = "-4 -q -c 1 -W 4 192.0.2.1" ]', "192.0.2.1", "answered"],
  ['[ "$*" = "-6 -q -c 1 -W 4 2001:db8::1" ]', "2001:db8::1", "answered"],
  ["echo 1 packets transmitted, 0 received, 100% packet loss; exit 1", "192.0.2.1", "silent"],
  ["echo 1 packets transmitted, 0 received, +1 errors, 100% packet loss; exit 1", "192.0.2.1", "unreachable"],
  ["echo ping: connect: Network is unreachable >&2; exit 2", "192.0.2.1", "unreachable"],
  ["echo ping: permission denied '(are you root?)' >&2; exit 1", "192.0.2.1", "impossible"],
  ["echo ping: socket: Operation not permitted >&2; exit 2", "192.0.2.1", "impossible"],
] as const)("what ping says (%s)", async (script, address, outcome) => {
  expect(await program(script).ask(address)).toBe(outcome);
});

test("a host without ping cannot ask", async () => {
  const none = new EchoProgram(join(temporaryDirectory(), "ping"));
  expect([await none.ask("192.0.2.1"), await none.ask("192.0.2.1")]).toEqual(["impossible", "impossible"]);
});
