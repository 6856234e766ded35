import { mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runHostProgram } from "../../../test/support/host-program.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { writeCpio } from "./cpio.ts";
import { buildInitramfs } from "./initramfs.ts";
import { appletNames } from "./initramfs-tree.ts";

/** Looks enough like a busybox. */
const BUSYBOX = Buffer.from("\x7fELF junk\0[\0[[\0ash\0cat\0sh\0start-stop-daemon\0\0more junk", "latin1");

test("cpio reads what we write, whatever the lengths", () => {
  const directory = temporaryDirectory();
  const files = Array.from({ length: 9 }, (_, index) => ({
    kind: "file" as const,
    path: "f".repeat(index + 1),
    content: new Uint8Array(index * 3).fill(65 + index),
    mode: index % 2 === 0 ? 0o755 : 0o600,
  }));
  const archive = writeCpio([
    { kind: "directory", path: "d" },
    ...files,
    { kind: "link", path: "d/link", target: "../f" },
  ]);
  expect(archive.length % 4).toBe(0);
  const { status, stderr } = runHostProgram("cpio", ["-i", "--quiet", "-D", directory], { input: archive });
  expect([status, stderr]).toEqual([0, ""]);
  for (const file of files)
    expect(readFileSync(join(directory, file.path))).toEqual(Buffer.from(file.content));
  expect(readlinkSync(join(directory, "d/link"))).toBe("../f");
  const listing = runHostProgram("cpio", ["-itv", "--quiet"], { input: archive }).stdout.toString();
  expect(listing).toMatch(/^-rw------- +1 root +root +3 .* ff$/m);
});

test("the default guest's file system has busybox under its names, the modules and the session", () => {
  const modules = new Map([["lib/modules/6.1/kernel/a.ko", Buffer.from("module")]]);
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "x"));
  const unpack = (session: Parameters<typeof buildInitramfs>[2], name: string): string => {
    const root = join(directory, name);
    mkdirSync(root);
    const input = buildInitramfs(BUSYBOX, modules, session);
    // Device nodes need root; they are looked at in the list.
    runHostProgram("cpio", ["-i", "--quiet", "-D", root, "--nonmatching", "dev/*"], { input });
    expect(runHostProgram("cpio", ["-itv", "--quiet"], { input }).stdout.toString()).toMatch(
      /^crw.* 5, +1 .* dev\/console$/m,
    );
    return root;
  };
  const shell = unpack(
    { kind: "shell", terminal: "xterm; reboot", size: { columns: 90, rows: 30 } },
    "shell",
  );
  expect(readlinkSync(join(shell, "bin/cat"))).toBe("busybox");
  expect(readFileSync(join(shell, "lib/modules/6.1/kernel/a.ko"), "utf8")).toBe("module");
  expect(readFileSync(join(shell, "etc/elvisor/settings"), "utf8")).toBe(
    "MODE=shell\nTERM=xtermreboot\nROWS=30\nCOLUMNS=90\n",
  );
  const command = unpack({ kind: "command", command: "echo 'x'\n\texit 3" }, "command");
  expect(readFileSync(join(command, "etc/elvisor/command"), "utf8")).toBe("echo 'x'\n\texit 3\n");
});

test("a program without busybox's table is refused", () => {
  expect(appletNames(BUSYBOX)).toEqual(["[", "[[", "ash", "cat", "sh", "start-stop-daemon"]);
  expect(() => appletNames(Buffer.from("\x7fELF"))).toThrow(/run: elvisor pull busybox/);
});
