import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { openVariableFile } from "./variable-file.ts";

const TEMPLATE = { name: "template", bytes: Uint8Array.from({ length: 1024 }, () => 0xff) };

test("begins as a copy of the template and keeps what is written", () => {
  const path = join(temporaryDirectory(), "vars.fd");
  const first = openVariableFile(path, TEMPLATE);
  expect(first.contents.bytes).toEqual(TEMPLATE.bytes);
  expect(first.write(100, Uint8Array.of(1, 2, 3))).toBe(true);
  // A machine that is killed has lost nothing.
  expect([...readFileSync(path).subarray(99, 104)]).toEqual([0xff, 1, 2, 3, 0xff]);
  expect(() => openVariableFile(path, TEMPLATE)).toThrow(/in use by another elvisor/);
  first.close();
  expect(existsSync(`${path}.lock`)).toBe(false);
  const second = openVariableFile(path, TEMPLATE);
  expect([...second.contents.bytes.subarray(100, 103)]).toEqual([1, 2, 3]);
  second.close();
});

test("a write that fails is told", () => {
  const file = openVariableFile(join(temporaryDirectory(), "vars.fd"), TEMPLATE);
  file.close();
  expect(file.write(0, Uint8Array.of(1))).toBe(false);
});

test("files that do not fit are refused and left alone", () => {
  const folder = temporaryDirectory();
  const empty = join(folder, "empty");
  writeFileSync(empty, "");
  expect(() => openVariableFile(empty, TEMPLATE)).toThrow(
    /has 0 bytes, and a flash bank has from 1 to 67108864/,
  );
  expect(existsSync(`${empty}.lock`)).toBe(false);
  expect(() => openVariableFile(join(folder, "missing", "vars"), TEMPLATE)).toThrow(
    /cannot be used \(ENOENT\)/,
  );
  expect(() => openVariableFile(folder, TEMPLATE)).toThrow(/cannot be used \(EISDIR\)/);
});
